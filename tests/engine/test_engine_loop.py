"""The training loop against one written by hand, and what it leaves behind when it ends well or badly."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from glia.core.errors import TrainingError
from glia.core.seeds import derive, torch_rng
from glia.engine.callbacks import Callback, EarlyStopping
from glia.engine.clipping import Clip
from glia.engine.history import History
from glia.engine.loop import Trainer
from glia.engine.optimizer_settings import Optimizer
from glia.engine.optimizers import make_optimizer
from glia.engine.rows import Rows, epoch_order
from glia.engine.schedules import as_schedule
from glia.objectives import losses
from glia.objectives.penalties import Penalties

MSE = losses.get("mse")()


def rows(count=37, features=4, seed=0, weight=None):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, features, generator=generator)
    y = x @ torch.linspace(-1, 1, features)[:, None] + 0.1 * torch.randn(count, 1, generator=generator)
    return Rows(x, y, weight)


def network(dropout=0.0, seed=1):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))


def weights(net):
    return [p.detach().clone() for p in net.parameters()]


def trained(data, *, valid=None, epochs=3, batch_size=8, rule="adam", lr=0.01, net=None, **settings):
    net = net or network()
    trainer = Trainer(net, MSE, make_optimizer(rule, net, lr), epochs=epochs, batch_size=batch_size, **settings)
    trainer.fit(data, valid)
    return trainer


def bits_equal(one, other):
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("rule", "build"),
    [
        ("sgd", lambda p, lr: torch.optim.SGD(p, lr=lr, fused=True)),
        ("adam", lambda p, lr: torch.optim.Adam(p, lr=lr, fused=True)),
        ("adamw", lambda p, lr: torch.optim.AdamW(p, lr=lr, weight_decay=0.0, fused=True)),
        ("rmsprop", lambda p, lr: torch.optim.RMSprop(p, lr=lr, alpha=0.99, eps=1e-8, foreach=True)),
    ],
)
def test_a_fit_is_the_loop_written_by_hand(rule, build):
    data, seed, epochs, size = rows(), 7, 3, 8
    trainer = trained(data, rule=rule, net=network(), random_state=seed, epochs=epochs, batch_size=size)

    plain = network().train()
    optimizer = build(
        [p for p in plain.parameters() if p.ndim > 1] + [p for p in plain.parameters() if p.ndim == 1], 0.01
    )
    history = []
    for epoch in range(epochs):
        torch.manual_seed(derive(seed, "epoch", epoch))
        order = torch.randperm(len(data), generator=torch_rng(seed, "order", epoch))
        total = 0.0
        for start in range(0, len(data), size):
            index = order[start : start + size]
            optimizer.zero_grad()
            loss = ((plain(data.x[index]) - data.y[index]) ** 2).mean()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(index)
        history.append(total / len(data))
    assert bits_equal(weights(trainer.network), weights(plain))
    assert trainer.history["train/loss"] == pytest.approx(history, rel=1e-6)
    assert trainer.step == epochs * math.ceil(len(data) / size)
    # The control: another seed gives another trajectory.
    assert not bits_equal(weights(trained(data, rule=rule, random_state=8).network), weights(plain))


def test_weights_count_as_repetitions():
    data = rows(24)
    times = torch.tensor([1, 2, 3] * 8)
    repeated = Rows(data.x.repeat_interleave(times, 0), data.y.repeat_interleave(times, 0))
    weighted = Rows(data.x, data.y, times / times.float().mean())
    one = trained(weighted, batch_size=100, epochs=20, rule="sgd")
    other = trained(repeated, batch_size=100, epochs=20, rule="sgd")
    for a, b in zip(weights(one.network), weights(other.network), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    control = trained(data, batch_size=100, epochs=20, rule="sgd")
    assert any((a - b).abs().max() > 1e-3 for a, b in zip(weights(one.network), weights(control.network), strict=True))


def test_a_weight_of_zero_is_absence():
    data = rows(20)
    keep = torch.tensor([1.0, 0.0] * 10)
    strange = Rows(data.x, torch.where(keep[:, None] > 0, data.y, 1e3), keep / keep.mean())
    absent = Rows(data.x[::2], data.y[::2])
    one, other = (trained(part, batch_size=50, epochs=10, rule="sgd") for part in (strange, absent))
    for a, b in zip(weights(one.network), weights(other.network), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_validation_is_a_weighted_mean():
    valid = rows(10, seed=3, weight=torch.tensor([4.0] + [0.5] * 9))
    trainer = trained(rows(), valid=valid, epochs=2, metrics={"error": lambda o, y: (o - y).abs()[:, 0]})
    with torch.no_grad():
        error = (trainer.network(valid.x) - valid.y)[:, 0].numpy()
    last = trainer.history[-1]
    assert last["valid/loss"] == pytest.approx(np.average(error**2, weights=valid.weight), rel=1e-5)
    assert last["valid/error"] == pytest.approx(np.average(np.abs(error), weights=valid.weight), rel=1e-5)


def test_clipping_bounds_the_step():
    net = network()
    before = torch.cat([p.detach().flatten() for p in net.parameters()])
    data = rows(16)
    big = Rows(data.x, 1e4 * data.y)
    trained(big, net=net, rule="sgd", lr=1.0, epochs=1, batch_size=16, clip=Clip(norm=0.5))
    after = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert float((after - before).norm()) == pytest.approx(0.5, rel=1e-4)


def test_l1_gives_exact_zeros_and_l2_only_small_weights():
    data = rows(200)
    noise = Rows(torch.cat([data.x, torch.randn(200, 6, generator=torch.Generator().manual_seed(5))], 1), data.y)

    def linear(penalties):
        torch.manual_seed(0)
        net = nn.Linear(10, 1)
        trained(noise, net=net, rule="sgd", lr=0.05, epochs=60, batch_size=200, penalties=penalties)
        return net.weight.detach().flatten()

    free, l1, l2 = linear(None), linear(Penalties(l1=0.15)), linear(Penalties(l2=0.5))
    assert (l1[4:] == 0).all() and (l1[[0, 3]].abs() > 0.5).all()
    assert (l2 != 0).all() and (free != 0).all() and l2.norm() < 0.9 * free.norm()


def test_l2_is_ridge_regression():
    data, l2 = rows(60), 0.3
    net = nn.Linear(4, 1, bias=False)
    trained(data, net=net, rule="sgd", lr=0.1, epochs=400, batch_size=60, penalties=Penalties(l2=l2))
    # The mean of squares plus l2/2·w²: its optimum solves (2/N·XᵀX + l2·I) w = 2/N·Xᵀy.
    x, y = data.x.double(), data.y.double()
    ridge = torch.linalg.solve(2 / 60 * x.T @ x + l2 * torch.eye(4), 2 / 60 * x.T @ y)
    torch.testing.assert_close(net.weight.double().T, ridge, rtol=1e-4, atol=1e-5)


def test_the_schedule_sets_the_rate_of_every_step():
    seen = []

    class Watch(Callback):
        def on_step_end(self, trainer):
            seen.append(trainer.optimizer.param_groups[0]["lr"])

    schedule = as_schedule("cosine")
    trainer = trained(rows(32), schedule=schedule, callbacks=[Watch()], lr=0.01)
    assert seen == [0.01 * schedule(step, 12, 4) for step in range(12)]
    assert trainer.optimizer.param_groups[0]["lr"] == 0.01  # given back


class Script(EarlyStopping):
    """Early stopping on figures that the test lays down, noting the weights of every epoch."""

    def __init__(self, figures, **settings):
        super().__init__(monitor="figure", **settings)
        self.figures, self.seen = figures, []

    def on_epoch_end(self, trainer, entry):
        entry["figure"] = self.figures[trainer.epoch - 1]
        self.seen.append(weights(trainer.network))
        super().on_epoch_end(trainer, entry)


@pytest.mark.parametrize(
    ("figures", "settings", "best", "epochs"),
    [
        ([3.0, 1.0, 2.0, 2.0, 0.0], {"patience": 2}, 2, 4),
        ([3.0, 1.0, 2.0, 2.0, 0.0], {"patience": 3}, 5, 5),
        ([3.0, 1.0, 2.0, 2.0, 0.5], {"patience": 0, "min_delta": 0.6}, 2, 5),
        ([3.0, 1.0, 4.0, 2.0, 0.0], {"patience": 2, "greater_is_better": True}, 3, 5),
        ([math.nan, 1.0, math.nan, 2.0, 3.0], {"patience": 0}, 2, 5),
        ([2.0, 2.0, 2.0, 2.0, 2.0], {"patience": 0}, 1, 5),
    ],
)
def test_early_stopping_restores_the_best_weights(figures, settings, best, epochs):
    script = Script(figures, **settings)
    trainer = trained(rows(), epochs=5, callbacks=[script])
    assert (script.best_epoch, len(trainer.history)) == (best, epochs)
    assert bits_equal(weights(trainer.network), script.seen[best - 1])
    assert not any(bits_equal(weights(trainer.network), seen) for i, seen in enumerate(script.seen, 1) if i != best)
    patience = settings["patience"]
    stopped = 0 < patience <= epochs - best
    expected = f"early stopping: figure no better for {patience} epochs" if stopped else "all epochs done"
    assert trainer.stop_reason == expected


def test_early_stopping_leaves_a_fit_alone_that_lacks_its_figure():
    trainer = trained(rows(), epochs=4, callbacks=[EarlyStopping(1)])
    assert len(trainer.history) == 4 and bits_equal(
        weights(trainer.network), weights(trained(rows(), epochs=4).network)
    )


def test_interrupting_keeps_the_best_weights_and_the_random_state():
    class Interrupt(Callback):
        def on_step_end(self, trainer):
            if trainer.step == 17:
                raise KeyboardInterrupt

    script = Script([1.0, 2.0, 3.0, 0.0, 0.0], patience=0)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    trainer = trained(rows(), epochs=5, callbacks=[script, Interrupt()], schedule=as_schedule("cosine"))
    assert trainer.stop_reason == "interrupted" and len(trainer.history) == 3
    assert bits_equal(weights(trainer.network), script.seen[0])
    assert torch.equal(torch.get_rng_state(), before)
    assert not trainer.network.training and trainer.optimizer.param_groups[0]["lr"] == 0.01


class Planted(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return x * self.value


@pytest.mark.parametrize(("value", "kind"), [(math.inf, "inf"), (math.nan, "nan")])
def test_a_loss_that_is_not_finite_names_the_layer(value, kind):
    net = nn.Sequential(nn.Linear(4, 4), Planted(value), nn.Linear(4, 1))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with pytest.raises(TrainingError, match=f"at epoch 1, first in layer '1' \\(Planted, output .*{kind}"):
        trained(rows(), net=net, schedule=as_schedule("cosine"))
    assert torch.equal(torch.get_rng_state(), before) and not net.training


def test_a_target_that_is_not_finite_is_named():
    data = rows()
    data.y[3] = math.inf
    with pytest.raises(TrainingError, match="first in the target"):
        trained(data, batch_size=64)


def test_a_failing_callback_leaves_no_trace():
    class Fail(Callback):
        def on_epoch_end(self, trainer, entry):
            raise ZeroDivisionError

        def on_fit_end(self, trainer):
            raise ZeroDivisionError

    net = network()
    optimizer = make_optimizer("adam", net, 0.01)
    before = torch.get_rng_state()
    trainer = Trainer(net, MSE, optimizer, epochs=2, batch_size=8, schedule=as_schedule("cosine"), callbacks=[Fail()])
    with pytest.raises(ZeroDivisionError):
        trainer.fit(rows())
    assert optimizer.param_groups[0]["lr"] == 0.01
    assert not net.training and torch.equal(torch.get_rng_state(), before)


def test_a_fit_does_not_depend_on_the_global_random_state():
    torch.manual_seed(1)
    one = trained(rows(), net=network(0.5))
    torch.manual_seed(2)
    other = trained(rows(), net=network(0.5))
    assert bits_equal(weights(one.network), weights(other.network))


def test_a_resumed_fit_goes_on_exactly():
    whole = trained(rows(), epochs=6, net=network(0.3))
    net = network(0.3)
    trainer = Trainer(net, MSE, make_optimizer("adam", net, 0.01), epochs=2, batch_size=8)
    trainer.fit(rows())
    trainer.epochs = 6
    trainer.fit(rows())
    assert bits_equal(weights(net), weights(whole.network))
    assert trainer.history["train/loss"] == whole.history["train/loss"]


def test_bfloat16_rounds_the_forward_pass_only():
    exact, rounded = trained(rows(), epochs=10), trained(rows(), epochs=10, precision="bfloat16")
    assert all(p.dtype == torch.float32 for p in rounded.network.parameters())
    assert not bits_equal(weights(exact.network), weights(rounded.network))
    assert rounded.history[-1]["train/loss"] == pytest.approx(exact.history[-1]["train/loss"], rel=0.05)
    assert rounded.predict(rows().x).dtype == torch.float32


def test_schedule_free_ends_at_the_average():
    data = rows()
    trainer = trained(data, valid=data, rule="schedule_free", epochs=8)
    assert trainer.optimizer.averaged
    # x solves y = (1−β₁)z + β₁x for the stored y and z.
    for p in trainer.network.parameters():
        state = trainer.optimizer.state[p]
        torch.testing.assert_close(0.1 * state["z"] + 0.9 * p.detach(), state["y"])
    last = MSE(trainer.network(data.x), data.y).mean().item()
    assert last == pytest.approx(trainer.history[-1]["valid/loss"], rel=1e-5)


def test_schedule_free_restores_the_average_of_the_best_epoch():
    valid, stopping = rows(12, seed=9), EarlyStopping(0)
    trainer = trained(rows(), valid=valid, rule="schedule_free", lr=1.0, epochs=12, callbacks=[stopping])
    best = trainer.history.best()
    assert trainer.validate(valid)["valid/loss"] == best["valid/loss"]
    assert stopping.best_epoch == best["epoch"] < 12


def test_a_lone_row_at_the_end_is_left_to_another_epoch():
    orders = [epoch_order(9, 4, torch_rng(0, "order", epoch)).tolist() for epoch in range(12)]
    assert all(len(set(order)) == 8 for order in orders)
    assert set(range(9)) == set().union(*orders)
    for count, size in ((8, 4), (10, 4), (3, 1), (1, 4), (4, 4)):
        assert sorted(epoch_order(count, size, torch_rng(0)).tolist()) == list(range(count))


def test_no_rows_are_an_error():
    with pytest.raises(TrainingError, match="at least one row"):
        trained(Rows(torch.zeros(0, 4), torch.zeros(0, 1)))


def test_history_reads_and_writes(tmp_path):
    history = History([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": math.nan, "more": np.float32(0.5)}])
    history.append({"epoch": 3, "loss": 1.0})
    assert history["more"] == [None, np.float32(0.5), None] and len(history) == 3 and history[-1]["epoch"] == 3
    assert history.best("loss")["epoch"] == 3 and history.best("loss", greater_is_better=True)["epoch"] == 1
    assert history.best("absent") is None
    history.save(tmp_path / "history.jsonl")
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history.to_list()
    assert json.loads(lines[1]) == {"epoch": 2, "loss": None, "more": 0.5}
    assert History(history.to_list()).to_list() == history.to_list()
    assert repr(History()) == "History(0 epochs; last: none)" and "loss=1" in repr(history)


def test_optimizer_settings_make_what_they_say():
    net = network()
    settings = Optimizer("adamw", weight_decay=0.1, clip_norm=2.0, options={"betas": (0.8, 0.9)})
    made = settings.make(net, 0.01)
    assert {group["weight_decay"] for group in made.param_groups} == {0.1, 0.0}
    assert all(group["betas"] == (0.8, 0.9) and group["lr"] == 0.01 for group in made.param_groups)
    assert settings.clip() == Clip(norm=2.0) and Optimizer().clip() is None
