"""All measures of one case, taken once, from which the rules judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from glia.core.errors import InputError
from glia.diagnose.activation_statistics import LayerActivation, activation_statistics
from glia.diagnose.budget import JUDGE, LOOK, SWEEP, TRAINING, TRIALS, Budget, budget_of, case_threads
from glia.diagnose.calibration_signs import Calibration, calibration_signs
from glia.diagnose.case import Case, Part
from glia.diagnose.curve import Curve, read_curve
from glia.diagnose.effective_rank import LayerRank, layer_ranks
from glia.diagnose.gradient_norms import LayerGradient, gradient_norms_of
from glia.diagnose.inputs import InputScale, input_scale
from glia.diagnose.label_noise import LabelNoise, label_noise
from glia.diagnose.landscape import Landscape, loss_slices
from glia.diagnose.layers import run_layers
from glia.diagnose.leaks import Leak, leaks
from glia.diagnose.noise_scale import NoiseScale, noise_scale
from glia.diagnose.rate_trial import FACTORS, SEEDS, STEPS, RateTrial, rate_trial
from glia.diagnose.reference import Reference, forest_reference
from glia.diagnose.skill import Floats, Skill, gap_interval, mean_interval, measure_skill, row_errors
from glia.diagnose.units import LayerUnits, unit_health
from glia.diagnose.update_ratios import STEPS as UPDATE_STEPS
from glia.diagnose.update_ratios import update_ratios
from glia.engine.range_test import RangeTestResult, range_test

LAYER_ROWS = 512
"""Rows that go through the layers."""
_MOST_HELD = 1 << 30
_SWEEP_STEPS, _POINTS = 100, 26
"""Steps of a sweep over rates, and points at which slices of the loss are measured."""

Gap = tuple[float, float, float]
"""A difference with its 95 % interval: value, low, high."""


@dataclass(frozen=True)
class Measures:
    """What was measured; ``None`` where it does not apply, and ``left_out`` says why.

    Parameters
    ----------
    finite : bool
        Whether all weights and outputs are finite.
    train, held : Skill
        On rows learned from, and on rows not seen.
    train_gap, held_gap : (value, low, high) or None
        Error above that of a random forest's out-of-bag answers, on the rows learned from and on those not seen.
    loss_gap : (value, low, high) or None
        Mean loss of rows not seen minus that of rows learned from, in units of the best constant's.
    """

    gradients: tuple[LayerGradient, ...]
    updates: dict[str, float] | None
    activations: tuple[LayerActivation, ...]
    units: tuple[LayerUnits, ...]
    ranks: tuple[LayerRank, ...]
    inputs: InputScale | None
    landscape: Landscape | None
    noise: NoiseScale | None
    range_test: RangeTestResult | None
    trial: RateTrial | None
    finite: bool
    train: Skill
    held: Skill | None
    reference_error: float | None
    train_gap: Gap | None
    held_gap: Gap | None
    loss_gap: Gap | None
    curve: Curve | None
    calibration: Calibration | None
    labels: LabelNoise | None
    leaks: tuple[Leak, ...]
    left_out: tuple[str, ...] = field(default=())


def take_measures(case: Case, *, random_state: int = 0, tell: Callable[[str], None] = lambda what: None) -> Measures:
    """Measure everything that applies to a case; ``tell`` is told what is being measured."""
    budget = budget_of(case)
    with case_threads(case, budget):
        return _measures(case, budget, random_state, tell)


def _measures(case: Case, budget: Budget, random_state: int, tell: Callable[[str], None]) -> Measures:
    out: list[str] = []
    tell("layers")
    looked = case.train.some(budget.rows(LAYER_ROWS, LOOK, passes=TRAINING, least=32), random_state)
    passed = run_layers(case.network, case.loss, looked.x, looked.y)
    finite = bool(torch.isfinite(passed.losses).all()) and all(
        bool(torch.isfinite(p).all()) for p in case.network.parameters()
    )
    tell("what is learned")
    some = case.train.some(budget.judged, random_state)
    output = case.outputs(some.x)
    train = measure_skill(case.task, output, some.y)
    tell("a forest to compare with")
    reference = forest_reference(case.task, some.x, some.y, random_state=random_state)
    if reference is None:
        out.append("comparison with a forest: it needs 60 rows of at most 1,000 numbers and no multi-label task")
    held, held_gap, loss_gap = _held(case, some, output, reference, train, budget.rows(_MOST_HELD, JUDGE, least=256))
    if case.held is None:
        out.append("overfitting and calibration by unseen rows: none were handed in (held_out)")
    tell("learning rates")
    trial = _trial(case, some, budget, out, random_state)
    sweep = _range(case, some, budget, out, random_state)
    tell("the loss around the weights")
    return Measures(
        gradients=gradient_norms_of(passed, case.network),
        updates=_updates(case, some, budget, random_state) if finite else None,
        activations=activation_statistics(passed.layers),
        units=unit_health(passed.layers),
        ranks=layer_ranks(passed.layers) if finite else (),
        inputs=input_scale(passed.layers, looked.x, case.codes),
        landscape=_slices(case, looked, budget, random_state) if finite else None,
        noise=_noise(case, looked, random_state) if finite else None,
        range_test=sweep,
        trial=trial,
        finite=finite,
        train=train,
        held=held,
        reference_error=None if reference is None else reference.error,
        train_gap=None if reference is None else _paired(case, output, some, reference),
        held_gap=held_gap,
        loss_gap=loss_gap,
        curve=read_curve(case.history),
        calibration=_calibration(case, random_state),
        labels=None if reference is None else label_noise(case.task, some.labels, reference),
        leaks=() if case.frame is None else leaks(case.frame, case.train.labels, case.task, random_state=random_state),
        left_out=tuple(out),
    )


def _paired(case: Case, output: torch.Tensor, part: Part, reference: Reference) -> Gap:
    rows = torch.from_numpy(reference.rows).to(output.device)
    return mean_interval(_bounded(row_errors(case.task, output[rows], part.y[rows]) - reference.errors))


def _bounded(errors: Floats) -> Floats:
    return np.nan_to_num(errors, nan=1e6, posinf=1e6, neginf=-1e6).clip(-1e6, 1e6)


def _held(
    case: Case, some: Part, output: torch.Tensor, reference: Reference | None, train: Skill, most: int
) -> tuple[Skill | None, Gap | None, Gap | None]:
    if case.held is None:
        return None, None, None
    held = case.held.some(most, 0)
    unseen = case.outputs(held.x)
    errors = _bounded(row_errors(case.task, unseen, held.y))
    behind = None if reference is None else gap_interval(errors, reference.errors)
    constant = max(train.constant, 1e-12)
    with torch.no_grad():
        new = _bounded(case.loss(unseen, held.y).double().cpu().numpy() / constant)
        old = _bounded(case.loss(output, some.y).double().cpu().numpy() / constant)
    return measure_skill(case.task, unseen, held.y), behind, gap_interval(new, old)


def _updates(case: Case, some: Part, budget: Budget, seed: int) -> dict[str, float] | None:
    if case.lr is None:
        return None
    size = min(budget.rows(case.batch_size, JUDGE, passes=TRAINING * UPDATE_STEPS, least=4), len(some.x))
    return update_ratios(
        case.network,
        case.loss,
        some.x,
        some.y,
        optimizer=case.optimizer,
        lr=case.lr,
        batch_size=size,
        random_state=seed,
    )


def _slices(case: Case, looked: Part, budget: Budget, seed: int) -> Landscape:
    part = looked.some(budget.rows(len(looked.x), 2 * LOOK, passes=_POINTS), seed)
    return loss_slices(case.network, case.loss, part.x, part.y, random_state=seed)


def _noise(case: Case, part: Part, seed: int) -> NoiseScale | None:
    batch = min(16, len(part.x) // 4)
    return noise_scale(case.network, case.loss, part.x, part.y, batch=batch, random_state=seed) if batch else None


def _range(case: Case, some: Part, budget: Budget, out: list[str], seed: int) -> RangeTestResult | None:
    size = min(case.batch_size, len(some.x))
    plan = budget.training(SWEEP, steps=_SWEEP_STEPS, batch_size=size, least=30)
    if plan is None:
        out.append("a sweep over learning rates: one step of the network is too much work for it")
        return None

    def loss(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return case.loss(output.reshape(len(y), -1), y)

    rule = case.optimizer
    try:
        return range_test(
            case.fresh(seed), loss, some.x, some.y, optimizer=rule.name, steps=plan.steps, batch_size=plan.batch_size,
            weight_decay=rule.weight_decay, random_state=seed, **(rule.options or {}),
        )  # fmt: skip
    except InputError:  # the loss is not finite before the first step
        return None


def _trial(case: Case, some: Part, budget: Budget, out: list[str], seed: int) -> RateTrial | None:
    if case.lr is None:
        out.append("learning rate: it is not known (lr, optimizer)")
        return None
    if case.own_loss:
        out.append("short trainings at several learning rates: the loss is not the task's usual one")
        return None
    # Where steps are few, all low rates look bad: rather none than so.
    plan = budget.training(
        TRIALS, steps=STEPS, batch_size=min(case.batch_size, len(some.x)), networks=len(FACTORS) + 2, seeds=SEEDS,
        least=STEPS // 2,
    )  # fmt: skip
    if plan is None:
        out.append(
            "short trainings at several learning rates: the network is too large, or its rows too long, for them"
        )
        return None
    if plan.batch_size * plan.steps < len(some.x):  # an epoch must not be more than the steps
        some = some.some(plan.batch_size * plan.steps, seed)
    constant = measure_skill(case.task, case.outputs(some.x), some.y).constant
    return rate_trial(
        case.fresh, case.loss, some.x, some.y, constant, optimizer=case.optimizer, lr=case.lr,
        batch_size=plan.batch_size, steps=plan.steps, seeds=plan.seeds, random_state=seed,
    )  # fmt: skip


def _calibration(case: Case, seed: int) -> Calibration | None:
    part = case.held
    if part is None or case.task == "regression":
        return None
    probability = np.asarray(case.model.predict_proba(part.raw), dtype=np.float64)
    if not np.isfinite(probability).all():
        return None
    return calibration_signs(case.task, part.labels, probability, random_state=seed)
