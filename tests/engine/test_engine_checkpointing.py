"""When checkpoints are written, who may go on from them, and what happens when they cannot be written."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import glia
from glia.core.errors import InputError
from glia.engine import checkpointing as module
from glia.engine.callbacks import Callback, EarlyStopping
from glia.engine.checkpoint import checkpoint_files, read_checkpoint
from glia.engine.checkpointing import Checkpointing, Checkpoints, as_checkpoints
from glia.engine.fingerprint import differences, fingerprint
from glia.engine.intervals import Every, read_interval
from glia.engine.loop import Trainer
from glia.engine.optimizers import make_optimizer
from glia.engine.rows import Rows
from glia.objectives import losses

try:
    import resource
except ImportError:  # not on Windows
    resource = None

STEPS, EPOCHS = 5, 3
THIS = {"fit": "this"}


def rows(count=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, generator=generator)
    return Rows(x, x @ torch.linspace(-1, 1, 4)[:, None])


class Clock:
    """Seconds, one more with every step of the trainer."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Tick(Callback):
    def __init__(self, clock, stop_at=None):
        self.clock, self.stop_at = clock, stop_at

    def on_step_end(self, trainer):
        self.clock.now += 1
        if trainer.step == self.stop_at:
            raise RuntimeError("cut off")


