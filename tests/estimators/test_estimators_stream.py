import threading
import weakref

import numpy as np
import polars as pl
import pytest
import torch

from glia import Classifier, Preparation, Regressor
from glia.core.errors import InputError
from glia.data.stream import MappedBlocks, Parts, Stream, open_array
from glia.data.stream.shuffle import plan_pools, room
from glia.engine.callbacks import Callback
from glia.engine.checkpointing import Checkpoints
from glia.engine.loop import Trainer
from glia.engine.rows import Rows
from glia.engine.sources import Source
from glia.engine.stream_source import StreamSource
from glia.estimators.settings import FitSettings
from glia.estimators.stream_fit import fit_mapped, fit_stream
from glia.estimators.stream_table import stream_of
from glia.estimators.table_fit import targets
from glia.nn import MLP

NETWORK = MLP(hidden=(16,))
PARTS = Parts(sample=600, test=300, valid=300)


def table(rows=4000, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, rows))
    word = rng.choice(["red", "green", "blue"], rows)
    score = a + (word == "red") - 0.5 * b + 0.3 * rng.normal(size=rows)
    return pl.DataFrame(
        {
            "a": pl.Series(a).set(pl.Series(rng.random(rows) < 0.05), None),
            "b": b.astype(np.float32),
            "word": word,
            "y": np.where(score > 0, "yes", "no"),
            "value": 1000 + 50 * score,
            "level": np.digitize(score, [-0.5, 0.7]),
            "w": rng.random(rows) + 0.5,
        }
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stream")
    table(2500, 0).write_parquet(folder / "a.parquet", row_group_size=100)
    table(1500, 1).write_parquet(folder / "b.parquet", row_group_size=100)
    return folder


def classifier(**settings):
    return Classifier(**{"network": NETWORK, "epochs": 6, "batch_size": 64, **settings})


OTHERS = ["value", "level", "w"]


@pytest.fixture(scope="module")
def fitted(path):
    stream = Stream(path, target="y", drop=OTHERS, parts=PARTS)
    return fit_stream(classifier(), stream), stream


def test_a_fit_from_disk_learns_like_one_from_memory(fitted):
    model, stream = fitted
    rows = pl.concat([table(2500, 0), table(1500, 1)]).drop(OTHERS)
    kept = np.delete(np.arange(4000), stream.survey().held)
    plain = classifier().fit(
        rows[kept].drop("y"), rows[kept]["y"], validation=(stream.valid.frame.drop("y"), stream.valid.frame["y"])
    )
    disk = model.evaluate(stream.test, stream.test.target, n_boot=10).metrics["roc_auc"].value
    memory = plain.evaluate(stream.test.frame.drop("y"), stream.test.target, n_boot=10).metrics["roc_auc"].value
    assert disk > 0.9
    assert disk == pytest.approx(memory, abs=0.01)
    assert model.history_[-1]["train/loss"] == pytest.approx(plain.history_[-1]["train/loss"], abs=0.02)
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.n_iter_ == 6
    assert model.temperature_ != 1.0


def test_the_same_seed_gives_the_same_bits(path, fitted):
    again = fit_stream(classifier(), Stream(path, target="y", drop=OTHERS, parts=PARTS))
    other = fit_stream(classifier(random_state=1), Stream(path, target="y", drop=OTHERS, parts=PARTS))
    for name, value in fitted[0].network_.state_dict().items():
        assert torch.equal(value, again.network_.state_dict()[name])
    assert not all(
        torch.equal(value, other.network_.state_dict()[name]) for name, value in fitted[0].network_.state_dict().items()
    )


def prepared(path, monkeypatch=None, **settings):
    """Return what a fit trains on."""
    caught = []

    def keep(estimator, source, held, x, **_):
        caught.append(source)
        return estimator

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glia.estimators.stream_fit._train", keep)
        model = fit_stream(classifier(**settings), Stream(path, target="y", drop=["value", "level"], parts=PARTS))
    return caught[0], model


def test_one_epoch_is_every_training_row_once(path):
    source, model = prepared(path)
    assert isinstance(source, Source)
    rows = pl.concat([table(2500, 0), table(1500, 1)])
    kept = np.delete(np.arange(4000), source.blocks.survey.held)
    expected = model._transform(model._unified(rows[kept]))
    batches = list(source.epoch(64, 0, 0))
    x, y = torch.cat([b[0] for b in batches]), torch.cat([b[1] for b in batches])
    assert len(source) == len(x) == len(kept)
    assert x.dtype == y.dtype == torch.float32
    found = np.column_stack([x.numpy(), y.numpy()])
    known = np.column_stack([expected, (rows[kept]["y"] == "yes").to_numpy()]).astype(np.float32)
    assert np.array_equal(found[np.lexsort(found.T)], known[np.lexsort(known.T)])
    assert {len(b[0]) for b in batches[:-1]} == {64}


@pytest.mark.parametrize("skip", [0, 1, 7, 30, 53, 54])
def test_an_epoch_goes_on_in_the_middle(path, skip):
    source, _ = prepared(path)
    source.pool_rows = 700
    whole = list(source.epoch(64, 3, 2))
    rest = list(source.epoch(64, 3, 2, skip))
    assert len(rest) == len(whole) - skip
    for (x, y, _), (u, v, _) in zip(rest, whole[skip:], strict=True):
        assert torch.equal(x, u)
        assert torch.equal(y, v)


def owner(array):
    """Return what holds the memory of an array, behind all views."""
    while isinstance(array, np.ndarray):
        array = array.base
    return getattr(array, "obj", array)


def test_no_more_rows_are_held_than_the_buffer(path, monkeypatch):
    """Pools are counted when they are made and when they are gone, while the consumer is slow and while it is fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glia.data.stream.stream._FEWEST", 100)
        source, _ = prepared(path)
    source.pool_rows = 500
    alive, most = 0, 0

    def counted(shape, dtype):
        nonlocal alive, most
        array = room(shape, dtype)
        if len(shape) > 1:
            alive += len(array)
            most = max(most, alive)
            weakref.finalize(owner(array), gone, len(array))
        return array

    def gone(rows):
        nonlocal alive
        alive -= rows

    monkeypatch.setattr("glia.data.stream.shuffle.room", counted)
    for x, _, _ in source.epoch(64, 0, 0):
        del x
    largest = max(int(source.blocks.counts[p].sum()) for p in plan_pools(source.blocks.counts, 500, 0, 0))
    assert largest <= 500
    assert alive == 0
    assert 0 < most <= 3 * 500  # in use, ready; for a moment the next one before the old one is dropped
    assert not [thread for thread in threading.enumerate() if thread.name == "glia-prefetch"]


def test_labels_that_are_sorted_on_disk_do_not_hurt(tmp_path):
    """Against the same rows in random order on disk, and against reading in the order of the disk, which does hurt."""
    rows, fresh = table(8000, 3).drop(OTHERS), table(4000, 4).drop(OTHERS)
    shuffled, ordered = tmp_path / "shuffled.parquet", tmp_path / "sorted.parquet"
    rows.write_parquet(shuffled, row_group_size=100)
    rows.sort("y").write_parquet(ordered, row_group_size=100)

    def score(path, pool_rows, in_order=False):
        stream = Stream(path, target="y", parts=PARTS)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("glia.data.stream.memory.Budget.pool_rows", lambda self, width: pool_rows)
            patch.setattr("glia.data.stream.stream._FEWEST", 100)
            if in_order:
                patch.setattr(
                    "glia.data.stream.shuffle.plan_pools",
                    lambda counts, *_: [np.array([i]) for i in np.flatnonzero(counts)],
                )
            stream = Stream(path, target="y", parts=PARTS)
            model = fit_stream(classifier(epochs=2, early_stopping=False, schedule="constant"), stream)
        result = model.evaluate(fresh.drop("y"), fresh["y"], n_boot=10).metrics
        return result["roc_auc"].value, result["log_loss"].value

    small = 800  # a tenth of the rows
    fair, sorted_, wrong = score(shuffled, small), score(ordered, small), score(ordered, small, in_order=True)
    assert sorted_[0] == pytest.approx(fair[0], abs=0.01)
    assert sorted_[1] == pytest.approx(fair[1], abs=0.02)
    assert wrong[1] > fair[1] + 0.1


def test_batches_of_sorted_labels_have_balanced_classes(tmp_path):
    """The spread of the classes' shares is that of batches drawn at random."""
    rows = table(12_000, 3).drop(OTHERS).sort("y")
    rows.write_parquet(tmp_path / "sorted.parquet", row_group_size=100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glia.data.stream.stream._FEWEST", 100)
        source = _source(tmp_path / "sorted.parquet")
    source.pool_rows = 2500
    shares = np.array([float(y.mean()) for _, y, _ in source.epoch(100, 0, 0)][:-1])
    share = float((rows["y"] == "yes").mean())
    assert shares.std() == pytest.approx(np.sqrt(share * (1 - share) / 100), rel=0.25)
    first, second = shares[: len(shares) // 2].mean(), shares[len(shares) // 2 :].mean()
    assert first == pytest.approx(second, abs=0.03)


def _source(path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glia.estimators.stream_fit._train", lambda estimator, source, *_, **__: source)
        return fit_stream(classifier(), Stream(path, target="y", parts=PARTS))


def test_quantities_several_classes_and_several_targets(path):
    stream = Stream(path, target="value", drop=["y", "level", "w"], parts=PARTS)
    model = fit_stream(Regressor(network=NETWORK, epochs=15, batch_size=64), stream)
    assert model.evaluate(stream.test, stream.test.target, n_boot=10).metrics["r2"].value > 0.7
    assert len(model.conformity_) == 300
    stream = Stream(path, target="level", drop=["y", "value", "w"], parts=PARTS)
    model = fit_stream(classifier(), stream)
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.evaluate(stream.test, stream.test.target, n_boot=10).metrics["accuracy"].value > 0.6
    stream = Stream(path, target=["value", "b"], drop=["y", "level", "w"], parts=PARTS)
    assert fit_stream(Regressor(network=NETWORK, epochs=2), stream).predict(stream.test).shape == (300, 2)
    stream = Stream(path, target=["y", "word"], drop=OTHERS, parts=PARTS)
    with pytest.raises(InputError, match=r"two classes .* 3 of 'word'"):
        fit_stream(classifier(), stream)


def test_classes_that_the_sample_lacks_are_known(tmp_path):
    rows = table(5000).drop(OTHERS)
    rows = rows.with_columns(y=pl.when(pl.int_range(5000) == 2345).then(pl.lit("perhaps")).otherwise("y"))
    rows.write_parquet(tmp_path / "a.parquet")
    stream = Stream(tmp_path / "a.parquet", target="y", parts=Parts(sample=50, test=20, valid=20))
    assert fit_stream(classifier(epochs=1), stream).classes_.tolist() == ["no", "perhaps", "yes"]


def test_weights_have_mean_one_and_count(path):
    source, _ = prepared(path)
    assert next(iter(source.epoch(64, 0, 0)))[2] is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glia.estimators.stream_fit._train", lambda estimator, source, *_, **__: source)
        rows = Stream(path, target="y", weight="w", drop=["value", "level"], parts=PARTS)
        weighted = fit_stream(classifier(), rows)
        balanced = fit_stream(classifier(class_weight="balanced"), Stream(path, target="y", drop=OTHERS, parts=PARTS))
    weight = torch.cat([w for _, _, w in weighted.epoch(64, 0, 0)])
    assert float(weight.double().mean()) == pytest.approx(1.0, abs=1e-6)
    assert float(weight.std()) > 0.1
    y, weight = (torch.cat(parts) for parts in list(zip(*balanced.epoch(64, 0, 0), strict=True))[1:])
    assert float(weight[y == 1].sum()) == pytest.approx(float(weight[y == 0].sum()), rel=0.05)


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("fault", ["damaged", "changed", "interrupt"])
def test_faults_in_the_middle_leave_no_thread(tmp_path, fault, monkeypatch):
    path = tmp_path / "a.parquet"
    table(4000).drop(OTHERS).write_parquet(path, row_group_size=500)
    stream = Stream(path, target="y", parts=PARTS)
    stream.survey()
    if fault == "damaged":
        data = bytearray(path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 2000] = b"\xff" * 2000
        path.write_bytes(data)
        message = "Parquet file must be whole"
    elif fault == "changed":
        rows = table(4000).drop(OTHERS)
        rows.with_columns(y=pl.when(pl.int_range(4000) < 3000).then("y")).write_parquet(path, row_group_size=500)
        message = "files must stay as they are"
    else:
        monkeypatch.setattr(Trainer, "train_step", interrupt)
        with pytest.warns(UserWarning, match="interrupted"):
            model = fit_stream(classifier(), stream)
        assert model.interrupted_
    if fault != "interrupt":
        with pytest.raises(InputError, match=message):
            fit_stream(classifier(), stream)
    assert not [thread for thread in threading.enumerate() if thread.name == "glia-prefetch"]


def test_what_a_stream_cannot_be_fitted_to(path):
    stream = Stream(path, parts=PARTS, drop=OTHERS)
    for model, target, message in (
        (classifier(), None, "needs a target"),
        (classifier(), "yes", "did you mean 'y'"),
        (classifier(), np.zeros(4000), "name of a column"),
        (classifier(preparation=Preparation(impute="delete")), "y", "keeps rows with gaps"),
        (Regressor(network=NETWORK), "y", "must hold numbers"),
    ):
        with pytest.raises(InputError, match=message):
            fit_stream(model, stream, target)


@pytest.mark.parametrize("ending", ["csv", "arrow"])
def test_other_files_give_the_same_rows(tmp_path, path, ending):
    rows = table(1500, 5).drop(OTHERS)
    rows.write_parquet(tmp_path / "a.parquet")
    file = tmp_path / f"a.{ending}"
    rows.write_csv(file) if ending == "csv" else rows.write_ipc(file)
    histories = [
        fit_stream(classifier(epochs=2), Stream(one, target="y", parts=PARTS)).history_[-1]["train/loss"]
        for one in (tmp_path / "a.parquet", file)
    ]
    assert histories[0] == pytest.approx(histories[1], rel=0.15)


def test_an_array_on_disk_gives_what_it_gives_in_memory(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 5)).astype(np.float32)
    y = (x[:, 0] - 0.5 * x[:, 1] > 0).astype(int)
    np.save(tmp_path / "x.npy", x)
    mapped = open_array(tmp_path / "x.npy")
    model = fit_mapped(classifier(epochs=10), mapped, y)
    plain = classifier(epochs=10).fit(x, y)
    assert model.score(x, y) > 0.85
    assert model.score(x, y) == pytest.approx(plain.score(x, y), abs=0.02)
    again = fit_mapped(classifier(epochs=10), mapped, y)
    assert np.array_equal(model.predict_proba(x[:100]), again.predict_proba(x[:100]))
    weighted = fit_mapped(classifier(epochs=1), mapped, y, np.where(y, 100.0, 1.0), validation=(x[:200], y[:200]))
    assert weighted.predict(x).mean() > 0.9
    with pytest.raises(InputError, match="one target per row"):
        fit_mapped(classifier(), mapped, y[:10])


def test_pictures_on_disk_stay_bytes_until_they_are_trained_on(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 600)
    x = (rng.integers(0, 3, (600, 1, 6, 6)) + 2 * y[:, None, None, None]).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 1))
    model = Classifier(net, epochs=20, batch_size=32, lr=0.02)
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        real = StreamSource._batch
        patch.setattr(
            StreamSource, "_batch", lambda self, arrays: (seen.append(arrays[0].dtype), real(self, arrays))[1]
        )
        fit_mapped(model, open_array(tmp_path / "x.npy"), y)
    assert set(seen) == {np.dtype(np.uint8)}
    assert model.score(x, y) > 0.95


def test_a_source_of_blocks_trains_as_rows_in_memory_do():
    """Full batches see the same rows: the gradient of an epoch is that of the rows in memory."""
    x, y = np.random.default_rng(0).normal(size=(2, 300, 1)).astype(np.float32)
    source = StreamSource(MappedBlocks(x, y), 1000)
    rows = Rows(torch.from_numpy(x), torch.from_numpy(y))
    (u, v, _), (s, t, _) = next(source.epoch(300, 0, 0)), next(iter(rows.epoch(300, 0, 0)))
    assert float((u * v).mean()) == pytest.approx(float((s * t).mean()), rel=1e-6)


def settings(path, **others):
    return FitSettings(data=str(path), target="y", **others)


def test_settings_say_what_is_streamed(path, tmp_path):
    """A folder is streamed, a small file is not; the stream has what the settings say."""
    stream = stream_of(settings(path, drop=OTHERS, seed=3, test_fraction=0.1, validation_fraction=0.2))
    assert stream.targets == ("y",)
    assert (stream.drop, stream.random_state) == (tuple(OTHERS), 3)
    assert (stream.parts.test_fraction, stream.parts.validation_fraction) == (0.1, 0.2)
    assert stream_of(settings("rows"), stream) is stream
    assert stream_of(settings(path / "a.parquet")) is None
    assert stream_of(settings("rows in memory"), table()) is None
    with pytest.raises(InputError, match="divided at random"):
        stream_of(settings(path, group="word"))


def test_the_kept_rows_are_a_table_like_any_other(path):
    """What runs and reports work on: the rows and the split of the survey."""
    stream = stream_of(settings(path, drop=OTHERS))
    found = stream.survey()
    y, task = targets(found.table, settings(path))
    assert task == "binary"
    assert len(y) == len(found.table) == sum(map(len, (found.split.train, found.split.valid, found.split.test)))
    model = fit_stream(classifier(epochs=2), stream)
    part = found.table.take(found.split.test)
    assert model.evaluate(part, y[found.split.test], n_boot=10).metrics["roc_auc"].value > 0.8


class Cut(Callback):
    """Keeps the state after a step and ends the fit there."""

    def __init__(self, step):
        self.step, self.kept = step, None

    def on_step_end(self, trainer):
        if trainer.step == self.step:
            self.kept = trainer.state()
            raise KeyboardInterrupt


class TakenUp(Callback):
    def __init__(self, kept):
        self.kept = kept

    def on_fit_start(self, trainer):
        trainer.restore(self.kept)


def trained(source, *callbacks):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(7, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))
    optimizer = torch.optim.Adam(net.parameters())
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    trainer = Trainer(
        net,
        lambda output, y: loss(output[:, 0], y, reduction="none"),
        optimizer,
        epochs=3,
        batch_size=64,
        callbacks=callbacks,
    )
    trainer.fit(source)
    return net.state_dict()


