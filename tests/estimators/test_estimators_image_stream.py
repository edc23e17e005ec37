"""Pictures that stay on disk: the bits of training in memory, resumed where it was cut off, in flat memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import glia
from glia import Augment, ImageClassifier
from glia.core.errors import InputError
from glia.core.hardware import threads
from glia.core.seeds import derive
from glia.data.images import ImagePreparation, ImageRows, as_images
from glia.data.stream.row_store import MadeRows, MappedRows, on_disk, place_for
from glia.engine.balanced import BalancedRows
from glia.engine.indexed_rows import IndexedRows
from glia.engine.population import train_population
from glia.engine.rows import Rows
from glia.engine.schedules import as_schedule
from glia.estimators.training import build_network
from glia.nn import MLP, ConvNet
from glia.tuning.prepared import prepare
from glia.tuning.space import Real

SMALL = {"network": ConvNet((4,), head="flatten"), "epochs": 4, "batch_size": 16}


def pictures(count=90, side=12, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    return np.clip(rng.normal(100 + 60 * y[:, None, None], 30, (count, side, side)), 0, 255).astype(np.uint8), y


def files(root, x):
    root.mkdir(parents=True, exist_ok=True)
    for i, one in enumerate(x):
        Image.fromarray(one).save(root / f"{i:04d}.png")
    return sorted(str(path) for path in root.iterdir())


def weights(estimator):
    return torch.cat([p.detach().flatten() for p in estimator.network_.state_dict().values()])


@pytest.mark.parametrize("keep", ["disk", "none"])
def test_streamed_files_train_to_the_bits_of_memory(tmp_path, keep):
    x, y = pictures()
    paths = files(tmp_path / "p", x)
    fitted = [ImageClassifier(preparation=ImagePreparation(keep=k), **SMALL).fit(paths, y) for k in ("memory", keep)]
    assert torch.equal(*(weights(one) for one in fitted))
    a, b = (one.predict_proba(paths) for one in fitted)
    assert np.array_equal(a, b) and (a.argmax(1) == y).mean() > 0.9
    other = ImageClassifier(preparation=ImagePreparation(keep=keep), **SMALL, random_state=1).fit(paths, y)
    assert not torch.equal(weights(other), weights(fitted[0]))


@pytest.mark.parametrize(
    "settings",
    [
        {"members": 3},
        {"members": 2, "bootstrap": True, "augment": Augment(shift=0.2)},
        {"members": 3, "network": MLP((8,)), "augment": "none", "bootstrap": True},  # all in one computation
        {"balance": "batches"},
        {"members": 2, "balance": "batches", "augment": "none"},
    ],
    ids=repr,
)
def test_streamed_members_and_even_batches_train_to_the_bits_of_memory(tmp_path, settings):
    x, y = pictures()
    y[:40] = 0  # a rare class
    paths = files(tmp_path / "p", x)
    settings = {**SMALL, "epochs": 2, **settings}
    whole = ImageClassifier(**settings).fit(paths, y)
    streamed = ImageClassifier(**settings, preparation=ImagePreparation(keep="disk")).fit(paths, y)
    a, b = (one.predict_members(paths) for one in (whole, streamed))
    assert len(a) == settings.get("members", 1) and np.array_equal(a, b)
    assert whole.balance_ == streamed.balance_ and whole.factors_ == streamed.factors_
    assert len({one.tobytes() for one in a}) == len(a)  # members differ from each other
    plain = {**settings, "balance": "none", "bootstrap": False}
    if plain != {"balance": "none", "bootstrap": False} | settings:
        control = ImageClassifier(**plain, preparation=ImagePreparation(keep="disk")).fit(paths, y)
        assert not np.array_equal(control.predict_members(paths), b)  # what was asked for is done


def test_a_streamed_member_is_what_memory_trains_alone(tmp_path):
    """A member starts from a seed of its own, and sees the rows in the population's order."""
    x, y = pictures(110)
    paths = files(tmp_path / "p", x)
    settings = {**SMALL, "epochs": 2, "augment": "none", "early_stopping": False}
    fitted = ImageClassifier(**settings, members=2, preparation=ImagePreparation(keep="disk")).fit(paths, y)
    rows = Rows(torch.from_numpy(fitted.preparation_.transform(paths)), torch.from_numpy(y).float())
    made = fitted.choose(fitted.get_params(deep=False), len(rows))
    order = {"random_state": fitted._seed("training"), "schedule": as_schedule(made.schedule)}
    for k, seed in ((1, 1), (0, 0), (1, 0)):  # the last starts like the other member
        alone = build_network(made.network, fitted.layout_, 1, derive(fitted._seed(), "member", seed), rows.x.numpy())
        with threads(1):  # as in a fit of so small steps: sums on two are added up in another order
            train_population(
                [alone], fitted._resolved.loss, rows, epochs=2, batch_size=16, optimizer=made.optimizer, lr=made.lr,
                **order,
            )  # fmt: skip
        own = fitted.network_.networks[k].state_dict()
        assert all(torch.equal(value, own[name]) for name, value in alone.state_dict().items()) == (k == seed)


