"""A population that goes on with some members: what each becomes is what it would have become alone."""

import copy

import pytest
import torch

from glia.core.seeds import seeded
from glia.engine.callbacks import Callback
from glia.engine.population import finish, population_trainer
from glia.engine.rows import Rows
from glia.engine.schedules import as_schedule
from glia.nn.mlp import MLPNetwork
from glia.objectives import Objective
from glia.tuning.carry import carry

LRS, DECAYS, L1 = (3e-3, 1e-2, 1e-3, 2e-2), (0.1, 0.0, 0.01, 0.3), (0.0, 1e-3, 0.0, 1e-4)
EPOCHS, RUNG = 7, 3


class Until(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, trainer, entry):
        if trainer.epoch >= self.epoch:
            trainer.stop_reason = "rung"


def rows():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(90, 5, generator=generator)
    return Rows(x, ((x[:, 0] * x[:, 1]) > 0).float())


def networks(norm="none"):
    with seeded(0, "networks"):
        return [MLPNetwork(5, 1, (16, 16), activation="silu", norm=norm) for _ in LRS]


def trainer_of(members, form, rule, epochs=EPOCHS, norm="none", callbacks=()):
    made = [networks(norm)[k] for k in members]
    loss = Objective().resolve("binary").loss
    return population_trainer(
        made, loss, rows(), None, epochs=epochs, batch_size=16, optimizer=rule, lr=[LRS[k] for k in members],
        weight_decay=[DECAYS[k] for k in members], l1=[L1[k] for k in members], schedule=as_schedule("cosine"),
        random_state=5, form=form, callbacks=callbacks,
    ), made  # fmt: skip


def alone(member, form, rule, norm="none"):
    trainer, made = trainer_of([member], form, rule, norm=norm)
    trainer.fit(rows(), None)
    finish(trainer, made)
    return made[0]


def outputs(network, x):
    with torch.no_grad():
        return network.eval()(x)


@pytest.mark.parametrize("forms", [("batched", "batched"), ("separate", "separate"), ("batched", "separate")])
@pytest.mark.parametrize(("rule", "norm"), [("adamw", "none"), ("adamw", "layer"), ("sgd", "none"), ("sgd", "batch")])
def test_who_goes_on_ends_as_if_alone(rule, forms, norm):
    keep = [3, 1]
    old, _ = trainer_of(range(4), forms[0], rule, norm=norm, callbacks=[Until(RUNG)])
    old.fit(rows(), None)
    new, made = trainer_of(keep, forms[1], rule, norm=norm)
    carry(old, new, keep)
    assert new.epoch == RUNG
    new.fit(rows(), None)
    finish(new, made)
    x = rows().x
    stranger = outputs(alone(0, "separate", rule, norm), x)
    for network, member in zip(made, keep, strict=True):
        expected = alone(member, "separate", rule, norm)
        if forms == ("separate", "separate"):
            pairs = zip(network.state_dict().values(), expected.state_dict().values(), strict=True)
            assert all(torch.equal(a, b) for a, b in pairs)
        torch.testing.assert_close(outputs(network, x), outputs(expected, x), rtol=2e-3, atol=1e-3)
        assert not torch.allclose(outputs(network, x), stranger, atol=0.1)


def test_without_the_optimizers_memory_it_would_end_elsewhere():
    keep = [3, 1]
    old, _ = trainer_of(range(4), "separate", "adamw", callbacks=[Until(RUNG)])
    old.fit(rows(), None)
    new, made = trainer_of(keep, "separate", "adamw")
    carry(old, new, keep)
    for own in new.optimizer.own:
        own.state.clear()
    new.fit(rows(), None)
    finish(new, made)
    expected = alone(3, "separate", "adamw")
    assert not torch.allclose(made[0].output.weight, expected.output.weight, atol=1e-4)


def test_the_old_population_is_left_alone():
    old, _ = trainer_of(range(4), "batched", "adamw", callbacks=[Until(RUNG)])
    old.fit(rows(), None)
    before = copy.deepcopy(old.population.state_dict())
    new, _ = trainer_of([0], "batched", "adamw")
    carry(old, new, [0])
    new.fit(rows(), None)
    assert all(torch.equal(value, before[name]) for name, value in old.population.state_dict().items())
