"""Metrics of probabilities: log loss, Brier score and expected calibration error."""

from __future__ import annotations

import numpy as np
from sklearn import metrics as sk

from glia.core.protocols import Task
from glia.objectives.metric import Draws, Metric, add
from glia.objectives.scored import Codes, Floats, Scored

_TASKS: frozenset[Task] = frozenset({"binary", "multiclass", "multilabel"})
BINS = 15


def _row_log_loss(data: Scored) -> Floats:
    eps = np.finfo(np.float64).eps  # scikit-learn's clipping
    if data.task == "multilabel":
        p = data.normalised.clip(eps, 1.0 - eps)
        return np.asarray(-np.where(data.y == 1, np.log(p), np.log1p(-p)).mean(axis=1), dtype=np.float64)
    own = data.normalised[np.arange(len(data)), data.y]
    return np.asarray(-np.log(own.clip(eps, 1.0 - eps)), dtype=np.float64)


def _log_loss(data: Scored) -> float:
    if data.task == "multilabel":
        columns = range(data.y.shape[1])
        return float(
            np.mean(
                [
                    sk.log_loss(data.y[:, j], data.normalised[:, j], sample_weight=data.sample_weight, labels=[0, 1])
                    for j in columns
                ]
            )
        )
    labels = np.arange(len(data.classes))
    return float(sk.log_loss(data.y, data.normalised, sample_weight=data.sample_weight, labels=labels))


def _row_brier(data: Scored) -> Floats:
    if data.task == "multilabel":
        return np.asarray(((data.normalised - data.y) ** 2).mean(axis=1), dtype=np.float64)
    if data.task == "binary":
        return np.asarray((data.normalised[:, 1] - data.y) ** 2, dtype=np.float64)
    hot = np.eye(len(data.classes))[data.y]
    return np.asarray(((data.normalised - hot) ** 2).sum(axis=1), dtype=np.float64)


def _brier(data: Scored) -> float:
    if data.task == "multilabel":
        return float(np.average(_row_brier(data), weights=data.weight))
    return float(
        sk.brier_score_loss(
            data.y,
            data.normalised[:, 1] if data.task == "binary" else data.normalised,
            sample_weight=data.sample_weight,
            **({"pos_label": 1} if data.task == "binary" else {"labels": np.arange(len(data.classes))}),
        )
    )


def claims(data: Scored) -> tuple[Floats, Floats]:
    """Return what was claimed and whether it came true, (N, K) each: K labels, or 1.

    For binary tasks the claim is the positive class's probability; for multi-class the top class's.
    """
    if data.task == "multilabel":
        return data.normalised, data.y.astype(np.float64)
    if data.task == "binary":
        return data.normalised[:, 1:], data.y[:, None].astype(np.float64)
    top = data.normalised.argmax(axis=1)
    return data.normalised.max(axis=1)[:, None], (top == data.y)[:, None].astype(np.float64)


def bin_of(claim: Floats, bins: int) -> Codes:
    """Return the number of the equally wide bin of [0, 1] that a probability falls into; bins are open on the left."""
    return np.asarray(np.ceil(claim * bins).astype(np.intp) - 1).clip(0, bins - 1)


def calibration_error(draws: Draws, bins: int = BINS) -> Floats:
    """Return Σ over bins of |Σ w·(came true − claimed)| / Σ w, averaged over labels, (R,)."""
    claim, truth = claims(draws.data)
    columns = claim.shape[1]
    gap = np.zeros((len(draws.data), columns * bins))
    for j in range(columns):
        gap[np.arange(len(gap)), j * bins + bin_of(claim[:, j], bins)] = truth[:, j] - claim[:, j]
    error: Floats = np.abs(draws.mean(gap)).sum(axis=1) / columns
    return error


def calibrated_errors(data: Scored, rng: np.random.Generator, size: int, bins: int = BINS) -> Floats:
    """Return calibration errors that a perfectly calibrated model with these claims would show by chance, (size,).

    Outcomes are drawn from the claims themselves (consistency resampling, Bröcker and Smith 2007). Labels of a row
    are drawn independently of each other.
    """
    claim, _ = claims(data)
    weight = data.weight / data.weight.sum()
    errors: Floats = np.zeros(size)
    for j in range(claim.shape[1]):
        order = np.argsort(claim[:, j], kind="stable")
        p, w = claim[order, j], weight[order]
        starts = np.unique(bin_of(p, bins), return_index=True)[1]
        for first in range(0, size, block := max(1, 400_000 // len(p))):
            drawn = rng.random((min(block, size - first), len(p))) < p
            errors[first : first + block] += np.abs(np.add.reduceat((drawn - p) * w, starts, axis=1)).sum(axis=1)
    errors /= claim.shape[1]
    return errors


def _ece(data: Scored) -> float:
    return float(calibration_error(Draws(data, data.weight[None, :]))[0])


add(
    Metric(
        "log_loss",
        _TASKS,
        "probability",
        False,
        "nats per row",
        "Mean of −log of the probability given to what happened; punishes sure errors hard.",
        _log_loss,
        lambda draws: draws.mean(_row_log_loss(draws.data)),
    )
)
add(
    Metric(
        "brier",
        _TASKS,
        "probability",
        False,
        "squared probability",
        "Mean squared difference between probabilities and what happened (summed over classes when more than two).",
        _brier,
        lambda draws: draws.mean(_row_brier(draws.data)),
    )
)
add(
    Metric(
        "ece",
        _TASKS,
        "probability",
        False,
        "probability",
        f"Expected calibration error: mean gap between claimed probability and observed share, {BINS} bins.",
        _ece,
        calibration_error,
        chance=calibrated_errors,
    )
)