def test_even_batches_are_those_of_rows_in_memory():
    x, y, weight = torch.randn(37, 3), torch.tensor([0] * 30 + [1] * 7), torch.rand(37, 2)
    inside = BalancedRows(x, y, weight)
    outside = IndexedRows(lambda i: x.numpy()[i], y, None, (3,), lambda: "x").evenly().with_weight(weight)
    for number, skip in ((0, 0), (3, 2)):
        pairs = list(zip(inside.epoch(6, 9, number, skip), outside.epoch(6, 9, number, skip), strict=True))
        assert pairs and all(torch.equal(a, b) for one, other in pairs for a, b in zip(one, other, strict=True))
        assert all(abs(int((2 * batch[1] - 1).sum())) <= 1 for _, batch in pairs)
    plain = IndexedRows(outside.fetch, y, weight, (3,), lambda: "x")
    assert plain.fingerprint() != outside.fingerprint() and torch.equal(outside.part(0, 5), x[:5])


def test_tuning_trains_from_the_stream(tmp_path, monkeypatch):
    pytest.importorskip("optuna", reason="optional package of the extra tuning")
    x, y = pictures(120)
    paths, found = files(tmp_path / "p", x), []
    judged = np.linspace(0.5, 1.5, len(y))
    for keep in ("memory", "none"):
        largest = []
        seen = ImagePreparation.scaled

        def scaled(self, pixels, seen=seen, largest=largest):
            largest.append(len(pixels))
            return seen(self, pixels)

        monkeypatch.setattr(ImagePreparation, "scaled", scaled)
        model = ImageClassifier(**{**SMALL, "epochs": 3}, preparation=ImagePreparation(keep=keep))
        space = {"lr": Real(1e-3, 1e-1, log=True)}
        result = glia.tune(model, paths, y, space=space, trials=3, sample_weight=judged, random_state=0)
        monkeypatch.undo()
        found.append([(t.settings, t.score, t.state) for t in result.trials])
        assert (max(largest) < 90) == (keep == "none")  # the rows that are trained on never lie in memory at once
    assert found[0] == found[1]


