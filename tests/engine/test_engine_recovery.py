"""What goes wrong in a fit and is put right: steps that are not finite, and memory that runs out."""

import math
import os

import pytest
import torch
from torch import nn

import glia
from glia.core.errors import TrainingError
from glia.engine.callbacks import Callback
from glia.engine.checkpointing import Checkpointing
from glia.engine.events import event_lines, trouble
from glia.engine.loop import GOOD_EVERY, LOWERED, ROLLBACKS, Trainer
from glia.engine.optimizer_settings import Optimizer
from glia.engine.rows import Rows
from glia.objectives import losses

MSE = losses.get("mse")()


def steep(count=64, seed=0):
    """Rows on which gradient descent on a linear model diverges above a rate that can be told: 2 over the curvature."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, generator=generator)
    return Rows(x, x @ torch.tensor([[1.0], [-2.0], [0.5]]))


def critical_rate(rows):
    # The mean of squares has the Hessian 2/N XᵀX; gradient descent contracts below 2 over its largest eigenvalue.
    return 2 / float(torch.linalg.eigvalsh(2 / len(rows) * rows.x.T @ rows.x).max())


@pytest.fixture(autouse=True)
def without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def line(seed=1):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(3, 1)


def descend(rows, factor, *, epochs=300, callbacks=(), net=None, **settings):
    """Full-batch gradient descent at ``factor`` times the critical rate; a step per epoch."""
    net = net or line()
    optimizer = torch.optim.SGD(net.parameters(), lr=factor * critical_rate(rows))
    trainer = Trainer(
        net, MSE, optimizer, epochs=epochs, batch_size=len(rows), callbacks=callbacks, **settings
    )  # fmt: skip
    trainer.fit(rows)
    return trainer


def test_a_rate_that_explodes_is_lowered_until_it_holds():
    rows = steep()
    # Above twice the critical rate the error grows by more than 1 each step: past float32's range within 300 steps.
    trainer = descend(rows, 10.0)
    assert [event["event"] for event in trainer.events] == ["rolled back"] * 2  # 10 → 2.5 → 0.625 of the critical rate
    assert [event["rate"] for event in trainer.events] == [LOWERED, LOWERED**2]
    assert trainer.epoch == 300 == len(trainer.history)
    torch.testing.assert_close(trainer.network.weight.detach(), torch.tensor([[1.0, -2.0, 0.5]]), rtol=1e-4, atol=1e-5)
    # The control: below the critical rate nothing is rolled back, and the answer is the same.
    assert descend(rows, 0.625).events == []
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(10 * critical_rate(rows))  # given back


def test_after_three_times_it_is_an_error_that_names_the_place():
    rows = steep()
    with pytest.raises(TrainingError, match=r"must stay finite · got a non-finite loss at epoch \d+"):
        descend(rows, 2 / LOWERED**ROLLBACKS * 1.5)
    assert len(descend(rows, 1.5 * 0.6 / LOWERED**ROLLBACKS / 1.5).events) == ROLLBACKS


class Bomb(Callback):
    """Makes one weight infinite after a step, so many times."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def on_step_end(self, trainer):
        if self.steps and trainer.step == self.steps[0]:
            self.steps.pop(0)
            with torch.no_grad():
                next(trainer.network.parameters()).view(-1)[0] = math.inf


def bombed(steps, *, epochs=6, batch_size=1, callbacks=(), schedule=None):
    net = line()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    trainer = Trainer(
        net, MSE, optimizer, epochs=epochs, batch_size=batch_size, schedule=schedule,
        callbacks=[Bomb(*steps), *callbacks],
    )  # fmt: skip
    trainer.fit(steep(64), steep(10, 3))
    return trainer


def lowered_by_hand(at, *, epochs=6):
    """The same fit, which at ``at`` steps is at once given the lower rate, without anything having gone wrong."""

    class Lower(Callback):
        def on_fit_start(self, trainer):
            if at == 0:
                trainer.rate *= LOWERED

        def on_epoch_end(self, trainer, entry):
            if trainer.step == at:
                trainer.rate *= LOWERED

    return bombed((), epochs=epochs, callbacks=[Lower()])


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.network.parameters()])


