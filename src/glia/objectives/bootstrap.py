"""Metrics with bootstrap intervals, and the difference of two models on the same rows.

Percentile bootstrap over rows (Efron and Tibshirani 1993, chapter 13). A resample is a vector of row weights, so that
all metrics of all resamples are a few matrix products, sorted sums and counts instead of one call each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.core.results import Interval
from glia.core.seeds import numpy_rng
from glia.objectives.evaluation import EvaluationResult
from glia.objectives.metric import Draws, Metric
from glia.objectives.metrics import as_metric, metrics_for
from glia.objectives.scored import Floats, Scored, scored

_CELLS = 400_000  # resampled weights held at a time: small enough to stay in a processor's cache


def row_counts(n_rows: int, n_boot: int, random_state: int) -> Iterator[Floats]:
    """Yield how often each of ``n_rows`` rows is drawn, in blocks (R, N) that add up to ``n_boot`` resamples."""
    rng = numpy_rng(random_state, "bootstrap")
    block = max(1, min(n_boot, _CELLS // max(1, n_rows)))
    for start in range(0, n_boot, block):
        size = min(block, n_boot - start)
        drawn = rng.integers(0, n_rows, (size, n_rows))
        drawn += n_rows * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n_rows).reshape(size, n_rows).astype(np.float64)


def interval(value: float, replicates: Floats, level: float, chance: Floats | None = None) -> Interval:
    """Return the bootstrap interval of a figure; NaN bounds where fewer than half of the resamples define it.

    Parameters
    ----------
    value : float
        The figure of all rows.
    replicates : ndarray, (R,)
        Figures of the resamples.
    level : float
        Coverage.
    chance : ndarray, optional
        Figures of a perfect model, for a figure that cannot fall below 0 (calibration error). Chance lifts such a
        figure, and resampling lifts it again: the percentile interval of a perfectly calibrated model would hardly
        ever reach 0. Therefore the resamples are mirrored about the figure (the basic interval, Davison and Hinkley
        1997, section 5.2), and the lower end is 0 unless the figure exceeds what chance alone gives. Simulated with
        300 and 2,000 rows, 95 % intervals so made covered the true error in 86 to 98 % of cases, least where it is
        as small as chance.
    """
    kept = replicates[~np.isnan(replicates)]
    if len(kept) == 0 or 2 * len(kept) < len(replicates):
        return Interval(value, float("nan"), float("nan"), level)
    tails = [0.5 - level / 2, 0.5 + level / 2]
    low, high = (float(bound) for bound in np.quantile(kept, tails))
    if chance is not None:
        low, high = max(0.0, 2 * value - high), max(value, 2 * value - low)
        low = low if value > np.quantile(chance, tails[1]) else 0.0
    return Interval(value, low, high, level)


def _check(n_boot: int, level: float) -> None:
    if n_boot < 1:
        raise InputError("n_boot must be at least 1", f"n_boot={n_boot!r}")
    if not 0 < level < 1:
        raise InputError("level must lie between 0 and 1", f"level={level!r}")


def evaluate(
    task: Task,
    y: ArrayLike,
    prediction: ArrayLike | None,
    probability: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    classes: Sequence[Any] | NDArray[Any] | None = None,
    names: Sequence[str] | None = None,
    n_boot: int = 500,
    level: float = 0.95,
    random_state: int = 0,
) -> EvaluationResult:
    """Score predictions, each metric with an interval.

    Parameters
    ----------
    task : {"binary", "multiclass", "multilabel", "regression"}
        What is predicted.
    y, prediction : array-like
        Labels (N,), 0/1 (N, L) for multi-label, values (N,) or (N, T) for regression.
    probability : array-like, optional
        (N,) or (N, 2) for binary, (N, C) for multi-class, (N, L) for multi-label; without it, metrics that need
        probabilities are left out.
    sample_weight : array-like, (N,), optional
        At least 0.
    classes : array-like, optional
        Labels in the order of the columns of ``probability``; for binary the second is the positive class.
    names : sequence of str, optional
        Metrics to compute; all of the task's by default.
    n_boot : int
        Resamples, at least 1.
    level : float
        Coverage of the intervals, between 0 and 1.
    random_state : int
        Seed; the same seed gives the same resamples to every model that is scored on the same rows.

    Returns
    -------
    EvaluationResult
        Metrics with intervals, and the metrics that were left out with the reason.

    Raises
    ------
    InputError
        If inputs do not fit each other, or a metric that was asked for by name is not defined for them.
    """
    _check(n_boot, level)
    data = scored(task, y, prediction, probability, sample_weight, classes)
    wanted = metrics_for(task) if names is None else tuple(as_metric(name, task) for name in names)
    left_out = {metric.name: reason for metric in wanted if (reason := metric.why_undefined(data))}
    if names is not None and left_out:
        name, reason = next(iter(left_out.items()))
        raise InputError(f"the metric {name!r} {reason}", f"{len(data)} rows", "leave it out or hand in what it needs")
    used = [metric for metric in wanted if metric.name not in left_out]
    drawn = _replicates(data, used, n_boot, random_state)
    figures = {}
    for metric in used:
        rng = numpy_rng(random_state, "chance", metric.name)
        chance = None if metric.chance is None else metric.chance(data, rng, n_boot)
        figures[metric.name] = interval(metric.score(data), drawn[metric.name], level, chance)
    return EvaluationResult(task, len(data), figures, left_out, n_boot, level)


def _replicates(data: Scored, used: Sequence[Metric], n_boot: int, random_state: int) -> dict[str, Floats]:
    blocks: dict[str, list[Floats]] = {metric.name: [] for metric in used}
    for counts in row_counts(len(data), n_boot, random_state):
        draws = Draws(data, counts * data.weight if data.weighted else counts)
        for metric in used:
            blocks[metric.name].append(metric.resample(draws))
    return {name: np.concatenate(parts) for name, parts in blocks.items()}


def paired_difference(
    task: Task,
    metric: str | Metric,
    y: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    sample_weight: ArrayLike | None = None,
    classes: Sequence[Any] | NDArray[Any] | None = None,
    n_boot: int = 500,
    level: float = 0.95,
    random_state: int = 0,
) -> Interval:
    """Return how much model a's figure exceeds model b's, metric(a) − metric(b), on the same rows.

    Both are scored on the same resamples: rows that are hard for both cancel, which makes the interval far narrower
    than two separate ones. It excludes 0 where the rows tell the models apart.

    Parameters
    ----------
    task : Task
        What is predicted.
    metric : str or Metric
        By name; ``greater_is_better`` of the metric says which sign favours a.
    y : array-like
        As for ``evaluate``.
    a, b : array-like
        Predictions or probabilities of the two models, whichever the metric needs.
    sample_weight, classes, n_boot, level, random_state
        As for ``evaluate``.

    Raises
    ------
    InputError
        If inputs do not fit each other or the metric is not defined for them.
    """
    _check(n_boot, level)
    found = as_metric(metric, task)
    by_label = found.needs == "prediction"
    if by_label and classes is None and task in ("binary", "multiclass"):
        classes = np.unique(np.concatenate([np.asarray(y), np.asarray(a), np.asarray(b)]))
    sides = [
        scored(task, y, side if by_label else None, None if by_label else side, sample_weight, classes)
        for side in (a, b)
    ]
    for side in sides:
        if reason := found.why_undefined(side):
            raise InputError(f"the metric {found.name!r} {reason}", f"{len(side)} rows")
    first, second = (_replicates(side, [found], n_boot, random_state)[found.name] for side in sides)
    difference = found.score(sides[0]) - found.score(sides[1])
    return interval(difference, first - second, level)