def test_of_too_many_rows_to_judge_by_the_same_ones_judge(tmp_path, monkeypatch):
    pytest.importorskip("optuna", reason="optional package of the extra tuning")
    monkeypatch.setattr("glia.estimators.large_rows.few_judges", lambda rows, *a: np.arange(rows)[::2])
    x, y = pictures(120)
    weight = np.linspace(0.5, 1.5, 40)
    model = ImageClassifier(**SMALL, preparation=ImagePreparation(keep="none"))
    made = prepare(model, (as_images(x[:80]), y[:80], None), (as_images(x[80:]), y[80:], weight))
    assert len(made.held) == 20 and np.array_equal(made.held.y.numpy(), y[80::2])
    np.testing.assert_allclose(made.held.weight.numpy()[:, 0], weight[::2], rtol=1e-6)
    assert isinstance(made.train.rows, IndexedRows) and len(made.train) == 80
    held = (as_images(x[80:]), pd.Series(y[80:]))
    assert ImageClassifier(**{**SMALL, "epochs": 1}, preparation=ImagePreparation(keep="none")).fit(
        as_images(x[:80]), y[:80], validation=held
    )


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_arrays_on_disk_are_not_copied(tmp_path, kind, monkeypatch):
    x, y = pictures()
    np.save(tmp_path / "x.npy", x.astype(kind))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    seen = []
    monkeypatch.setattr("glia.data.images.rows.on_disk", lambda *a: seen.append(a))
    prepared = ImagePreparation(keep="disk")
    streamed = ImageClassifier(preparation=prepared, **SMALL).fit(mapped, y)
    whole = ImageClassifier(**SMALL).fit(x.astype(kind), y)
    by_name = ImageClassifier(preparation=prepared, **SMALL).fit(tmp_path / "x.npy", y)
    assert not seen and torch.equal(weights(streamed), weights(whole)) and torch.equal(weights(by_name), weights(whole))
    assert np.array_equal(streamed.predict_proba(mapped), whole.predict_proba(x.astype(kind)))


def test_batches_are_those_of_rows_in_memory_in_any_epoch_and_from_any_step():
    x, y = torch.randn(37, 3), torch.arange(37)
    inside = Rows(x, y, torch.rand(37))
    fetched = []

    def fetch(index):
        fetched.append(index)
        return x.numpy()[index]

    outside = IndexedRows(fetch, y, inside.weight, (3,), lambda: "x")
    for number, skip in ((0, 0), (3, 0), (3, 2), (1, 5)):
        pairs = list(zip(inside.epoch(6, 9, number, skip), outside.epoch(6, 9, number, skip), strict=True))
        assert all(torch.equal(a, b) for one, other in pairs for a, b in zip(one, other, strict=True))
    early = outside.epoch(6, 9, 0)
    next(early)
    early.close()  # ends the thread
    assert len(outside) == 37 and outside.x.shape == (0, 3)


