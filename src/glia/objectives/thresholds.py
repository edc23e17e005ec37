"""From which score on a row counts as positive: the best of all thresholds, for a stated purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from glia.core.decision_rule import Rule, as_cost, as_rule
from glia.core.errors import InputError
from glia.core.results import Result, Table
from glia.objectives.metric import ratio
from glia.objectives.scored import Floats

SEARCHED = ("f1", "balanced", "mcc", "cost", "recall_at_precision", "precision_at_recall")
"""Rules that are a search over thresholds."""


@dataclass(frozen=True)
class ThresholdResult(Result):
    """A threshold, and what it leads to on the rows that it was chosen on.

    Parameters
    ----------
    rule : str
        What was asked for.
    threshold : float
        From this score on, a row counts as positive.
    value : float
        The figure that was optimised, there.
    precision, recall, f1, accuracy : float
        There; precision is 0 where no row counts as positive.
    reached : bool
        Whether a stated precision or recall was reached; else the threshold is the one that comes nearest to it.
    n_rows, n_positive : int
        Rows that it was chosen on.
    """

    rule: str
    threshold: float
    value: float
    precision: float
    recall: float
    f1: float
    accuracy: float
    reached: bool
    n_rows: int
    n_positive: int

    def summary(self) -> str:
        """Return the threshold and its reason in one sentence."""
        rule = as_rule(self.rule)
        best = "the cost per row is least" if rule.cost is not None else f"{rule.words} is greatest"
        missed = "" if self.reached else " (which is out of reach; it comes nearest)"
        return (
            f"From {self.threshold:.4g} on a row counts as positive: {best} there, {self.value:.3g}{missed}, "
            f"with precision {self.precision:.3g} and recall {self.recall:.3g} on {self.n_rows:,} rows, "
            f"{self.n_positive:,} of them positive."
        )

    def tables(self) -> list[Table]:
        """Return the figures at the threshold."""
        names = ("threshold", "value", "precision", "recall", "f1", "accuracy")
        rows = tuple((name, getattr(self, name)) for name in names)
        return [Table(f"Threshold by {self.rule}", ("figure", "value"), rows)]


@dataclass(frozen=True)
class Cuts:
    """Every way to divide rows by a threshold, from "none is positive" to "all are".

    Attributes
    ----------
    threshold : ndarray (M,)
        Falling; from it on a row counts as positive. It lies midway between neighbouring scores.
    gap : ndarray (M,)
        Width of the gap between scores that it lies in.
    hits, alarms : ndarray (M,)
        Weight of positive and of negative rows that count as positive.
    """

    threshold: Floats
    gap: Floats
    hits: Floats
    alarms: Floats

    @property
    def recall(self) -> Floats:
        """Share of positive rows that are found."""
        return ratio(self.hits, np.broadcast_to(self.hits[-1], self.hits.shape), 0.0)

    @property
    def precision(self) -> Floats:
        """Share of rows that count as positive and are."""
        return ratio(self.hits, self.hits + self.alarms, 0.0)


def cuts(y: ArrayLike, score: ArrayLike, sample_weight: ArrayLike | None = None) -> Cuts:
    """Return all M ways to divide rows by a threshold, in O(N log N); parameters as for ``choose_threshold``."""
    truth, scores = np.asarray(y), np.asarray(score, dtype=np.float64)
    weight = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if truth.ndim != 1 or not truth.shape == scores.shape == weight.shape or not np.isin(truth, (0, 1)).all():
        raise InputError("y must be 0 or 1 and have one score per row", f"y {truth.shape} and score {scores.shape}")
    if not np.isfinite(scores).all() or not np.isfinite(weight).all() or (weight < 0).any():
        raise InputError("scores and weights must be finite, weights at least 0", "others")
    kept = weight > 0
    truth, scores, weight = truth[kept], scores[kept], weight[kept]
    if not truth.any() or truth.all():
        raise InputError("a threshold needs rows of both classes", f"{int(truth.sum())} positive of {len(truth)} rows")
    order = np.argsort(-scores, kind="stable")
    falling, positive = scores[order], truth[order] == 1
    last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)  # of each group of equal scores
    distinct = falling[last]
    below = np.append(distinct[1:], distinct[-1])
    middle = below + (distinct - below) / 2
    inside = (middle > below) & (middle <= distinct)  # of neighbouring floats there is no number between
    threshold = np.concatenate([[np.nextafter(distinct[0], np.inf)], np.where(inside, middle, distinct)])
    gap = np.concatenate([[0.0], distinct - below])
    hits, alarms = (np.cumsum(np.where(which, weight[order], 0.0))[last] for which in (positive, ~positive))
    return Cuts(threshold, gap, np.concatenate([[0.0], hits]), np.concatenate([[0.0], alarms]))


def choose_threshold(
    y: ArrayLike, score: ArrayLike, rule: Any = "f1", sample_weight: ArrayLike | None = None
) -> ThresholdResult:
    """Return the best of all thresholds for a purpose; exact, in O(N log N).

    Parameters
    ----------
    y : array-like (N,)
        0 or 1.
    score : array-like (N,)
        Higher for rows that look positive; of rows that the model was not trained on.
    rule : str or mapping
        ``"f1"``, ``"balanced"`` (accuracy), ``"mcc"``; ``{"cost": matrix}``: the least cost per row;
        ``{"recall_at_precision": 0.9}``: the most recall at a precision of at least 0.9;
        ``{"precision_at_recall": 0.9}``.
    sample_weight : array-like (N,), optional
        At least 0.

    Raises
    ------
    InputError
        If inputs do not fit each other, rows of one class are missing, or the rule is unknown.

    Notes
    -----
    Of equally good thresholds, the one in the widest gap between scores is taken: it is the least likely to be
    overturned by new rows. A stated precision that no threshold reaches gives the one with the highest.
    """
    wanted = as_rule(rule)
    if wanted.name not in SEARCHED:
        raise InputError(
            "the rule must be a search over thresholds", repr(rule), f"choose one of {', '.join(SEARCHED)}"
        )
    found = cuts(y, score, sample_weight)
    figure, reached = _figures(found, wanted)
    best = np.flatnonzero(figure == figure.max())
    at = int(best[np.argmax(found.gap[best])])
    hits, alarms = found.hits[at], found.alarms[at]
    positives, negatives = found.hits[-1], found.alarms[-1]
    shown = {"recall_at_precision": found.recall[at], "precision_at_recall": found.precision[at]}
    value = shown.get(wanted.name, -figure[at] if wanted.name == "cost" else figure[at])
    kept = np.ones(len(np.asarray(y)), dtype=bool) if sample_weight is None else np.asarray(sample_weight) > 0
    return ThresholdResult(
        rule=wanted.text,
        threshold=float(found.threshold[at]),
        value=float(value),
        precision=float(found.precision[at]),
        recall=float(found.recall[at]),
        f1=float(2 * hits / (hits + alarms + positives)),
        accuracy=float((hits + negatives - alarms) / (positives + negatives)),
        reached=reached,
        n_rows=int(kept.sum()),
        n_positive=int(np.asarray(y)[kept].sum()),
    )


def _figures(found: Cuts, rule: Rule) -> tuple[Floats, bool]:
    """Return what is to be largest, (M,), and whether a stated level can be reached."""
    hits, alarms = found.hits, found.alarms
    positives, negatives = hits[-1], alarms[-1]
    misses, quiet = positives - hits, negatives - alarms
    if rule.name == "f1":
        return 2 * hits / (hits + alarms + positives), True
    if rule.name == "balanced":
        return 0.5 * (hits / positives + quiet / negatives), True
    if rule.name == "mcc":
        spread = (hits + alarms) * positives * (quiet + misses) * negatives
        return ratio(hits * quiet - alarms * misses, np.sqrt(np.maximum(spread, 0.0)), 0.0), True
    if rule.name == "cost":
        c = as_cost(rule.cost, 2)
        total = quiet * c[0, 0] + alarms * c[0, 1] + misses * c[1, 0] + hits * c[1, 1]
        return -total / (positives + negatives), True
    level = rule.level or 0.0
    first, second = (found.recall, found.precision)
    bound, goal = (second, first) if rule.name == "recall_at_precision" else (first, second)
    able = bound >= level - 1e-12
    if not able.any():
        return bound + 1e-9 * goal, False
    # The other figure decides between equals; 1e-9 is below any difference that rows can make.
    return np.where(able, goal + 1e-9 * bound, -1.0), True
