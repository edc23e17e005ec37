"""A short training as data, and what each remedy changes about it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from sklearn.base import clone
from torch import Tensor, nn

from glia.core.layout import Layout
from glia.diagnose.case import Case, Part, drawn_anew
from glia.diagnose.layers import RowLoss
from glia.diagnose.measures import Measures
from glia.diagnose.remedies import suggested_rate
from glia.diagnose.skill import plain_loss
from glia.diagnose.surgery import rebuilt
from glia.engine.optimizer_settings import Optimizer
from glia.estimators.training import build_network
from glia.nn import MLP

Build = Callable[[int], nn.Module]
PATIENCE = 20
_AT_START = ("exploding gradients", "dead units", "units alike")
"""Faults of the weights as they were handed in: where nobody knows how they came about, they are the start."""


@dataclass(frozen=True)
class Recipe:
    """How one arm of a proof is trained and judged.

    Parameters
    ----------
    build : callable
        Seed → network.
    train, judge : Part
        Rows to learn from, and rows that judge.
    weight : Tensor or None
        Of the rows to learn from.
    loss : RowLoss
    optimizer : Optimizer
    lr : float or None
    patience : int
        Epochs without a better validation loss before it stops; 0 takes the last weights.
    """

    build: Build
    train: Part
    judge: Part
    weight: Tensor | None
    loss: RowLoss
    optimizer: Optimizer
    lr: float | None
    patience: int = 0


def base_recipe(case: Case, m: Measures, kind: str, train: Part, judge: Part) -> Recipe:
    """Return the arm without the remedy."""
    build = case.fresh
    if kind in _AT_START and not case.known_start and m.finite:

        def build(seed: int) -> nn.Module:
            return copy.deepcopy(case.network)

    if kind == "data leak":
        judge = Part(_shuffled(judge.x, _leaked(case, m)), judge.y)
    # Both arms take the best epoch by validation, so that a better rate is not punished for learning by heart sooner;
    # only where that is the finding itself, the arm without the remedy goes on to the end.
    patience = 0 if kind == "overfitting" else PATIENCE
    return Recipe(build, train, judge, None, case.loss, case.optimizer, case.lr, patience)


def with_remedy(kind: str, case: Case, m: Measures, base: Recipe) -> Recipe:
    """Return the arm with the remedy of a verdict."""
    if kind in ("rate too high", "rate too low"):
        return replace(base, lr=suggested_rate(case, m))
    if kind == "wrong direction":
        options = {k: v for k, v in (base.optimizer.options or {}).items() if k != "maximize"}
        return replace(base, loss=plain_loss(case.task), optimizer=clone(base.optimizer).set_params(options=options))
    if kind == "unscaled inputs" or (kind == "saturation" and m.inputs is not None and m.inputs.largest > 5):
        return _scaled(case, base)
    if kind == "data leak":
        return _without(case, m, base)
    if kind == "label noise" and m.labels is not None:
        weight = torch.ones(len(base.train.x), device=base.train.x.device)
        weight[[row for row in m.labels.suspects if row < len(weight)]] = 0.0
        return replace(base, weight=weight / weight.mean())
    if kind == "overfitting":
        rule = clone(base.optimizer).set_params(name=_decoupled(base.optimizer), weight_decay=0.1)
        return replace(base, patience=PATIENCE, optimizer=rule)
    return _rebuilt(kind, case, base)


def _decoupled(rule: Optimizer) -> object:
    return "adamw" if rule.name == "adam" else rule.name


def _rebuilt(kind: str, case: Case, base: Recipe) -> Recipe:
    """Return the recipe with another network."""
    x = base.train.x
    if kind == "underfitting":
        if x.ndim != 2:
            return base
        outputs = int(case.outputs(x[:2]).shape[1])
        layout = getattr(case.model, "layout_", None) or Layout((x.shape[1],))
        spec = MLP(hidden=(128, 128), activation="silu")
        rule = Optimizer("adamw", weight_decay=0.0, clip_norm=1.0)
        return replace(base, build=_from_spec(case, spec, layout, outputs), optimizer=rule, lr=2e-3)
    if kind == "units alike":
        return replace(base, build=_specified(case, init="auto") or _he(case, x, "relu"))
    if kind == "dead units":
        other = _specified(case, activation="leaky_relu", init="auto")
        return replace(base, build=other or (lambda seed: rebuilt(case.network, seed, x, activation=nn.LeakyReLU)))
    if kind == "exploding gradients":
        other = _specified(case, norm="layer", init="auto")
        rule = clone(base.optimizer).set_params(clip_norm=1.0)
        return replace(base, build=other or (lambda seed: rebuilt(case.network, seed, x, norm=True)), optimizer=rule)
    other = _specified(case, activation="silu", norm="layer", init="auto", residual=True)
    silu = other or (lambda seed: rebuilt(case.network, seed, x, activation=nn.SiLU, norm=True))
    return replace(base, build=silu)


def _he(case: Case, x: Tensor, activation: str) -> Build:
    return lambda seed: rebuilt(drawn_anew(case.network, seed), seed, x, initialise=activation)


def _specified(case: Case, **changes: object) -> Build | None:
    """Return how Glia's own network is built with other settings; ``None`` for other networks."""
    spec = getattr(case.model, "spec_", None)
    if case.choices is None or not isinstance(spec, MLP):
        return None
    outputs = int(case.outputs(case.train.x[:2]).shape[1])
    return _from_spec(case, clone(spec).set_params(**changes), case.model.layout_, outputs)


def _from_spec(case: Case, spec: MLP, layout: Layout, outputs: int) -> Build:
    device = case.train.x.device
    if case.choices is not None:
        sample = case.train.x[:512].detach().cpu().numpy()
        return lambda seed: build_network(spec, layout, outputs, seed, sample).to(device)

    def build(seed: int) -> nn.Module:
        network = spec.build(layout, outputs)
        return drawn_anew(network, seed).to(device)

    return build


def _scaled(case: Case, base: Recipe) -> Recipe:
    """Return the recipe with standardised columns, or channels where rows have several axes."""
    x = base.train.x
    axes = [0, *range(2, x.ndim)]
    mean, std = x.mean(dim=axes, keepdim=True), x.std(dim=axes, keepdim=True, correction=0)
    std = torch.where(std > 0, std, torch.ones_like(std))
    for column in case.codes:
        mean[:, column], std[:, column] = 0.0, 1.0
    scaled = replace(base.train, x=(x - mean) / std)
    return replace(base, train=scaled, judge=replace(base.judge, x=(base.judge.x - mean) / std))


def _leaked(case: Case, m: Measures) -> list[int]:
    names = list(case.groups) or [str(name) for name in case.model.feature_names]
    where = {name: case.groups.get(name, (i,)) for i, name in enumerate(names)}
    return [place for leak in m.leaks for place in where.get(leak.column, ())]


def _shuffled(x: Tensor, columns: list[int]) -> Tensor:
    """Return rows in which some columns come from other rows: as if their values were not known."""
    shuffled = x.clone()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).to(x.device)
    shuffled[:, columns] = x[order][:, columns]
    return shuffled


def _without(case: Case, m: Measures, base: Recipe) -> Recipe:
    columns = _leaked(case, m)
    parts = []
    for part in (base.train, base.judge):
        x = part.x.clone()
        x[:, columns] = 0.0
        parts.append(replace(part, x=x))
    return replace(base, train=parts[0], judge=parts[1])
