"""The monitor records what is true, changes nothing, costs little and leaves nothing behind."""

import statistics
import time

import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.diagnose import Monitor, MonitorResult
from glia.engine.callbacks import Callback
from glia.engine.loop import Trainer
from glia.engine.rows import Rows
from glia.objectives import losses


def rows(count=256, inputs=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, inputs, generator=generator)
    return Rows(x, (x[:, :1] * x[:, 1:2]).sin())


def network(width=16, seed=0, inputs=6):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))


def trainer_of(net, callbacks=(), epochs=3, batch=32, rule=torch.optim.Adam, lr=0.01):
    optimizer = rule(net.parameters(), lr=lr)
    return Trainer(net, losses.get("mse")(), optimizer, epochs=epochs, batch_size=batch, callbacks=list(callbacks))


class Witness(Callback):
    """Sees every step's weights and gradients by itself."""

    def __init__(self):
        self.weights, self.gradients = [], []

    def on_fit_start(self, trainer):
        self.weights.append(trainer.network[0].weight.detach().clone())

    def on_step_end(self, trainer):
        self.weights.append(trainer.network[0].weight.detach().clone())
        self.gradients.append(trainer.network[0].weight.grad.clone())


def hooks(net):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in net.modules())


def test_training_ends_bit_for_bit_as_without_it():
    plain, watched = network(), network()
    trainer_of(plain).fit(rows())
    trainer_of(watched, [Monitor(rows().x, every=1)]).fit(rows())
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))
    assert hooks(watched) == 0


def test_figures_are_those_of_an_independent_witness():
    net, witness = network(), Witness()
    monitor = Monitor(rows().x, every=4)
    trainer_of(net, [witness, monitor]).fit(rows())
    found = monitor.result()
    steps = [step for step, _ in found.of("0", "gradient_norm")]
    assert steps == list(range(1, 25, 4))
    for step, value in found.of("0", "gradient_norm"):
        assert value == pytest.approx(float(witness.gradients[step - 1].norm()))
    for step, value in found.of("0", "update"):
        before, after = witness.weights[step], witness.weights[step + 1]
        assert value == pytest.approx(float((after - before).norm() / before.norm()), rel=1e-4)
    assert (
        len(found.of("0", "update")) == 6 and len(found.of("1", "dead")) == 6 and len(found.of("3", "saturated")) == 6
    )
    assert found.of("1", "saturated") == ()


def test_plain_descent_moves_weights_by_rate_times_gradient():
    net, monitor = network(), Monitor(rows().x, every=2)
    trainer_of(net, [monitor], epochs=1, batch=256, rule=torch.optim.SGD, lr=0.1).fit(rows())
    assert len({one.step for one in monitor.moments}) == 1  # the one step has no step after it
    assert monitor.result().of("0", "update") == ()


def test_dead_units_are_seen_while_they_die():
    net, monitor = network(), Monitor(rows().x, every=1)
    with torch.no_grad():
        net[0].bias[:4] = -100.0
        net[0].bias[4:] = 5.0
    trainer_of(net, [monitor], epochs=1).fit(rows())
    assert monitor.result().of("1", "dead")[0][1] == 0.25


def test_hooks_are_gone_and_modes_are_back_after_an_exception_inside_a_look():
    class Fails(nn.Module):
        def forward(self, x):
            if not self.training:
                raise RuntimeError("only in training")
            return x

    net, monitor = nn.Sequential(nn.Linear(6, 1), Fails()), Monitor(rows().x, every=1)
    with pytest.raises(RuntimeError, match="only in training"):
        trainer_of(net, [monitor]).fit(rows())
    assert hooks(net) == 0 and monitor._before is None and monitor._weights == {}


@pytest.mark.slow
def test_it_costs_at_most_a_tenth_of_a_step_when_on_and_nothing_when_off():
    """Runs with and without it in turn, by processor time: a busy machine disturbs even that."""
    part = rows(2048, 16)

    def seconds(callbacks):
        trainer = trainer_of(network(256, inputs=16), callbacks, epochs=8, batch=128)
        start = time.process_time()
        trainer.fit(part)
        return time.process_time() - start

    seconds([]), seconds([Monitor(part.x)])
    ratios = [seconds([Monitor(part.x)]) / seconds([]) for _ in range(7)]
    assert statistics.median(ratios) <= 1.10, ratios


def test_it_keeps_to_its_budget_by_its_own_clock_and_is_not_called_when_off():
    part, monitors = rows(2048, 16), []
    for _ in range(3):
        monitors.append(Monitor(part.x))
        trainer_of(network(256, inputs=16), [monitors[-1]], epochs=8, batch=128).fit(part)
    assert statistics.median(len({one.step for one in monitor.moments}) for monitor in monitors) >= 2
    assert statistics.median(monitor.result().share for monitor in monitors) <= 0.15
    assert not [c for c in trainer_of(network()).callbacks if type(c).on_step_end is not Callback.on_step_end]


def test_the_budget_decides_how_often_it_looks():
    few, many = (Monitor(rows().x, budget=budget) for budget in (0.01, 0.5))
    for monitor in (few, many):
        trainer_of(network(), [monitor], epochs=20).fit(rows())
    assert 1 <= len(few.moments) < len(many.moments)


def test_the_result_tells_and_draws_and_a_resumed_fit_keeps_it():
    monitor = Monitor(rows().x, every=8)
    trainer_of(network(), [monitor]).fit(rows())
    found = monitor.result()
    assert isinstance(found, MonitorResult) and "looks at 5 layers" in found.summary()
    assert len(found.tables()[0].rows) == len(found.moments) and found.plot("updates").get_title(loc="left")
    again = Monitor(rows().x)
    again.restore(monitor.state())
    assert again.moments == monitor.moments


@pytest.mark.parametrize("options", [{"every": 0}, {"budget": 0.0}, {"budget": 1.0}, {"rows": 1}])
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(InputError, match=r"must be|needs"):
        Monitor(rows().x, **options)