@pytest.mark.parametrize("step", [1, 30, 54, 77, 150])
def test_a_fit_that_was_cut_off_ends_with_the_same_weights(path, step):
    source, _ = prepared(path)
    source.pool_rows = 900
    whole = trained(source)
    cut = Cut(step)
    half = trained(source, cut)
    assert not torch.equal(half["0.weight"], whole["0.weight"])
    again, _ = prepared(path)
    again.pool_rows = 900
    for name, value in trained(again, TakenUp(cut.kept)).items():
        assert torch.equal(value, whole[name])


def test_checkpoints_are_taken_up_by_the_same_stream_only(path, tmp_path, monkeypatch):
    def fit_with(checkpoint, **others):
        stream = Stream(path, **{"target": "y", "drop": OTHERS, "parts": PARTS, **others})
        return fit_stream(classifier(checkpoint=checkpoint), stream)

    whole = fit_with(None).network_.state_dict()
    kept = Checkpoints(tmp_path / "kept", every="1 epochs")
    real, steps = Trainer.train_step, []

    def killed(self, *batch):
        steps.append(1)
        if len(steps) == 130:
            raise MemoryError("pulled the plug")
        return real(self, *batch)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(Trainer, "train_step", killed)
        fit_with(kept)
    with pytest.raises(InputError, match="another training_rows"):
        fit_with(kept, random_state=5)
    with pytest.raises(InputError, match="another training_rows"):
        fit_with(kept, memory="50MB")
    for name, value in fit_with(kept).network_.state_dict().items():
        assert torch.equal(value, whole[name])


def test_the_fingerprint_of_an_array_sees_its_rows(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(2000, 3)).astype(np.float32), np.arange(2000) % 2

    def text(x, y, weight=None):
        np.save(tmp_path / "x.npy", x)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("glia.estimators.stream_fit._train", lambda estimator, source, *_, **__: source)
            return fit_mapped(classifier(), open_array(tmp_path / "x.npy"), y, weight).fingerprint()

    first = text(x, y)
    assert first == text(x, y)
    assert first != text(x + 1e-3, y)
    assert first != text(x, 1 - y)
    assert first != text(x, y, np.linspace(1, 2, 2000))
