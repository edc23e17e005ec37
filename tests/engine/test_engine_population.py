"""Every member of a population equals the same network trained alone by the plain loop."""

from __future__ import annotations

import copy
import types
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glia.core.errors import InputError, TrainingError
from glia.core.layout import Feature, Layout
from glia.engine.callbacks import Callback, EarlyStopping
from glia.engine.loop import Trainer
from glia.engine.optimizer_settings import Optimizer
from glia.engine.population import PopulationFit, train_population
from glia.engine.population_stopping import MemberStopping
from glia.engine.rows import Rows
from glia.engine.schedules import as_schedule
from glia.nn import MLP
from glia.objectives import MSE, BinaryCrossEntropy, CrossEntropy, CustomLoss, Huber, Penalties

N, D, K = 90, 6, 3
OPTIONS: dict[str, Any] = {"epochs": 4, "batch_size": 16, "random_state": 3}
TABLE = Layout(
    (5,),
    (
        Feature("a", "a", "code", 7),
        Feature("b", "b", "numeric", bins=(-2.0, -0.5, 0.0, 0.7, 2.0)),
        Feature("c", "c", "numeric", bins=(-1.0, 0.0, 1.0)),
        Feature("d", "d", "onehot"),
        Feature("e", "e", "code", 40),
    ),
)