def fit(folder, *, stop_at=None, epochs=EPOCHS, valid=None, **settings):
    """Train with checkpoints; return the trainer, also when it was cut off."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 1))
    clock = Clock()
    keep = Checkpointing(folder, **{"every_seconds": math.inf, "fingerprint": THIS, "clock": clock, **settings})
    trainer = Trainer(
        net, losses.get("mse")(), make_optimizer("adam", net, 0.01), epochs=epochs, batch_size=8,
        callbacks=[EarlyStopping(2), Tick(clock, stop_at), keep],
    )  # fmt: skip
    try:
        trainer.fit(rows(), valid)
    except RuntimeError as error:
        assert stop_at and str(error) == "cut off"
    return trainer


@pytest.fixture(autouse=True)
def without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.network.parameters()])


def written(monkeypatch):
    """Note the (epoch, batch) of every checkpoint that is written."""
    seen = []
    write = module.write_checkpoint

    def noted(folder, state, **more):
        seen.append((state[0]["place"]["epoch"], state[0]["place"]["batch"]))
        return write(folder, state, **more)

    monkeypatch.setattr(module, "write_checkpoint", noted)
    return seen


@pytest.mark.parametrize(
    ("settings", "places"),
    [
        ({}, [(3, 0)]),
        ({"every_epochs": 1}, [(1, 0), (2, 0), (3, 0)]),
        ({"every_epochs": 2}, [(2, 0), (3, 0)]),
        ({"every_seconds": 4}, [(0, 4), (1, 3), (2, 2), (3, 0)]),
        ({"every_seconds": 6, "every_epochs": 1}, [(1, 0), (2, 0), (3, 0)]),
        ({"every_seconds": 100}, [(3, 0)]),
    ],
)
def test_when_it_is_written(tmp_path, monkeypatch, settings, places):
    seen = written(monkeypatch)
    trainer = fit(tmp_path, **settings)
    assert seen == places and len(checkpoint_files(tmp_path)) == min(2, len(places))
    last = read_checkpoint(tmp_path)
    assert last.about["fingerprint"] == THIS and (last.about["epoch"], last.about["epochs"]) == (3, 3)
    assert torch.equal(weights(trainer), weights(fit(tmp_path / "other", every_epochs=1)))


def test_from_any_step_the_fit_ends_with_the_same_bits(tmp_path):
    unbroken = weights(fit(tmp_path / "unbroken"))
    for step in range(1, STEPS * EPOCHS + 1):
        folder = tmp_path / str(step)
        fit(folder, every_seconds=1, stop_at=step)
        again = fit(folder)
        assert torch.equal(weights(again), unbroken)
        # The step that was cut off had no checkpoint yet: the one before was the last.
        assert [(e["event"], e["step"]) for e in again.events] == [("resumed", step - 1)] * (step > 1)
        assert len(again.history) == EPOCHS and again.stop_reason == "all epochs done"


def test_many_cuts_in_one_fit(tmp_path):
    for step in (3, 4, 9, 9, 14, 15):
        fit(tmp_path, every_seconds=1, stop_at=step)
    last = fit(tmp_path)
    assert torch.equal(weights(last), weights(fit(tmp_path / "unbroken")))
    # The second cut at 9 came before anything new was kept: of the beginning before it nothing is left.
    assert [event["step"] for event in last.events] == [2, 3, 8, 13, 14]


def test_a_training_that_was_done_is_not_done_again(tmp_path):
    done = fit(tmp_path, epochs=30, valid=Rows(rows(10, 5).x, torch.zeros(10, 1)))
    assert done.stop_reason.startswith("early stopping") and done.epoch < 30
    said = []
    again = fit(tmp_path, epochs=30, valid=Rows(rows(10, 5).x, torch.zeros(10, 1)), stop_at=1, say=said.append)
    assert torch.equal(weights(again), weights(done)) and again.stop_reason == done.stop_reason
    assert again.events == [] and said == [f"the training was done already ({done.epoch} epochs)"]
    assert again.history.to_list() == done.history.to_list()


def test_another_fit_is_refused_or_takes_the_place(tmp_path):
    mine, other = {"epochs": "3", "rows": "a" * 64}, {"epochs": "4", "rows": "b" * 64}
    fit(tmp_path, fingerprint=mine)
    with pytest.raises(InputError) as error:
        fit(tmp_path, fingerprint=other)
    assert str(error.value) == (
        "checkpoints are continued by the fit that wrote them, with the same settings and data · "
        f"got {str(tmp_path)!r} of another one: epochs=4 (before: 3); another rows · "
        "give the same again, or another folder, or delete this one"
    )
    assert read_checkpoint(tmp_path).about["fingerprint"] == mine
    said = []
    anew = fit(tmp_path, fingerprint=other, replace=True, say=said.append)
    assert anew.events == [] and anew.step == STEPS * EPOCHS and "will be replaced" in said[0]
    assert read_checkpoint(tmp_path).about["fingerprint"] == other


def test_a_damaged_one_falls_back_and_goes(tmp_path):
    fit(tmp_path, every_seconds=1, stop_at=9)
    newest = checkpoint_files(tmp_path)[0]
    bad = newest.read_bytes()[:-40]
    newest.write_bytes(bad)
    with pytest.warns(UserWarning, match=f"{newest.name} is damaged: going on from the one before"):
        again = fit(tmp_path)
    assert [event["step"] for event in again.events] == [7]
    assert newest.read_bytes() != bad and read_checkpoint(tmp_path).path == newest  # its number went to a good one
    assert torch.equal(weights(again), weights(fit(tmp_path / "unbroken")))


def test_another_torch_is_said(tmp_path, monkeypatch):
    fit(tmp_path, every_seconds=1, stop_at=9)
    monkeypatch.setattr(torch, "__version__", "9.9")
    with pytest.warns(UserWarning, match=r"written with torch 2.*, this is 9\.9: the last bits"):
        fit(tmp_path)


def test_it_must_be_the_last_callback_and_its_intervals_above_0(tmp_path):
    trainer = fit(tmp_path)
    trainer.callbacks.append(Callback())
    with pytest.raises(InputError, match="must be the last callback"):
        trainer.fit(rows())
    for wrong in ({"every_seconds": 0}, {"every_seconds": math.nan}, {"every_epochs": 0}):
        with pytest.raises(InputError, match="interval between checkpoints"):
            fit(tmp_path, **wrong)


def failing(monkeypatch, error, *, times):
    """Let so many writes fail, after half of the file."""
    from glia.engine import checkpoint

    put, calls = checkpoint._put, []

    def fails(file, data):
        calls.append(len(data))
        if len(calls) <= times:
            put(file, data[: len(data) // 2])
            raise error
        put(file, data)

    monkeypatch.setattr(checkpoint, "_put", fails)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError("no memory")])
def test_training_goes_on_where_nothing_can_be_written(tmp_path, monkeypatch, error):
    fit(tmp_path, every_seconds=1, stop_at=4)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    failing(monkeypatch, error, times=5)
    with pytest.warns(UserWarning, match="no checkpoint could be written to .* training goes on") as seen:
        fit(tmp_path, every_seconds=1, stop_at=3 + 5)
    assert len(seen) == 1 and {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    monkeypatch.undo()
    failing(monkeypatch, error, times=2)
    with pytest.warns(UserWarning, match=str(error.args[-1])) as seen:
        again = fit(tmp_path, every_seconds=1)  # tries again, and can
    assert len(seen) == 1 and read_checkpoint(tmp_path).state[0]["place"]["epoch"] == EPOCHS
    assert torch.equal(weights(again), weights(fit(tmp_path / "unbroken")))


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.warns(UserWarning, match=r"must be writable.*training goes on") as seen:
        trainer = fit(tmp_path / "file" / "run", every_seconds=1)
    assert len(seen) == 1 and torch.equal(weights(trainer), weights(fit(tmp_path / "unbroken")))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(tmp_path):
    fit(tmp_path, every_seconds=1, stop_at=9)
    names = sorted(path.name for path in tmp_path.iterdir())
    tmp_path.chmod(0o500)
    try:
        with pytest.warns(UserWarning, match="training goes on"):
            again = fit(tmp_path, every_seconds=1)
    finally:
        tmp_path.chmod(0o700)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert [event["step"] for event in again.events] == [8]


@pytest.mark.skipif(resource is None, reason="needs limits of resources")
def test_a_limit_that_the_system_sets(tmp_path):
    """No file may grow beyond 3000 bytes: a real error of a real write, in the middle of a file."""
    fit(tmp_path, every_seconds=1, stop_at=4)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert min(map(len, before.values())) > 3000
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with pytest.warns(UserWarning, match=r"File too large.*training goes on") as seen:
            trainer = fit(tmp_path, every_seconds=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(seen) == 1 and {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert torch.equal(weights(trainer), weights(fit(tmp_path / "unbroken")))


def test_a_mistake_in_the_code_is_not_taken_for_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "write_checkpoint", lambda *a, **k: (_ for _ in ()).throw(RuntimeError("a bug")))
    with pytest.raises(AssertionError):
        fit(tmp_path)


@pytest.mark.parametrize(
    ("text", "every"),
    [
        ("60s", Every(seconds=60)),
        (" 1.5 MIN ", Every(seconds=90)),
        ("2h", Every(seconds=7200)),
        ("1 d", Every(seconds=86400)),
        ("5 epochs", Every(epochs=5)),
        ("1 epoch", Every(epochs=1)),
        ("none", Every()),
    ],
)
def test_intervals_are_read(text, every):
    assert read_interval(text) == every


@pytest.mark.parametrize("text", ["", "60", "s", "0s", "-1s", "1.5 epochs", "0 epochs", "3 weeks", "1e3s", "nan s"])
def test_other_intervals_are_refused(text):
    with pytest.raises(InputError, match="write 60s, 10min, 2h or 5 epochs"):
        read_interval(text)


def test_a_fingerprint_tells_what_matters_and_nothing_else():
    class Own:
        """With an address in its repr."""

    x = torch.arange(6.0).reshape(2, 3)

    def of(x=x, settings=None, **parts):
        return fingerprint(settings or {"lr": 0.1, "own": Own()}, rows=Rows(x, x, None), **parts)

    assert of() == of() == of(x.clone())  # two objects, two addresses
    assert differences(of(), of(settings={"lr": 0.2, "own": Own()})) == ["lr=0.1 (before: 0.2)"]
    assert differences(of(), of(x.reshape(3, 2))) == ["another rows"]
    assert differences(of(), of(x.double())) == ["another rows"]
    assert differences(of(), of(torch.where(x == 5, 5.000001, x))) == ["another rows"]
    assert of(w={"a": x}) != of(w={"b": x}) and of(w=[x, None]) != of(w=[None, x])
    assert of(w=[x.to(torch.bfloat16), torch.empty(0), torch.tensor(1)]) == of(
        w=[x.to(torch.bfloat16), torch.empty(0), torch.tensor(1)]
    )

    class Source:
        def fingerprint(self):
            return "mine"

    assert of(w=Source())["w"] == "mine"
    with pytest.raises(InputError, match=r"w: int without fingerprint\(\)"):
        of(w=3)


def test_what_may_name_checkpoints():
    assert as_checkpoints(None) is None and as_checkpoints("run") == Checkpoints("run")
    assert as_checkpoints(Path("run")).folder == Path("run")
    plan = Checkpoints("run", "2 epochs")
    assert as_checkpoints(plan) is plan and plan.callback(THIS).every_epochs == 2
    assert plan.callback(THIS).every_seconds == math.inf
    for wrong in ("", 3, True, ["run"]):
        with pytest.raises(InputError, match="checkpoint must be a folder"):
            as_checkpoints(wrong)


def stopping(monkeypatch, step):
    """Have whatever trains next fall at that step."""
    train_step = Trainer.train_step

    def falls(self, x, y, weight):
        if self.step == step:
            raise RuntimeError("cut off")
        return train_step(self, x, y, weight)

    monkeypatch.setattr(Trainer, "train_step", falls)


def test_an_estimator_goes_on(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 3))
    y = np.where(x[:, 0] + 0.5 * rng.normal(size=600) > 0, "a", "b")
    settings = {"epochs": 4, "batch_size": 64, "random_state": 3, "members": 1}
    alone = glia.Classifier(**settings).fit(x, y)
    kept = Checkpoints(tmp_path, "1 epoch")
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="cut off"):
        stopping(patch, 19)
        glia.Classifier(**settings, checkpoint=kept).fit(x, y)
    model = glia.Classifier(**settings, checkpoint=kept).fit(x, y)
    assert [event["event"] for event in model.events_] == ["resumed"] and alone.events_ == []
    np.testing.assert_array_equal(model.predict_proba(x), alone.predict_proba(x))
    assert model.temperature_ == alone.temperature_
    # Once it is done, the same again takes no step; other rows, settings or a seed are another fit.
    with monkeypatch.context() as patch:
        stopping(patch, -1)
        patch.setattr(Trainer, "run_epoch", lambda *a: pytest.fail("trained again"))
        glia.Classifier(**settings, checkpoint=str(tmp_path)).fit(x, y)
    for change, said in (({"epochs": 5}, r"epochs=5 \(before: 4\)"), ({"random_state": 4}, "seed")):
        with pytest.raises(InputError, match=said):
            glia.Classifier(**{**settings, **change}, checkpoint=tmp_path).fit(x, y)
    with pytest.raises(InputError, match="another training_rows"):
        glia.Classifier(**settings, checkpoint=tmp_path).fit(np.exp(x), y)
    # Neither partial_fit nor a warm start takes anything from the folder or puts anything there.
    names = sorted(path.name for path in tmp_path.iterdir())
    model.partial_fit(x, y)
    model.set_params(warm_start=True).fit(x, y)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    glia.save(model, tmp_path / "model.glia")
    assert glia.load(tmp_path / "model.glia").checkpoint is None


def test_looking_at_the_clock_is_all_that_a_step_costs(tmp_path):
    calls = []
    keep = Checkpointing(tmp_path, 60.0, fingerprint=THIS, clock=lambda: calls.append(1) or 0.0)
    keep.on_step_end(None)  # would fail if it did more
    assert calls == [1]
