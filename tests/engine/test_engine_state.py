"""The state of a fit: whatever it is taken apart into comes back, and a fit goes on from it to the same bits."""

import json
import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from torch import nn

from glia.engine.callbacks import Callback, EarlyStopping
from glia.engine.loop import Trainer
from glia.engine.optimizers import make_optimizer, optimizers
from glia.engine.rows import Rows
from glia.engine.schedules import as_schedule
from glia.engine.state import ravel, unravel
from glia.objectives import losses
from glia.objectives.penalties import Penalties

MSE = losses.get("mse")()
EPOCHS, STEPS = 3, 5  # per epoch


def rows(count=37, seed=0, weight=None):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, generator=generator)
    return Rows(x, x @ torch.linspace(-1, 1, 4)[:, None] + 0.1 * torch.randn(count, 1, generator=generator), weight)


def network():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 1))


class At(Callback):
    """Takes the state after every step and epoch, or goes on from one, of which a part may be lost."""

    def __init__(self, state=None, lose=lambda trainer: None, look=True):
        self.given, self.lose, self.look, self.taken = state, lose, look, {}

    def on_fit_start(self, trainer):
        if self.given is not None:
            trainer.restore(self.given)
            self.lose(trainer)

    def on_step_end(self, trainer):
        if self.look:
            self.taken[trainer.step] = trainer.state()

    def on_epoch_end(self, trainer, entry):
        if self.look:
            self.taken[trainer.step, "end"] = trainer.state()


def fit(at, *, rule="adam", schedule="cosine", valid=True, weight=False):
    net = network()
    weights = torch.linspace(0.5, 1.5, 37) if weight else None
    trainer = Trainer(
        net,
        MSE,
        make_optimizer(rule, net, 0.01),
        epochs=EPOCHS,
        batch_size=8,
        schedule=as_schedule(schedule),
        penalties=Penalties(l1=0.01, l2=0.01),
        callbacks=[EarlyStopping(2), at],
        random_state=5,
    )
    trainer.fit(rows(weight=weights), rows(20, seed=3) if valid else None)
    return trainer


def facts(trainer):
    """Everything that must be the same, without the times."""
    entries = [{k: v for k, v in entry.items() if k != "seconds"} for entry in trainer.history]
    return entries, trainer.step, trainer.epoch, trainer.stop_reason


def same(one, other):
    a, b = one.network.state_dict(), other.network.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a) and facts(one) == facts(other)


@pytest.mark.parametrize("rule", optimizers.names())
def test_every_optimizer_goes_on_from_any_step_to_the_same_bits(rule):
    unbroken = fit(look := At(), rule=rule)
    for step in (1, (STEPS, "end"), STEPS + 2, EPOCHS * STEPS):
        assert same(fit(At(through_json(look.taken[step]), look=False), rule=rule), unbroken), step


def through_json(state):
    data, tensors = state
    return json.loads(json.dumps(data, allow_nan=False)), {name: value.clone() for name, value in tensors.items()}


@pytest.mark.parametrize(("schedule", "valid"), [("plateau", True), ("one_cycle", False)])
def test_every_single_step_will_do(schedule, valid):
    fixed = {"schedule": schedule, "valid": valid, "weight": True}
    unbroken = fit(At(look=False), **fixed)
    look = At()
    assert same(fit(look, **fixed), unbroken)  # looking does not disturb
    assert len(look.taken) == EPOCHS * (STEPS + 1)
    for step, state in look.taken.items():
        assert same(fit(At(state, look=False), **fixed), unbroken), step


LOST = {
    "nothing": lambda trainer: None,
    "random": lambda trainer: torch.manual_seed(0),
    "batch": lambda trainer: setattr(trainer, "batch", trainer.batch - 1),
    "total": lambda trainer: setattr(trainer, "total", 0.0),
    "history": lambda trainer: trainer.history.replace([]),
    "optimizer": lambda trainer: trainer.optimizer.state.clear(),
    "statistics": lambda trainer: trainer.network[1].running_mean.zero_(),
}


@pytest.mark.parametrize("lost", LOST)
def test_without_any_part_of_it_the_fit_is_another_one(lost):
    unbroken = fit(look := At())
    assert same(fit(At(look.taken[STEPS + 2], LOST[lost], look=False)), unbroken) == (lost == "nothing")


def test_a_state_is_a_copy_and_can_be_gone_back_to_again_and_again():
    unbroken = fit(look := At())
    state = look.taken[STEPS + 2]
    before, text = {name: value.clone() for name, value in state[1].items()}, json.dumps(state[0])
    for _ in range(2):
        assert same(fit(At(state, look=False)), unbroken)
        assert [name for name, value in state[1].items() if not torch.equal(value, before[name])] == []
        assert json.dumps(state[0]) == text


def test_the_early_stop_counts_on():
    class Script(EarlyStopping):
        def on_epoch_end(self, trainer, entry):
            entry["valid/loss"] = [3.0, 1.0, 2.0, 2.0, 2.0, 2.0][trainer.epoch - 1]
            super().on_epoch_end(trainer, entry)

    def run(at):
        net = network()
        trainer = Trainer(net, MSE, make_optimizer("sgd", net, 0.01), epochs=6, batch_size=8, callbacks=[Script(3), at])
        trainer.fit(rows())
        return trainer

    unbroken = run(look := At())
    assert unbroken.epoch == 5 and "no better for 3 epochs" in unbroken.stop_reason
    for step in (2 * STEPS + 1, 3 * STEPS, 4 * STEPS + 3):
        again = run(At(look.taken[step], look=False))
        assert same(again, unbroken) and again.callbacks[0].best_epoch == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_it_goes_on_in_the_middle_of_an_epoch():
    def run(at):
        net = network().cuda()
        stopping = EarlyStopping(2)
        trainer = Trainer(
            net, MSE, make_optimizer("adam", net, 0.01), epochs=EPOCHS, batch_size=8, callbacks=[stopping, at]
        )
        trainer.fit(rows().to(torch.device("cuda")), rows(20, seed=3).to(torch.device("cuda")))
        return trainer

    unbroken = run(look := At())
    for step in (1, STEPS + 2, (STEPS, "end")):
        data, tensors = through_json(look.taken[step])
        state = data, {name: value.cpu() for name, value in tensors.items()}  # as from a file
        assert same(run(At(state, look=False)), unbroken), step


leaves = (
    some.none()
    | some.booleans()
    | some.integers(-(2**60), 2**60)
    | some.floats()
    | some.text(max_size=4)
    | some.just("$tensor")
    | some.builds(lambda n: torch.arange(n), some.integers(0, 3))
)
trees = some.recursive(
    leaves,
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(some.text(max_size=3) | some.sampled_from(["$tensor", "$float"]), inner, max_size=3)
        | some.dictionaries(some.integers(0, 5), inner, max_size=3)
    ),
    max_leaves=12,
)


def alike(a, b):
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(alike(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(alike, a, b))
    return type(a) is type(b) and (a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees)
def test_any_tree_comes_back(tree):
    tensors = {}
    data = json.loads(json.dumps(unravel(tree, tensors), allow_nan=False))
    assert alike(ravel(data, tensors), tree)
