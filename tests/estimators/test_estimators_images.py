"""Estimators of pictures: planted shapes, files, and every word of the contract that the table ones keep."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from torch import nn

import glia
from glia.core.errors import InputError, ModelFileError
from glia.core.layout import Layout
from glia.estimators.image_augment import as_augment
from glia.estimators.image_choices import choose_for_images
from glia.nn import ConvNet

NAMES = np.array(["column", "diagonal", "row"])


def shapes(count, seed=0, size=10):
    """A line somewhere among noise: told apart by its direction, never by its place."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    x = rng.integers(0, 60, (count, size, size)).astype(np.uint8)
    for picture, kind, place in zip(x, y, rng.integers(1, size - 1, count), strict=True):
        if kind == 0:
            picture[:, place] = 255
        elif kind == 1:
            np.fill_diagonal(picture, 255)
        else:
            picture[place] = 255
    return x, NAMES[y]


X, Y = shapes(160)
NEW, TRUTH = shapes(90, seed=1)
QUICK = {"epochs": 5, "network": ConvNet((8, 16)), "lr": 0.02}


@pytest.fixture(scope="module")
def fitted():
    return glia.ImageClassifier(**QUICK).fit(X, Y)


def test_learns_planted_shapes(fitted):
    assert fitted.score(NEW, TRUTH) > 0.95
    probability = fitted.predict_proba(NEW)
    np.testing.assert_allclose(probability.sum(1), 1)
    assert fitted.classes_.tolist() == NAMES.tolist() and fitted.layout_.shape == (1, 10, 10)
    assert "accuracy" in fitted.evaluate(NEW, TRUTH, n_boot=10).metrics
    assert fitted.choices_["augment"]["value"] == "Augment(shift=0.07)" and fitted.members_ == 1
    assert fitted.predict_frame(NEW[:3]).columns[0] == "prediction" and fitted.feature_names == ["image"]
    control = glia.ImageClassifier(**QUICK).fit(X, np.random.default_rng(0).permutation(Y))
    assert control.score(NEW, TRUTH) < 0.6


def test_same_seed_same_bits_and_save_load(fitted, tmp_path):
    again = clone(fitted).fit(X, Y)
    assert np.array_equal(again.predict_proba(NEW), fitted.predict_proba(NEW))
    assert not np.array_equal(again.set_params(random_state=1).fit(X, Y).predict_proba(NEW), fitted.predict_proba(NEW))
    glia.save(fitted, tmp_path / "m.glia")
    loaded = glia.load(tmp_path / "m.glia")
    assert np.array_equal(loaded.predict_proba(NEW), fitted.predict_proba(NEW))
    assert np.array_equal(loaded.predict_proba(NEW[:1]), fitted.predict_proba(NEW)[:1])  # company does not matter
    assert type(loaded) is glia.ImageClassifier and loaded.get_params()["augment"] == "auto"
    glia.save(fitted, tmp_path / "n.glia")
    assert (tmp_path / "m.glia").read_bytes() == (tmp_path / "n.glia").read_bytes()


class Killed(BaseException):
    pass


def test_killed_and_taken_up_again_ends_at_the_same_bits(tmp_path, monkeypatch):
    settings = {**QUICK, "epochs": 3, "augment": glia.Augment(shift=0.1, flip="both", mix="both")}
    whole = glia.ImageClassifier(**settings).fit(X, Y)
    step, seen = glia.engine.loop.Trainer.train_step, []

    def killed(self, *batch):
        seen.append(1)
        if len(seen) == 14:
            raise Killed
        return step(self, *batch)

    kept = glia.Checkpoints(tmp_path, "1 epochs")
    monkeypatch.setattr(glia.engine.loop.Trainer, "train_step", killed)
    with pytest.raises(Killed):
        glia.ImageClassifier(**settings, checkpoint=kept).fit(X, Y)
    monkeypatch.undo()
    resumed = glia.ImageClassifier(**settings, checkpoint=kept).fit(X, Y)
    assert any(event["event"] == "resumed" for event in resumed.events_)
    assert np.array_equal(resumed.predict_proba(NEW), whole.predict_proba(NEW))