def test_a_fit_that_was_cut_off_goes_on_to_the_same_bits(tmp_path):
    x, y = pictures()
    paths = files(tmp_path / "p", x)
    settings = {**SMALL, "preparation": ImagePreparation(keep="disk")}
    whole = ImageClassifier(**settings).fit(paths, y)

    class Stop(Exception):
        pass

    def cut(*args, calls=[0], plain=IndexedRows.epoch):  # noqa: B006  # counts the epochs
        calls[0] += 1
        if calls[0] == 3:
            raise Stop
        return plain(*args)

    folder = tmp_path / "kept"
    from glia.engine.checkpointing import Checkpoints

    kept = Checkpoints(folder, "1 epochs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IndexedRows, "epoch", cut)
        with pytest.raises(Stop):
            ImageClassifier(**settings, checkpoint=kept).fit(paths, y)
    again = ImageClassifier(**settings, checkpoint=kept).fit(paths, y)
    assert torch.equal(weights(again), weights(whole)) and any(
        "resum" in str(e) or "taken" in str(e) for e in again.events_
    )
    assert not [one for one in folder.iterdir() if one.stat().st_size == x.size]  # the pixels' file had no name


def test_stores_give_what_they_were_made_of(tmp_path):
    x, _ = pictures(20)
    x = x[:, None]
    asked = []

    def decode(index):
        asked.append(len(index))
        return x[index]

    again = MadeRows(decode, x.shape, np.uint8)
    stored = on_disk(again, tmp_path)
    order = np.array([3, 3, 19, 0])
    for store in (again, stored):
        assert np.array_equal(store[:], x) and np.array_equal(store[order], x[order])
        assert np.array_equal(store[4:9], x[4:9]) and len(store) == 20 and store.shape == x.shape
    part = MappedRows(stored.array, np.array([5, 2]))
    assert np.array_equal(part[:], x[[5, 2]]) and np.array_equal(part.one(1), x[2])
    assert list(tmp_path.iterdir()) == [] and asked[0] == 20


def test_where_pictures_are_kept(monkeypatch, tmp_path):
    monkeypatch.setattr("glia.data.stream.row_store.memory_bytes", lambda: 10**9)
    assert place_for((1000, 3, 64, 64), 1) == "memory"
    assert place_for((5000, 3, 64, 64), 1, folder=tmp_path / "not" / "yet") == "disk"  # 307 MB of prepared values
    monkeypatch.setattr("shutil.disk_usage", lambda place: type("Use", (), {"free": 100_000_000}))
    assert place_for((5000, 3, 64, 64), 1) == "none"
    assert place_for((5000, 3, 64, 64), 1, "memory") == "memory"


def test_refused(tmp_path):
    x, y = pictures()
    paths = files(tmp_path / "p", x)
    disk = ImagePreparation(keep="disk")
    with pytest.raises(InputError, match=r"not resampled.*balance='batches'"):
        ImageClassifier(preparation=disk, balance="oversample", **SMALL).fit(paths, y)
    with pytest.raises(InputError, match="keep must be one of"):
        ImageClassifier(preparation=ImagePreparation(keep="dis"), **SMALL).fit(paths, y)
    (tmp_path / "p" / "0007.png").write_bytes(b"")
    for keep in ("disk", "none"):
        with pytest.raises(InputError, match=r"0007\.png.*an empty file"):
            ImageClassifier(preparation=ImagePreparation(size=12, channels=1, keep=keep), **SMALL).fit(paths, y)


MEASURED = """
import sys
import numpy as np, torch
from glia.data.images import ImagePreparation, as_images
from glia.engine.indexed_rows import IndexedRows
for count, keep in ((4000, "disk"), (16000, "disk"), (16000, "memory")):
    rows = as_images(np.load(f"{sys.argv[1]}/{count}.npy", mmap_mode="r"))
    rows = rows[np.arange(len(rows))[::2]]  # as where a part is held out
    prepared = ImagePreparation(keep=keep).fit(rows).rows_of(rows)
    source = IndexedRows(lambda i: prepared[i], torch.zeros(len(prepared)), None, prepared.shape[1:], str)
    seen = sum(len(x) for number in range(1) for x, _, _ in source.epoch(64, 0, number))
    status = open("/proc/self/status").read()
    print(seen, status.partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_memory_does_not_grow_with_the_pictures(tmp_path):
    """An epoch of fetching, as training does; in one process, whose peak can only rise."""
    rng = np.random.default_rng(0)
    for count in (4000, 16000):
        np.save(tmp_path / f"{count}.npy", rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8))
    words = [sys.executable, "-c", MEASURED, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    seen, (few, many, memory) = zip(*(map(int, line.split()) for line in done.stdout.splitlines()), strict=True)
    assert seen == (2000, 8000, 8000)
    assert many < 1.2 * few, (few, many, memory)
    assert memory > many + 20_000, (few, many, memory)  # kB: what is measured does show rows in memory


def test_rows_of_a_map_stay_on_disk(tmp_path):
    x, _ = pictures(30)
    np.save(tmp_path / "x.npy", x)
    rows = ImageRows(np.load(tmp_path / "x.npy", mmap_mode="r")[:, None])
    part = rows[np.array([4, 1])][np.array([1])]
    assert isinstance(part.items, MappedRows) and np.array_equal(part.pixels((12, 12), 1), x[[1]][:, None])
    assert part.sizes().tolist() == [[12, 12]] and part.channels() == (1,) and part.stacked and not part.floating()
    bigger = part.pixels((24, 24), 3)
    assert bigger.shape == (1, 3, 24, 24)
