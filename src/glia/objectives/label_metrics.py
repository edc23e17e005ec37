"""Metrics of decisions: predicted classes against true ones, for one class per row."""

from __future__ import annotations

import numpy as np
from sklearn import metrics as sk

from glia.core.protocols import Task
from glia.objectives.metric import Draws, Metric, add, ratio
from glia.objectives.scored import Floats, Scored

_BINARY: frozenset[Task] = frozenset({"binary"})
_MULTICLASS: frozenset[Task] = frozenset({"multiclass"})


def _accuracy(draws: Draws) -> Floats:
    return draws.mean((draws.data.y == draws.data.predicted).astype(np.float64))


def _balanced(data: Scored) -> float:
    # Not ``balanced_accuracy_score``, which warns where a predicted class does not occur in y: here it may.
    present = np.unique(data.y)
    return float(
        sk.recall_score(
            data.y, data.predicted, labels=present, average="macro", sample_weight=data.sample_weight, zero_division=0
        )
    )


def _balanced_resampled(draws: Draws) -> Floats:
    right, true, _ = draws.marginals
    return ratio(ratio(right, true, 0.0).sum(axis=1), (true > 0).sum(axis=1).astype(np.float64), np.nan)


def _mcc_resampled(draws: Draws) -> Floats:
    right, true, guess = draws.marginals
    total = draws.total
    covariance = right.sum(axis=1) * total - (true * guess).sum(axis=1)
    spread = (total**2 - (true**2).sum(axis=1)) * (total**2 - (guess**2).sum(axis=1))
    return ratio(covariance, np.sqrt(np.maximum(spread, 0.0)), 0.0)


def _precision(right: Floats, true: Floats, guess: Floats) -> Floats:
    return ratio(right, guess, 0.0)


def _recall(right: Floats, true: Floats, guess: Floats) -> Floats:
    return ratio(right, true, 0.0)


def f1(right: Floats, true: Floats, guess: Floats) -> Floats:
    """Return 2·right / (true + guess), 0 where there is nothing to find and nothing was found."""
    return ratio(2.0 * right, true + guess, 0.0)


add(
    Metric(
        "accuracy",
        _BINARY | _MULTICLASS,
        "prediction",
        True,
        "share of rows",
        "Share of rows whose class is predicted right.",
        lambda d: float(sk.accuracy_score(d.y, d.predicted, sample_weight=d.sample_weight)),
        _accuracy,
    )
)
add(
    Metric(
        "balanced_accuracy",
        _BINARY | _MULTICLASS,
        "prediction",
        True,
        "share of rows",
        "Mean over classes of the share of the class that is found: rare classes count as much as common ones.",
        _balanced,
        _balanced_resampled,
    )
)


def _mcc_score(d: Scored) -> float:
    """Return the correlation; 0 where truth and prediction are one and the same class throughout."""
    if len(np.unique(np.concatenate([d.y, d.predicted]))) < 2:
        return 0.0
    return float(sk.matthews_corrcoef(d.y, d.predicted, sample_weight=d.sample_weight))


add(
    Metric(
        "mcc",
        _BINARY | _MULTICLASS,
        "prediction",
        True,
        "correlation, −1 to 1",
        "Matthews correlation of predicted and true classes; 0 is chance.",
        _mcc_score,
        _mcc_resampled,
    )
)

_WORDS = {
    "precision": ("share of positive predictions", "Share of rows predicted positive that are.", _precision),
    "recall": ("share of positive rows", "Share of positive rows that are found.", _recall),
    "f1": ("score, 0 to 1", "Harmonic mean of precision and recall of the positive class.", f1),
}
_FUNCTIONS = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}


def _register(name: str) -> None:
    unit, words, formula = _WORDS[name]
    function = _FUNCTIONS[name]

    def binary(data: Scored) -> float:
        return float(function(data.y, data.predicted, sample_weight=data.sample_weight, zero_division=0))

    def macro(data: Scored) -> float:
        return float(
            function(data.y, data.predicted, average="macro", sample_weight=data.sample_weight, zero_division=0)
        )

    def binary_resampled(draws: Draws) -> Floats:
        right, true, guess = draws.marginals
        return formula(right[:, 1], true[:, 1], guess[:, 1])

    def macro_resampled(draws: Draws) -> Floats:
        right, true, guess = draws.marginals
        seen = ((true > 0) | (guess > 0)).sum(axis=1)  # as scikit-learn: the classes that occur on either side
        return np.asarray(formula(right, true, guess).sum(axis=1) / np.maximum(seen, 1), dtype=np.float64)

    add(Metric(name, _BINARY, "prediction", True, unit, words, binary, binary_resampled))
    add(
        Metric(
            f"macro_{name}",
            _MULTICLASS,
            "prediction",
            True,
            "score, 0 to 1" if name == "f1" else "share of rows",
            f"Mean over classes of {name}.",
            macro,
            macro_resampled,
        )
    )


for _name in _WORDS:
    _register(_name)
