"""Metrics of labels of steps, with intervals from resampling whole sequences: their steps are not independent.

The cluster bootstrap (Davison and Hinkley 1997, section 3.8): sequences are drawn, each with all of its steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glia.core.counts import counted
from glia.core.protocols import Task
from glia.core.results import Interval
from glia.core.seeds import numpy_rng
from glia.objectives import EvaluationResult, metrics_for
from glia.objectives.bootstrap import interval, row_counts
from glia.objectives.metric import Draws, Metric
from glia.objectives.metrics import as_metric
from glia.objectives.scored import Floats, Scored, scored

FEW = 20
"""With fewer sequences than this the intervals are told to be rough."""
_CELLS = 400_000


def evaluate_steps(
    task: Task,
    y: ArrayLike,
    prediction: ArrayLike,
    probability: ArrayLike,
    sequence: ArrayLike,
    *,
    classes: NDArray[Any],
    sample_weight: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    n_boot: int = 500,
    level: float = 0.95,
    random_state: int = 0,
) -> EvaluationResult:
    """Score labels of steps, each metric with an interval from resampling sequences.

    Parameters
    ----------
    task : {"binary", "multiclass"}
    y, prediction : array-like (S,)
        True and predicted labels of steps.
    probability : array-like (S, K)
    sequence : array-like (S,)
        Which sequence each step is of.
    classes : ndarray (K,)
        In the order of the columns of ``probability``.
    sample_weight : array-like (S,), optional
        At least 0.
    names : sequence of str, optional
        Metrics; all of the task's by default.
    n_boot, level, random_state
        As in ``glia.objectives.evaluate``.

    Raises
    ------
    InputError
        If inputs do not fit each other.
    """
    data, codes = _scored(task, y, prediction, probability, sequence, classes, sample_weight)
    wanted = metrics_for(task) if names is None else tuple(as_metric(name, task) for name in names)
    left_out = {metric.name: reason for metric in wanted if (reason := metric.why_undefined(data))}
    used = [metric for metric in wanted if metric.name not in left_out]
    count = int(codes.max()) + 1
    drawn = _replicates(data, codes, used, n_boot, random_state) if count > 1 else {}
    figures = {}
    for metric in used:
        rng = numpy_rng(random_state, "chance", metric.name)
        chance = None if metric.chance is None else metric.chance(data, rng, n_boot)
        value = metric.score(data)
        found = interval(value, drawn[metric.name], level, chance) if drawn else None
        figures[metric.name] = found or Interval(value, float("nan"), float("nan"), level)
    result = EvaluationResult(task, len(data), figures, left_out, n_boot, level)
    return replace(result, caution=_caution(len(data), count))


def _caution(steps: int, sequences: int) -> str:
    if sequences == 1:
        return "All steps are of one sequence: with no other there is no interval."
    few = ", which are few: the intervals are rough" if sequences < FEW else ""
    return f"Rows are the labelled steps of {counted(sequences, 'sequence')}, drawn whole for the intervals{few}."


def steps_difference(
    task: Task,
    metric: Metric,
    y: ArrayLike,
    a: tuple[ArrayLike, ArrayLike],
    b: tuple[ArrayLike, ArrayLike],
    sequence: ArrayLike,
    *,
    classes: NDArray[Any],
    sample_weight: ArrayLike | None = None,
    n_boot: int = 500,
    level: float = 0.95,
    random_state: int = 0,
) -> Interval:
    """Return how much model a's figure exceeds model b's, on the same resamples of sequences.

    Parameters
    ----------
    metric : Metric
    a, b : (predictions (S,), probabilities (S, K))
        Of the two models.
    task, y, sequence, classes, sample_weight, n_boot, level, random_state
        As in ``evaluate_steps``.
    """
    sides = [_scored(task, y, *side, sequence, classes, sample_weight) for side in (a, b)]
    gap = metric.score(sides[0][0]) - metric.score(sides[1][0])
    if sides[0][1].max() < 1:
        return Interval(gap, float("nan"), float("nan"), level)
    first, second = (_replicates(*side, [metric], n_boot, random_state)[metric.name] for side in sides)
    return interval(gap, first - second, level)


def _scored(
    task: Task, y: ArrayLike, prediction: ArrayLike, probability: ArrayLike, sequence: ArrayLike,
    classes: NDArray[Any], sample_weight: ArrayLike | None,
) -> tuple[Scored, NDArray[np.intp]]:  # fmt: skip
    """Return what is scored, and the number of each step's sequence, from 0 (S,)."""
    data = scored(task, y, prediction, probability, sample_weight, classes)
    owner = np.asarray(sequence)
    if sample_weight is not None:  # what has no weight is not scored
        owner = owner[np.asarray(sample_weight, dtype=np.float64) > 0]
    return data, np.unique(owner, return_inverse=True)[1]


def _replicates(
    data: Scored, codes: NDArray[np.intp], used: Sequence[Metric], n_boot: int, random_state: int
) -> dict[str, Floats]:
    blocks: dict[str, list[Floats]] = {metric.name: [] for metric in used}
    for counts in _resampled(int(codes.max()) + 1, len(codes), n_boot, random_state):
        weight = counts[:, codes]
        draws = Draws(data, weight * data.weight if data.weighted else weight)
        for metric in used:
            blocks[metric.name].append(metric.resample(draws))
    return {name: np.concatenate(parts) for name, parts in blocks.items()}


def _resampled(sequences: int, steps: int, n_boot: int, random_state: int) -> Iterator[Floats]:
    """Yield how often each sequence is drawn, in blocks small enough for their steps."""
    size = max(1, _CELLS // max(1, steps))
    for counts in row_counts(sequences, n_boot, random_state):
        yield from (counts[start : start + size] for start in range(0, len(counts), size))