class Convolutions(nn.Module):
    """A small network for 1 × 6 × 6 images, with batch normalisation, which only vmap can take."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.output = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(36, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(torch.relu(self.norm(self.conv(x))), 2)
        return self.output(x.flatten(1))


def classes(seed: int = 5, *, weighted: bool = True) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(N, D, generator=generator)
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).long() + (x[:, 3] > 1).long()
    return Rows(x, y, torch.rand(N, K, generator=generator) * 2 if weighted else None)


def table_rows() -> Rows:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(N, 5, generator=generator)
    x[:, 0], x[:, 4] = torch.randint(0, 7, (N,), generator=generator), torch.randint(0, 40, (N,), generator=generator)
    x[:, 3] = (x[:, 3] > 0).float()
    return Rows(x, (x[:, 0] % 2 + (x[:, 1] > 0)).long())


def build(make: Any, members: int = K) -> list[nn.Module]:
    made = []
    for k in range(members):
        torch.manual_seed(k)
        made.append(make())
    return made


def dense(spec: MLP, outputs: int = 3, layout: Layout | None = None, members: int = K) -> list[nn.Module]:
    return build(lambda: spec.build(layout or Layout((D,)), outputs), members)


def alone(
    network: nn.Module,
    loss: Any,
    train: Rows,
    valid: Rows | None = None,
    *,
    member: int = 0,
    rule: Optimizer | None = None,
    lr: float | None = None,
    **options: Any,
) -> Trainer:
    """Train one network by the plain loop, with its own column of the weights."""
    rule = rule or Optimizer("adam")
    weight = train.weight
    if weight is not None and weight.ndim == 2:
        weight = weight[:, member].contiguous()
    trainer = Trainer(network, loss, rule.make(network, lr), clip=rule.clip(), **{**OPTIONS, **options})
    trainer.fit(Rows(train.x, train.y, weight), valid)
    return trainer


def difference(one: nn.Module, other: nn.Module) -> float:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs)


def check(networks: list[nn.Module], singles: list[nn.Module], starts: list[nn.Module], limit: float = 1e-5) -> None:
    for network, single, start in zip(networks, singles, starts, strict=True):
        assert difference(network, single) < limit
        assert difference(start, single) > 1e-3  # or equality would say nothing


SPECS = {
    "relu": MLP((16, 8), "relu"),
    "silu": MLP((16, 8), "silu"),
    "gelu": MLP((16,), "gelu"),
    "tanh": MLP((16, 8), "tanh"),
    "prelu": MLP((16,), "prelu"),
    "softmax": MLP((8,), "softmax"),
    "no hidden layer": MLP(()),
    "no bias": MLP((8,), bias=False),
    "batch norm": MLP((16, 8), norm="batch"),
    "layer norm": MLP((16, 8), norm="layer"),
    "group norm": MLP((16, 8), norm="group"),
    "rms norm": MLP((16, 8), norm="rms"),
    "residual": MLP((16, 16, 8), residual=True),
    "residual, batch norm": MLP((16, 8), residual=True, norm="batch"),
    "bounded": MLP((8,), output="tanh"),
}


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *((name, form) for name in SPECS for form in ("batched", "separate")),
        *((name, "vmap") for name in ("silu", "prelu", "batch norm", "residual")),
    ],
)
def test_member_equals_network_alone(name: str, form: str) -> None:
    train, loss = classes(), CrossEntropy()
    networks = dense(SPECS[name])
    starts, singles = copy.deepcopy(networks), copy.deepcopy(networks)
    # A bias before batch normalisation has no gradient but rounding, which Adam would blow up to whole steps.
    rule = Optimizer("momentum" if "batch" in name else "adam")
    fit = train_population(networks, loss, train, optimizer=rule, lr=0.01, form=form, **OPTIONS)
    assert fit.form == form
    for k, single in enumerate(singles):
        trainer = alone(single, loss, train, member=k, rule=rule, lr=0.01)
        for mine, its in zip(fit.history, trainer.history, strict=True):
            assert mine["members/train/loss"][k] == pytest.approx(its["train/loss"], abs=1e-5)
    check(networks, singles, starts)


@pytest.mark.parametrize("numeric", ["none", "piecewise_linear", "periodic"])
def test_input_stage_of_a_table(numeric: str) -> None:
    train, loss = table_rows(), CrossEntropy()
    networks = dense(MLP((16, 8), numeric_embedding=numeric), layout=TABLE)
    starts, singles = copy.deepcopy(networks), copy.deepcopy(networks)
    assert train_population(networks, loss, train, lr=0.01, **OPTIONS).form == "batched"
    for single in singles:
        alone(single, loss, train, lr=0.01)
    check(networks, singles, starts)


def test_convolutions_by_vmap() -> None:
    train, loss = Rows(torch.randn(N, 1, 6, 6, generator=torch.Generator().manual_seed(0)), classes().y), CrossEntropy()
    networks, rule = build(Convolutions), Optimizer("momentum")
    starts, singles = copy.deepcopy(networks), copy.deepcopy(networks)
    assert train_population(networks, loss, train, optimizer=rule, lr=0.01, **OPTIONS).form == "vmap"
    for single in singles:
        alone(single, loss, train, rule=rule, lr=0.01)
    check(networks, singles, starts)


def mean_absolute(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).abs().mean()


@pytest.mark.parametrize(
    ("loss", "outputs", "target"),
    [
        (BinaryCrossEntropy(), 1, "flat"),
        (BinaryCrossEntropy(label_smoothing=0.1), 2, "wide"),
        (CrossEntropy(label_smoothing=0.1), 3, "class"),
        (MSE(), 2, "wide"),
        (Huber(), 2, "wide"),
        (CustomLoss(mean_absolute), 2, "wide"),
    ],
)
@pytest.mark.parametrize("weights", ["none", "shared", "own"])
def test_losses_and_weights(loss: Any, outputs: int, target: str, weights: str) -> None:
    rows = classes()
    y = {"class": rows.y, "flat": (rows.y > 0).float(), "wide": (rows.x[:, :2] > 0).float()}[target]
    if weights != "none" and isinstance(loss, CustomLoss):
        pytest.skip("a scalar has no rows to weight")
    train = Rows(rows.x, y, {"none": None, "shared": rows.weight[:, 0], "own": rows.weight}[weights])  # type: ignore[index]
    networks = dense(MLP((8,), "tanh"), outputs)
    starts, singles = copy.deepcopy(networks), copy.deepcopy(networks)
    train_population(networks, loss, train, lr=0.01, form="batched", **OPTIONS)
    for k, single in enumerate(singles):
        alone(single, loss, train, member=k, lr=0.01)
    check(networks, singles, starts)


RULES = ["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "adamw", "nadam", "lion"]


@pytest.mark.parametrize("name", [*RULES, "muon", "schedule_free"])
def test_own_rates_decays_and_penalties(name: str) -> None:
    """As many plain fits, each with its own figures, clipping and penalties; muon and schedule-free run in turn."""
    lrs = [0.3, 0.05, 0.1] if name in ("sgd", "adadelta") else [0.02, 0.001, 0.005]
    decays, l1, l2 = [0.1, 0.0, 0.3], [0.0, 0.02, 0.01], [0.05, 0.0, 0.01]
    train, loss = classes(), CrossEntropy()
    networks = dense(MLP((16, 8), "silu"))
    starts, singles = copy.deepcopy(networks), copy.deepcopy(networks)
    rule = Optimizer(name, clip_norm=0.5)
    fit = train_population(
        networks, loss, train, optimizer=rule, lr=lrs, weight_decay=decays, l1=l1, l2=l2,
        schedule=as_schedule("cosine"), **OPTIONS,
    )  # fmt: skip
    assert fit.form == ("separate" if name in ("muon", "schedule_free") else "batched")
    for k, single in enumerate(singles):
        own = Optimizer(name, weight_decay=decays[k], clip_norm=0.5)
        penalties = Penalties(l1[k], l2[k])
        alone(single, loss, train, member=k, rule=own, lr=lrs[k], penalties=penalties, schedule=as_schedule("cosine"))
    check(networks, singles, starts, 2e-5)


@pytest.mark.parametrize("form", ["batched", "separate"])
def test_equal_rates_with_decay_and_every_clip(form: str) -> None:
    train, loss = classes(), CrossEntropy()
    networks = dense(MLP((16, 8), "silu"))
    starts, singles = copy.deepcopy(networks), copy.deepcopy(networks)
    rule = Optimizer("adamw", weight_decay=0.2, clip_norm=0.05, clip_value=0.01)
    train_population(networks, loss, train, optimizer=rule, lr=0.01, form=form, **OPTIONS)
    for k, single in enumerate(singles):
        alone(single, loss, train, member=k, rule=rule, lr=0.01)
    check(networks, singles, starts)


@pytest.mark.parametrize("form", ["batched", "vmap", "separate"])
def test_early_stopping_of_each_member(form: str) -> None:
    """Members end at different epochs, each with the weights that it would have had alone."""
    train, valid, loss = classes(), classes(9, weighted=False), CrossEntropy()
    lrs, options = [0.1, 0.02, 0.004], {**OPTIONS, "epochs": 25}
    networks = dense(MLP((16, 8), "relu"))
    starts, singles = copy.deepcopy(networks), copy.deepcopy(networks)
    fit = train_population(networks, loss, train, valid, lr=lrs, patience=3, form=form, **options)
    epochs = []
    for k, single in enumerate(singles):
        stopping = EarlyStopping(3)
        trainer = alone(single, loss, train, valid, member=k, lr=lrs[k], callbacks=[stopping], epochs=25)
        assert fit.best_epoch[k] == stopping.best_epoch
        assert fit.best_loss[k] == pytest.approx(stopping.best, abs=1e-5)
        epochs.append(len(trainer.history))
    assert len(set(epochs)) > 1
    assert len(fit.history) == max(epochs)
    assert (max(epochs) < 25) == fit.stop_reason.startswith("early stopping")
    check(networks, singles, starts)


def test_a_fit_ends_when_all_members_are_far_above_their_best() -> None:
    """By the share, after twice the epochs of the best and four more at least, and never for losses below 0."""
    optimizer, nothing = torch.optim.SGD([torch.zeros(1)]), types.SimpleNamespace(members=4, member_state=lambda k: {})
    trainer: Any = types.SimpleNamespace(stop_reason="", optimizer=optimizer, population=nothing, trained=[])
    trainer.ended = [False, False, False, True]  # the last one failed
    stopping, seen = MemberStopping(0, excess=0.1), []
    stopping.on_fit_start(trainer)
    for epoch in range(1, 41):
        at_once = 1.0 if epoch == 1 else 1.2 if epoch < 7 else 1.05
        slowly = 1.0 if epoch == 4 else 1.09 if epoch < 20 else 1.11
        late = 1.0 if epoch == 8 else float("nan") if epoch < 15 else 0.9 if epoch == 16 else 2.0
        stopping.on_epoch_end(trainer, {"epoch": epoch, "members/valid/loss": [at_once, slowly, late, 1.0]})
        seen.append(list(stopping.exceeded))
        if trainer.stop_reason:
            break
        fresh = MemberStopping(0, excess=0.1)
        fresh.restore(stopping.state())
        stopping = fresh
    first = [next(epoch for epoch, row in enumerate(seen, 1) if row[k]) for k in range(3)]
    assert first == [5, 20, 32] and epoch == 32 and "10% above its best" in trainer.stop_reason
    below = MemberStopping(0, excess=0.1)
    below.on_fit_start(trainer)
    trainer.stop_reason = ""
    for epoch in range(1, 30):
        below.on_epoch_end(trainer, {"epoch": epoch, "members/valid/loss": [-1.0 if epoch == 1 else 5.0] * 4})
    assert not any(below.exceeded) and not trainer.stop_reason


def test_validation_rows_of_its_own_for_each_member() -> None:
    """Folds: 0/1 weights in training, the others in validation."""
    rows, loss = classes(weighted=False), CrossEntropy()
    fold = torch.arange(N) % K
    held = torch.stack([(fold == k).float() for k in range(K)], dim=1)
    networks = dense(MLP((8,)))
    train, valid = Rows(rows.x, rows.y, (1 - held) * K / (K - 1)), Rows(rows.x, rows.y, held)
    fit = train_population(networks, loss, train, valid, lr=0.01, **OPTIONS)
    for k, network in enumerate(networks):
        with torch.no_grad():
            expected = float(loss(network(rows.x[fold == k]), rows.y[fold == k]).mean())
        assert fit.best_loss[k] == pytest.approx(expected, abs=1e-5)
    mean = sum(fit.history[-1]["members/valid/loss"]) / K
    assert fit.history[-1]["valid/loss"] == pytest.approx(mean)


@pytest.mark.parametrize("form", ["batched", "vmap", "separate"])
def test_member_that_fails_does_not_harm_the_others(form: str) -> None:
    train, valid, loss = classes(), classes(9, weighted=False), CrossEntropy()
    networks = dense(MLP((16, 8), "silu"))
    with torch.no_grad():
        next(networks[1].parameters()).fill_(float("nan"))
    starts, singles = copy.deepcopy(networks), copy.deepcopy(networks)
    fit = train_population(
        networks, loss, train, valid, optimizer=Optimizer("adam", clip_norm=1.0), form=form, **OPTIONS
    )
    assert fit.failed == [False, True, False]
    assert fit.survivors == [0, 2]
    assert fit.history[-1]["members/valid/loss"][1] is None
    for k in (0, 2):
        alone(
            singles[k],
            loss,
            train,
            valid,
            member=k,
            rule=Optimizer("adam", clip_norm=1.0),
            callbacks=[EarlyStopping(0)],
        )
        check([networks[k]], [singles[k]], [starts[k]])


@pytest.mark.parametrize("form", ["batched", "separate"])
def test_all_members_failing_is_an_error(form: str) -> None:
    networks = dense(MLP((8,)))
    for network in networks:
        with torch.no_grad():
            next(network.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"all 3 have failed by epoch 1"):
        train_population(networks, CrossEntropy(), classes(), form=form, **OPTIONS)


class Interrupt(Callback):
    """Takes the state after so many of its calls and ends the fit; or starts from a state."""

    def __init__(self, after: int = -1, state: Any = None) -> None:
        self.after, self.kept, self.calls = after, state, 0

    def on_fit_start(self, trainer: Trainer) -> None:
        if self.kept is not None:
            trainer.restore(self.kept)

    def on_step_end(self, trainer: Trainer) -> None:
        self.calls += 1
        if self.calls == self.after:
            self.kept = trainer.state()
            raise KeyboardInterrupt


@pytest.mark.parametrize("form", ["batched", "vmap", "separate"])
@pytest.mark.parametrize("after", [8, 29])
def test_resumed_in_mid_epoch_to_the_same_bits(form: str, after: int) -> None:
    train, valid, loss = classes(), classes(9, weighted=False), CrossEntropy()

    def run(networks: list[nn.Module], callback: Callback) -> PopulationFit:
        return train_population(
            networks, loss, train, valid, lr=[0.02, 0.01, 0.005], patience=2, form=form, callbacks=[callback],
            schedule=as_schedule("cosine"), **{**OPTIONS, "epochs": 8},
        )  # fmt: skip

    whole, cut, resumed = (dense(MLP((16, 8), dropout=0.2)) for _ in range(3))
    first = run(whole, Callback())
    interrupt = Interrupt(after)
    run(cut, interrupt)
    second = run(resumed, Interrupt(state=interrupt.kept))
    for a, b, c in zip(whole, resumed, cut, strict=True):
        assert difference(a, b) == 0.0
        assert difference(a, c) > 0.0
    assert [e["members/valid/loss"] for e in first.history] == [e["members/valid/loss"] for e in second.history]
    assert first.best_epoch == second.best_epoch


def test_schedule_that_looks_at_the_loss_sees_each_members_own() -> None:
    train, valid, loss = classes(), classes(9, weighted=False), CrossEntropy()
    networks = dense(MLP((16, 8)))
    starts, singles = copy.deepcopy(networks), copy.deepcopy(networks)
    options = {**OPTIONS, "epochs": 12}
    lrs, make = [0.1, 0.03, 0.01], lambda: as_schedule("plateau")
    fit = train_population(networks, loss, train, valid, lr=lrs, schedule=make(), **options)
    assert fit.form == "separate"
    for k, single in enumerate(singles):
        stop = EarlyStopping(0)
        alone(
            single,
            loss,
            train,
            valid,
            member=k,
            lr=lrs[k],
            callbacks=[stop],
            schedule=as_schedule("plateau"),
            epochs=12,
        )
    check(networks, singles, starts)


def test_out_of_memory_ends_with_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole batch does not fit: pieces of it give the same gradients."""
    train, loss = classes(), CrossEntropy()
    one, other = dense(MLP((16, 8), "silu")), dense(MLP((16, 8), "silu"))
    train_population(one, loss, train, form="batched", **OPTIONS)

    def full(*args: Any) -> Tensor:
        raise MemoryError("cannot allocate memory")

    monkeypatch.setattr("glia.engine.population_dense.StackedFused.__call__", full)
    train_population(other, loss, train, form="batched", **OPTIONS)
    assert max(difference(a, b) for a, b in zip(one, other, strict=True)) < 1e-5


def test_figures_must_fit_the_members() -> None:
    networks, train = dense(MLP((8,))), classes()
    with pytest.raises(InputError, match="2 for 3 members"):
        train_population(networks, CrossEntropy(), train, lr=[0.1, 0.2], **OPTIONS)
    with pytest.raises(InputError, match="weight_decay must be finite"):
        train_population(networks, CrossEntropy(), train, weight_decay=-1.0, **OPTIONS)
    with pytest.raises(InputError, match="2 columns for 3 members"):
        part = Rows(train.x, train.y, torch.ones(N, 2))
        train_population(networks, CrossEntropy(), part, **OPTIONS)
    with pytest.raises(InputError, match="without dropout layers"):
        train_population(networks, CrossEntropy(), train, dropout=0.5, **OPTIONS)
