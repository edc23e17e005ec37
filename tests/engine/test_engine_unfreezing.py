"""Rates per layer, gradual unfreezing and features computed once, in the engine's own loop."""

import numpy as np
import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.engine.callbacks import Callback
from glia.engine.checkpointing import Checkpointing
from glia.engine.frozen_features import what_learns
from glia.engine.layer_rates import rate_scales
from glia.engine.loop import Trainer
from glia.engine.optimizer_settings import Optimizer
from glia.engine.population_updates import can_stack, member_rates
from glia.engine.rows import Rows
from glia.engine.unfreezing import GradualUnfreezing, unfreezing_of
from glia.nn import Backbone


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.norm = nn.Linear(4, 8), nn.BatchNorm1d(8)
        self.two, self.three, self.out = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, x):
        return self.out(self.three(torch.relu(self.two(torch.relu(self.norm(self.one(x)))))))


def rows(n=48, seed=0):
    chance = np.random.default_rng(seed)
    x = torch.from_numpy(chance.normal(size=(n, 4)).astype(np.float32))
    return Rows(x, x.sum(1, keepdim=True) ** 2)


def loss(output, y):
    return (output - y).square().mean(1)


def trainer(network, callbacks=(), epochs=4, optimizer=None, seed=0):
    rule = optimizer or Optimizer("adamw", weight_decay=0.1, clip_norm=1.0)
    made = rule.make(network, 0.01)
    return Trainer(
        network, loss, made, epochs=epochs, batch_size=16, callbacks=callbacks, clip=rule.clip(), random_state=seed
    )


def build(seed=0):
    torch.manual_seed(seed)
    return Net()


class Watch(Callback):
    """What moved in each epoch."""

    def __init__(self):
        self.moved, self.before = [], {}

    def on_fit_start(self, trainer):
        self.before = {k: v.clone() for k, v in trainer.network.state_dict().items()}

    def on_epoch_end(self, trainer, entry):
        now = {k: v.clone() for k, v in trainer.network.state_dict().items()}
        self.moved.append({k.split(".")[0] for k in now if not torch.equal(now[k], self.before[k])})
        self.before = now


def test_rates_by_depth_show_in_the_first_step():
    network = build()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    rule = Optimizer("sgd", layer_rate_decay=0.5)
    run = trainer(network, epochs=1, optimizer=rule)
    run.network.train()
    x, y = rows().x[:16], rows().y[:16]
    run.train_step(x, y, None)
    stages = {"one": 3, "norm": 3, "two": 2, "three": 1, "out": 0}
    for name, p in network.named_parameters():
        expected = -0.01 * 0.5 ** stages[name.split(".")[0]] * p.grad
        torch.testing.assert_close(p.detach() - before[name], expected, rtol=1e-3, atol=1e-7)


def test_without_a_decay_rates_are_those_of_the_network_or_one():
    assert rate_scales(build()) == {}
    assert {g["lr_scale"] for g in Optimizer().make(build(), 0.1).param_groups} == {1.0}
    spec = Backbone(build(), tune="full", rate=0.1, rate_decay=0.5)
    wrapped = nn.ModuleDict({"network": spec.build(Layout((4,)), 1)})
    found = rate_scales(wrapped)
    assert found["network.features.module.three"] == pytest.approx(0.1)
    assert found["network.features.module.one"] == pytest.approx(0.025)
    made = Optimizer().make(wrapped, 1.0)
    lr = {id(p): group["lr"] for group in made.param_groups for p in group["params"]}
    assert lr[id(wrapped["network"].head[-1].weight)] == 1.0
    assert lr[id(wrapped["network"].features.module.two.weight)] == pytest.approx(0.05)


def test_members_with_rates_by_depth_are_not_stacked():
    rates = member_rates(Optimizer(), 2, 0.01)
    assert can_stack(Optimizer("adamw"), build(), rates)
    assert not can_stack(Optimizer("adamw", layer_rate_decay=0.5), build(), rates)


@pytest.mark.parametrize("decay", [0.0, 1.5, True, "much"])
def test_a_wrong_decay_is_named(decay):
    with pytest.raises(InputError, match="layer_rate_decay"):
        Optimizer(layer_rate_decay=decay).make(build(), 0.1)


