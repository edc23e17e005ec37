"""Metrics of decisions where a row may carry any number of labels."""

from __future__ import annotations

import numpy as np
from sklearn import metrics as sk

from glia.core.protocols import Task
from glia.objectives.label_metrics import f1
from glia.objectives.metric import Draws, Metric, add
from glia.objectives.scored import Floats, Scored

_TASKS: frozenset[Task] = frozenset({"multilabel"})


def _macro_f1(data: Scored) -> float:
    total = 0.0
    for j in range(data.y.shape[1]):  # by label: one column alone is not multi-label to scikit-learn
        total += sk.f1_score(data.y[:, j], data.predicted[:, j], sample_weight=data.sample_weight, zero_division=0)
    return float(total / data.y.shape[1])


def _subset(data: Scored) -> Floats:
    return np.asarray((data.y == data.predicted).all(axis=1), dtype=np.float64)


def _wrong(data: Scored) -> Floats:
    return np.asarray((data.y != data.predicted).mean(axis=1), dtype=np.float64)


def _macro_f1_resampled(draws: Draws) -> Floats:
    return np.asarray(f1(*draws.label_marginals).mean(axis=1), dtype=np.float64)


add(
    Metric(
        "hamming_loss",
        _TASKS,
        "prediction",
        False,
        "share of labels",
        "Share of labels that are predicted wrong.",
        lambda d: (
            float(sk.hamming_loss(d.y, d.predicted, sample_weight=d.sample_weight))
            if d.y.shape[1] > 1
            else float(np.average(_wrong(d), weights=d.weight))
        ),
        lambda draws: draws.mean(_wrong(draws.data)),
    )
)
add(
    Metric(
        "subset_accuracy",
        _TASKS,
        "prediction",
        True,
        "share of rows",
        "Share of rows whose labels are all predicted right.",
        lambda d: float(sk.accuracy_score(d.y, d.predicted, sample_weight=d.sample_weight)),
        lambda draws: draws.mean(_subset(draws.data)),
    )
)
add(
    Metric(
        "label_macro_f1",
        _TASKS,
        "prediction",
        True,
        "score, 0 to 1",
        "Mean over labels of the harmonic mean of precision and recall.",
        _macro_f1,
        _macro_f1_resampled,
    )
)