def test_augment_settings_travel_and_change_the_fit(fitted, tmp_path):
    augment = glia.Augment(shift=0.1, flip="both", mix="cutmix", alpha=0.5, test_time=True)
    model = glia.ImageClassifier(**{**QUICK, "epochs": 2}, augment=augment).fit(X, Y)
    x = model.prepare(NEW[:5])
    views = [x, x.flip(-1), x.flip(-2)]
    with torch.no_grad():
        mean = torch.stack([model.network_.network(view) for view in views]).mean(0)
        torch.testing.assert_close(model.forward(x), mean)
    glia.save(model, tmp_path / "m.glia")
    loaded = glia.load(tmp_path / "m.glia")
    assert np.array_equal(loaded.predict_proba(NEW), model.predict_proba(NEW))
    assert loaded.augment.get_params() == augment.get_params()
    plain = glia.ImageClassifier(**{**QUICK, "epochs": 2}, augment="none").fit(X, Y)
    assert not np.array_equal(plain.predict_proba(NEW), model.predict_proba(NEW))


def test_auto_mirrors_photographs_only():
    grey, colour = (as_augment("auto", Layout((channels, 8, 8)))[0] for channels in (1, 3))
    assert (grey.flip, colour.flip) == ("none", "horizontal") and as_augment(None, Layout((1, 8, 8)))[0].shift == 0
    for wrong in (
        {"shift": 1.0},
        {"flip": "left"},
        {"mix": "all"},
        {"more": ["swirl"]},
        {"strength": 0},
        {"alpha": -1},
    ):
        with pytest.raises(InputError):
            glia.ImageClassifier(**QUICK, augment=glia.Augment(**wrong)).fit(X, Y)
    with pytest.raises(InputError, match="augment must be"):
        glia.ImageClassifier(**QUICK, augment="much").fit(X, Y)
    with pytest.raises(InputError, match="mixed for one network"):
        glia.ImageClassifier(**QUICK, augment=glia.Augment(mix="mixup"), members=2).fit(X, Y)


def test_kornia(tmp_path):
    pytest.importorskip("kornia", reason="kornia comes with the extra 'images'")
    more = glia.Augment(more=("rotation", "erasing", "noise", "color_jitter"))
    one, other = (glia.ImageClassifier(**{**QUICK, "epochs": 1}, augment=more).fit(X, Y) for _ in range(2))
    assert np.array_equal(one.predict_proba(NEW), other.predict_proba(NEW))