@pytest.mark.parametrize(("bomb", "good"), [(70, 0), (127, 0), (130, 128), (300, 256)])
def test_it_goes_back_to_the_last_good_state_and_on_with_a_lower_rate(bomb, good):
    # Good states are kept at ends of epochs (64 steps each) that lie at least GOOD_EVERY steps apart.
    assert GOOD_EVERY == 100
    trainer = bombed([bomb])
    event = trainer.events[0]
    assert (event["epoch"], event["step"], event["rate"]) == (bomb // 64 + 1, bomb, LOWERED)
    assert "weight" in event["cause"] and len(trainer.events) == 1
    assert torch.equal(weights(trainer), weights(lowered_by_hand(good)))
    assert [entry["epoch"] for entry in trainer.history] == [1, 2, 3, 4, 5, 6]


def test_the_same_good_state_can_be_gone_back_to_again():
    twice = bombed([130, 131])
    assert [event["step"] for event in twice.events] == [130, 131]

    class Twice(Callback):
        def on_epoch_end(self, trainer, entry):
            if trainer.step == 128:
                trainer.rate *= LOWERED**2

    assert torch.equal(weights(twice), weights(bombed((), callbacks=[Twice()])))


@pytest.mark.parametrize("cut", [128, 129, 260])
def test_a_resumed_fit_goes_back_to_where_an_unbroken_one_would_have(tmp_path, cut):
    class Cut(Callback):
        def on_step_end(self, trainer):
            if trainer.step == cut:
                raise InterruptedError

    ticks = iter(range(10**9))
    keep = [Checkpointing(tmp_path, 0.5, fingerprint={}, clock=lambda: float(next(ticks)))]
    unbroken = weights(bombed([300]))
    with pytest.raises(InterruptedError):
        bombed([300], callbacks=[Cut(), *keep])
    again = bombed([300], callbacks=[Callback(), *keep])
    assert [event["event"] for event in again.events] == ["resumed", "rolled back"]
    assert torch.equal(weights(again), unbroken)
    again = bombed([cut + 20], callbacks=[Callback(), *keep])  # done: nothing is trained again
    assert torch.equal(weights(again), unbroken)


@pytest.mark.parametrize("after", [3, 60])
def test_a_cut_between_a_roll_back_and_the_end(tmp_path, after):
    class Cut(Callback):
        def on_step_end(self, trainer):
            if trainer.events and trainer.step == 128 + after:
                raise InterruptedError

    ticks = iter(range(10**9))
    keep = [Checkpointing(tmp_path, 0.5, fingerprint={}, clock=lambda: float(next(ticks)))]
    with pytest.raises(InterruptedError):
        bombed([180], callbacks=[Cut(), *keep])
    again = bombed([], callbacks=[Callback(), *keep])
    assert [event["event"] for event in again.events] == ["rolled back", "resumed"]
    assert torch.equal(weights(again), weights(bombed([180])))


class Narrow(nn.Module):
    """A layer that has memory for so many rows only."""

    def __init__(self, rows, error=torch.OutOfMemoryError):
        super().__init__()
        self.rows, self.error, self.seen = rows, error, []

    def forward(self, x):
        if self.training:
            self.seen.append(len(x))
            if len(x) > self.rows:
                raise self.error("out of memory: could not allocate")
        return x


def narrow_fit(limit, *, weight=None, error=torch.OutOfMemoryError, callbacks=(), drop=0.0):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(100, 5, generator=generator)
    rows = Rows(x, x[:, :1] * x[:, 1:2], weight)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        net = nn.Sequential(nn.Linear(5, 16), Narrow(limit, error), nn.Tanh(), nn.Dropout(drop), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    trainer = Trainer(net, MSE, optimizer, epochs=5, batch_size=32, callbacks=callbacks)
    trainer.fit(rows)
    return trainer


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("limit", "piece"), [(31, 16), (16, 16), (15, 8), (5, 4), (1, 1)])
def test_memory_that_runs_out_costs_time_and_not_the_result(limit, piece, weighted):
    weight = torch.linspace(0.2, 1.8, 100) if weighted else None
    whole, pieces = narrow_fit(10**6, weight=weight), narrow_fit(limit, weight=weight)
    torch.testing.assert_close(weights(pieces), weights(whole), rtol=1e-5, atol=1e-6)
    assert pieces.history["train/loss"] == pytest.approx(whole.history["train/loss"], rel=1e-5)
    found = [event["rows"] for event in pieces.events]
    assert found[-1] == piece and found == [32 >> i for i in range(1, len(found) + 1)] and whole.events == []
    seen = pieces.network[1].seen
    assert max(seen[len(found) + 1 :]) <= piece  # once is enough: no step tries the whole batch again


def test_the_last_small_batch_too_and_other_words_for_it():
    for error in (MemoryError, lambda text: RuntimeError("DefaultCPUAllocator: can't allocate memory: 10 bytes")):
        assert narrow_fit(16, error=error).events[0]["rows"] == 16


def test_what_is_no_lack_of_memory_or_cannot_be_cut_is_raised():
    with pytest.raises(RuntimeError, match="a bug"):
        narrow_fit(16, error=lambda text: RuntimeError("a bug"))
    with pytest.raises(torch.OutOfMemoryError):
        narrow_fit(0)


@pytest.mark.parametrize("cut", [1, 4, 6, 13])
def test_pieces_are_remembered_by_a_resumed_fit(tmp_path, cut):
    class Cut(Callback):
        def on_step_end(self, trainer):
            if trainer.step == cut:
                raise InterruptedError

    ticks = iter(range(10**9))
    keep = Checkpointing(tmp_path, 0.5, fingerprint={}, clock=lambda: float(next(ticks)))
    unbroken = narrow_fit(9, drop=0.3)
    with pytest.raises(InterruptedError):
        narrow_fit(9, callbacks=[keep, Cut()][::-1], drop=0.3)
    again = narrow_fit(9, callbacks=[Callback(), keep], drop=0.3)
    assert torch.equal(weights(again), weights(unbroken))
    kinds = [event["event"] for event in again.events]
    assert kinds == (["memory exhausted"] * 2 if cut == 1 else ["memory exhausted"] * 2 + ["resumed"])


def test_it_is_told_in_words():
    events = [
        {"event": "memory exhausted", "epoch": 1, "step": 0, "rows": 16},
        {"event": "resumed", "epoch": 2, "step": 9},
        {"event": "memory exhausted", "epoch": 3, "step": 20, "rows": 8},
        {
            "event": "rolled back",
            "epoch": 3,
            "step": 21,
            "cause": "first in layer '0' (Linear, output inf)",
            "rate": 0.25,
        },
        {"event": "something new", "epoch": 4, "step": 30},
    ]
    assert event_lines(events) == [
        "the run was cut off and taken up again (epoch 2, step 9)",
        "memory was exhausted (epoch 3, step 20), so batches were computed in pieces of 8 rows",
        "a step was not finite (epoch 3, step 21: first in layer '0' (Linear, output inf)), so training went back to "
        "its last good state and on with the learning rate times 0.25",
        "something new (epoch 4, step 30)",
    ]
    assert trouble(events[:1] + events[1:2]) == event_lines(events[:1])[0] and trouble(events[1:2]) == trouble([]) == ""


def test_an_estimator_tells_its_user():
    rows = steep(200)
    model = glia.Regressor(
        network=nn.Linear(3, 1), preparation="none", optimizer=Optimizer("sgd"), lr=10.0, batch_size=200, epochs=300
    )
    with pytest.warns(UserWarning, match="training went on after trouble: a step was not finite"):
        model.fit(rows.x.numpy(), rows.y[:, 0].numpy())
    assert model.events_[0]["event"] == "rolled back"
