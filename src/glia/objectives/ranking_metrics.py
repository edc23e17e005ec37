"""Metrics of ranking: areas under the ROC and the precision–recall curve, for one class against the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from glia.core.protocols import Task
from glia.objectives.metric import Draws, Metric, add, ratio
from glia.objectives.scored import Codes, Floats, Scored

_TASKS: frozenset[Task] = frozenset({"binary", "multiclass", "multilabel"})


def _columns(data: Scored) -> list[tuple[NDArray[np.bool_], Floats]]:
    """Return (is positive, score) per class or label that is looked for."""
    if data.task == "multilabel":
        return [(data.y[:, j] == 1, data.proba[:, j]) for j in range(data.y.shape[1])]
    looked_for = [1] if data.task == "binary" else range(len(data.classes))
    return [(data.y == c, data.proba[:, c]) for c in looked_for]


def _undefined(data: Scored) -> str:
    found = any(positive.any() and not positive.all() for positive, _ in _columns(data))
    return "" if found else "needs rows of two classes"


def _score(function: Callable[..., float]) -> Callable[[Scored], float]:
    """Mean of scikit-learn's figure over the classes that have rows both in and out of them."""

    def score(data: Scored) -> float:
        return float(
            np.mean(
                [
                    function(positive, column, sample_weight=data.sample_weight)
                    for positive, column in _columns(data)
                    if positive.any() and not positive.all()
                ]
            )
        )

    return score


@dataclass(frozen=True)
class _Ranking:
    """One column in falling order of score, and for each positive row where its ties begin and end.

    ``start``, ``end`` count among all rows; ``first``, ``last`` among the positive ones.
    """

    order: Codes
    positive: Codes
    start: Codes
    end: Codes
    first: Codes
    last: Codes
    tied: bool


def _rank(is_positive: NDArray[np.bool_], score: Floats) -> _Ranking:
    order = np.argsort(-score, kind="stable")
    new = np.concatenate([[True], np.diff(score[order]) != 0])
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(order)) - 1
    group = (np.cumsum(new) - 1)[is_positive[order]]  # of each positive row, in falling order
    first, last = np.searchsorted(group, group, "left"), np.searchsorted(group, group, "right") - 1
    tied = len(starts) < len(order)
    return _Ranking(order, order[is_positive[order]], starts[group], ends[group], first, last, tied)


def _both_areas(ranking: _Ranking, weight: Floats) -> tuple[Floats, Floats]:
    """Return ROC area and average precision of weighted resamples, (R, N) → two of (R,).

    Both are sums over positive rows k. With T and P the weight of all and of positive rows down to k (ties of k
    included): precision is P / T, and T − P is the weight of the negatives that outrank k.
    """
    seen = np.cumsum(weight[:, ranking.order], axis=1)
    own = weight[:, ranking.positive]
    found = np.cumsum(own, axis=1)
    total, positives = seen[:, -1], found[:, -1]
    if ranking.tied:
        hits, rows = found[:, ranking.last], seen[:, ranking.end]
        before = _just_before(seen, ranking.start) - _just_before(found, ranking.first)
        outranked = 0.5 * (rows - hits + before)  # a tie counts half
    else:
        hits, rows = found, seen[:, ranking.end]
        outranked = rows - hits
    negatives = total - positives
    negatives[negatives <= 1e-12 * total] = 0.0  # rounding of weights must not pass for a negative row
    lost = ratio(np.einsum("rk,rk->r", own, outranked), positives * negatives, np.nan)
    precision = ratio(np.einsum("rk,rk->r", own, ratio(hits, rows, 0.0)), positives, np.nan)
    return 1.0 - lost, np.where(negatives > 0, precision, np.nan)


def _just_before(running: Floats, start: Codes) -> Floats:
    return np.where(start > 0, running[:, np.maximum(start - 1, 0)], 0.0)


def _mean_areas(draws: Draws) -> tuple[Floats, Floats]:
    """Return both areas averaged over the columns that define them; computed once for both metrics."""
    data = draws.data
    if "rankings" not in data.cache:
        data.cache["rankings"] = [_rank(*column) for column in _columns(data) if column[0].any()]
    if "areas" not in draws.cache:
        pairs = [_both_areas(ranking, draws.weight) for ranking in data.cache["rankings"]]
        draws.cache["areas"] = tuple(_mean_defined(np.stack(column)) for column in zip(*pairs, strict=True))
    roc, precision = draws.cache["areas"]
    return roc, precision


def _mean_defined(values: Floats) -> Floats:
    defined = ~np.isnan(values)  # (columns, R)
    return ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0).astype(np.float64), np.nan)


add(
    Metric(
        "roc_auc",
        _TASKS,
        "probability",
        True,
        "chance, 0 to 1",
        "Chance that a random positive row gets a higher score than a random negative one (mean over classes).",
        _score(sk.roc_auc_score),
        lambda draws: _mean_areas(draws)[0],
        _undefined,
    )
)
add(
    Metric(
        "average_precision",
        _TASKS,
        "probability",
        True,
        "share, 0 to 1",
        "Precision averaged over all thresholds, the area under the precision–recall curve (mean over classes).",
        _score(sk.average_precision_score),
        lambda draws: _mean_areas(draws)[1],
        _undefined,
    )
)