def test_own_network_and_its_file(tmp_path):
    def own(in_channels, num_classes):
        return nn.Sequential(
            nn.Conv2d(in_channels, 6, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(6, num_classes)
        )

    model = glia.ImageClassifier(network=own, epochs=4, lr=0.02).fit(X, Y)
    glia.save(model, tmp_path / "m.glia")
    with pytest.raises(ModelFileError, match="handed in again"):
        glia.load(tmp_path / "m.glia")
    assert np.array_equal(glia.load(tmp_path / "m.glia", network=own).predict(NEW), model.predict(NEW))


def test_members_binary_and_balance():
    y = np.where(Y == "row", "yes", "no")
    model = glia.ImageClassifier(**{**QUICK, "epochs": 3}, members=2, balance="batches").fit(X, y)
    assert model.predict_members(NEW).shape == (2, 90, 2) and model.task_ == "binary"
    with pytest.raises(InputError):
        glia.ImageClassifier(**QUICK, balance="nothing").fit(X, Y)


def test_regressor_reads_a_quantity(tmp_path):
    rng = np.random.default_rng(0)
    size = rng.uniform(1, 6, 200)
    grid = np.hypot(*np.indices((12, 12)) - 5.5)
    x = np.stack([np.where(grid < s, 200, 20) for s in size]).astype(np.uint8)
    model = glia.ImageRegressor(network=ConvNet((8, 16)), epochs=15, lr=0.02).fit(x[:150], size[:150])
    assert model.score(x[150:], size[150:]) > 0.9
    low, high = model.predict_interval(x[150:], 0.8)
    assert np.mean((low <= size[150:]) & (size[150:] <= high)) > 0.6
    glia.save(model, tmp_path / "m.glia")
    assert np.array_equal(glia.load(tmp_path / "m.glia").predict(x), model.predict(x))


@pytest.fixture
def photos(tmp_path):
    for i, (picture, name) in enumerate(zip(X[:120], Y[:120], strict=True)):
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


def test_folder_gives_what_arrays_give(photos):
    model = glia.ImageClassifier(**QUICK).fit(photos)
    order = np.argsort([f"{name}/{i}.png" for i, name in enumerate(Y[:120])])
    same = glia.ImageClassifier(**QUICK).fit(X[:120][order], Y[:120][order])
    assert np.array_equal(model.predict_proba(NEW), same.predict_proba(NEW))
    assert model.score(str(photos)) > 0.9 and model.evaluate(photos, n_boot=5).metrics
    frame = model.predict_frame(photos / "row")
    assert frame.columns[:2] == ["file", "prediction"] and frame.height == int((Y[:120] == "row").sum())
    large = [np.kron(picture, np.ones((3, 3))).astype(np.uint8) for picture in NEW[:30]]
    assert np.mean(model.predict(large) == TRUTH[:30]) > 0.6  # another size than was fitted


def test_broken_files_are_named(photos):
    (photos / "row" / "empty.png").touch()
    with pytest.warns(UserWarning, match=r"1 file could not be read and was left out: row/empty\.png: an empty file"):
        model = glia.ImageClassifier(**{**QUICK, "epochs": 1}).fit(photos)
    assert model.broken_ == (("row/empty.png", "an empty file"),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert "row/empty.png" not in model.predict_frame(photos)["file"]


def test_errors_say_what_to_do(fitted, photos):
    with pytest.raises(InputError, match=r"classes that were learned · got 2 of 5 of others: 'zebra' \(2\)"):
        fitted.evaluate(NEW[:5], ["row", "zebra", "row", "zebra", "row"])
    with pytest.raises(InputError, match="one folder per class"):
        glia.ImageClassifier().fit(photos / "row")
    with pytest.raises(InputError, match="one target per row"):
        glia.ImageClassifier().fit(X, Y[:-1])
    with pytest.raises(InputError, match="preparation must be"):
        glia.ImageClassifier(preparation=glia.Preparation()).fit(X, Y)
    with pytest.raises(InputError, match="rows to predict"):
        fitted.predict(NEW[:0])
    with pytest.raises(InputError):
        fitted.predict(np.zeros((3, 4)))
    with pytest.raises(InputError, match="effort must be"):
        glia.ImageClassifier(effort="much").fit(X, Y)


def test_contract(fitted):
    assert clone(fitted).get_params(deep=False).keys() == glia.ImageClassifier().get_params(deep=False).keys()
    assert cross_val_score(glia.ImageClassifier(**{**QUICK, "epochs": 3}), X, Y, cv=2).min() > 0.5
    few = glia.ImageClassifier(**{**QUICK, "epochs": 2})
    order = np.random.default_rng(0).permutation(40)
    one, other = (
        few.fit(X[:40], Y[:40]).predict_proba(NEW),
        clone(few).fit(X[:40][order], Y[:40][order]).predict_proba(NEW),
    )
    assert np.array_equal(one, other)  # of few rows the order does not matter
    model = glia.ImageClassifier(**QUICK).partial_fit(X, Y).partial_fit(X, Y)
    assert len(model.history_) == 2


def test_choices_are_the_users_first():
    given = glia.ImageClassifier(lr=0.1, batch_size=7, epochs=3, network="lenet", optimizer="sgd").get_params(
        deep=False
    )
    found = choose_for_images(given, rows=1000, task="multiclass", layout=Layout((1, 28, 28)))
    assert (found.lr, found.batch_size, found.epochs, found.network) == (0.1, 7, 3, "lenet")
    assert found.optimizer.name == "sgd" and set(found.why) == {"schedule", "early_stopping", "members"}
    auto = glia.ImageClassifier().get_params(deep=False)
    sizes = [
        len(choose_for_images(auto, rows=100, task="binary", layout=Layout((3, s, s))).network.channels)
        for s in (8, 32, 64)
    ]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