def test_stages_join_from_the_head_down():
    watch = Watch()
    network = build()
    trainer(network, [watch, GradualUnfreezing(until=0.75)], epochs=4).fit(rows())
    assert watch.moved == [
        {"out"}, {"out", "three"}, {"out", "three", "two"}, {"out", "three", "two", "one", "norm"},
    ]  # fmt: skip
    assert all(p.requires_grad for p in network.parameters())
    assert not any(module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize(("until", "expected"), [(0.0, [3, 3]), (1.0, [0, 1]), (0.5, [0, 3])])
def test_when_stages_join(until, expected):
    callback = GradualUnfreezing(until=until)
    assert [callback.open_at(epoch, 2, 3) for epoch in range(2)] == expected


def test_what_was_frozen_before_stays_frozen():
    network = build()
    network.two.requires_grad_(False)
    kept = network.two.weight.clone()
    trainer(network, [GradualUnfreezing(until=0.25)]).fit(rows())
    assert torch.equal(network.two.weight, kept)
    assert not network.two.weight.requires_grad


def test_an_error_undoes_the_freezing():
    class Fail(Callback):
        def on_epoch_end(self, trainer, entry):
            raise ZeroDivisionError

    network = build()
    with pytest.raises(ZeroDivisionError):
        trainer(network, [GradualUnfreezing(), Fail()]).fit(rows())
    assert all(p.requires_grad for p in network.parameters())
    assert not any(module._forward_pre_hooks for module in network.modules())


class Killed(Exception):
    pass


class Kill(Callback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, trainer):
        if trainer.step == self.step:
            raise Killed


@pytest.mark.parametrize("step", [2, 4, 8, 11])
def test_a_killed_fit_goes_on_to_the_same_bits(tmp_path, step):
    rule = Optimizer("adamw", weight_decay=0.1, layer_rate_decay=0.7)

    def run(extra=(), folder=None):
        network = build()
        kept = [Checkpointing(folder, every_seconds=1e-9, fingerprint={})] if folder else []
        made = trainer(network, [*extra, GradualUnfreezing(until=0.8), *kept], optimizer=rule)
        return network, made

    network, made = run()
    made.fit(rows())
    cut, broken = run([Kill(step)], tmp_path)
    with pytest.raises(Killed):
        broken.fit(rows())
    again, resumed = run([Callback()], tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(build().parameters(), again.parameters(), strict=True))
    resumed.fit(rows())
    assert resumed.step == made.step
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert not all(torch.equal(a, b) for a, b in zip(cut.parameters(), again.parameters(), strict=True))


def test_a_network_asks_for_its_own_unfreezing():
    spec = Backbone(build(), tune="gradual", until=0.3)
    wrapped = nn.ModuleDict({"network": spec.build(Layout((4,)), 1)})
    (callback,) = unfreezing_of(wrapped)
    assert callback.until == 0.3
    names = [name for stage in callback.stages for name in stage.names]
    assert names == [f"network.features.module.{name}" for name in ("three", "two", "one", "norm")]
    assert unfreezing_of(build()) == []
    assert unfreezing_of(Backbone(build(), tune="full").build(Layout((4,)), 1)) == []


def test_frozen_features_are_computed_once_and_train_the_same_head():
    counted = []

    class Counting(Net):
        def forward(self, x):
            counted.append(len(x))
            return super().forward(x)

    torch.manual_seed(0)
    source = Counting()
    networks = [Backbone(source).build(Layout((4,)), 1) for _ in range(2)]
    networks[1].head.load_state_dict(networks[0].head.state_dict())
    data = rows()
    counted.clear()
    learned = what_learns(networks[0], data, rows(10, 1))
    assert learned.network is networks[0].head
    assert counted == [48, 10]
    trainer(learned.network).fit(learned.train, learned.valid)
    assert counted == [48, 10]  # nothing more in training
    trainer(networks[1]).fit(data)
    for a, b in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    tuned = Backbone(source, tune="full").build(Layout((4,)), 1)
    assert what_learns(tuned, data, None).network is tuned


def test_a_wrong_share_is_named():
    with pytest.raises(InputError, match="until"):
        GradualUnfreezing(until=2)
