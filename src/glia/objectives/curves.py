"""Data of the usual figures: ROC and precision–recall curves, the confusion matrix, predicted against true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics as sk

from glia.core.errors import InputError
from glia.core.seeds import numpy_rng
from glia.objectives.scored import Floats, scored


@dataclass(frozen=True)
class CurvePoints:
    """A curve as points, thinned for drawing.

    Parameters
    ----------
    x, y : tuple of float
        Coordinates, in the order in which the threshold falls.
    threshold : tuple of float
        Score from which on a row counts as positive; infinite where none does.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    threshold: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.x)


def _thin(x: Floats, y: Floats, threshold: Floats, max_points: int) -> CurvePoints:
    """Keep both ends and points evenly spread along the curve, so that steep parts keep their shape."""
    if max_points < 2:
        raise InputError("a curve needs at least two points", f"max_points={max_points!r}")
    if len(x) > max_points:
        length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        wanted = np.linspace(0.0, length[-1], max_points)
        kept = np.unique(np.searchsorted(length, wanted - 1e-12 * length[-1]).clip(max=len(x) - 1))
        kept[0], kept[-1] = 0, len(x) - 1
        x, y, threshold = x[kept], y[kept], threshold[kept]
    return CurvePoints(*(tuple(float(v) for v in column) for column in (x, y, threshold)))


def _checked(y: ArrayLike, score: ArrayLike) -> tuple[NDArray[Any], Floats]:
    truth, scores = np.asarray(y), np.asarray(score, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != scores.shape or not np.isin(truth, (0, 1)).all():
        raise InputError("y must be 0 or 1 and have one score per row", f"y {truth.shape} and score {scores.shape}")
    if truth.all() or not truth.any():
        raise InputError("a curve needs rows of both classes", f"{int(truth.sum())} positive of {len(truth)} rows")
    return truth.astype(np.intp), scores


def roc_points(
    y: ArrayLike, score: ArrayLike, sample_weight: ArrayLike | None = None, max_points: int = 200
) -> CurvePoints:
    """Return the ROC curve: x the false-positive rate, y the true-positive rate.

    Parameters
    ----------
    y : array-like, (N,)
        0 or 1.
    score : array-like, (N,)
        Higher for rows that look positive.
    sample_weight : array-like, (N,), optional
        At least 0.
    max_points : int
        At least 2.

    Raises
    ------
    InputError
        If inputs do not fit each other or rows of one class are missing.
    """
    truth, scores = _checked(y, score)
    fpr, tpr, threshold = sk.roc_curve(truth, scores, sample_weight=sample_weight)
    return _thin(fpr, tpr, threshold, max_points)


def precision_recall_points(
    y: ArrayLike, score: ArrayLike, sample_weight: ArrayLike | None = None, max_points: int = 200
) -> CurvePoints:
    """Return the precision–recall curve: x the recall, y the precision; parameters as for ``roc_points``."""
    truth, scores = _checked(y, score)
    precision, recall, threshold = sk.precision_recall_curve(
        truth, scores, sample_weight=sample_weight, drop_intermediate=True
    )
    falling = slice(None, None, -1)
    return _thin(recall[falling], precision[falling], np.append(threshold, np.inf)[falling], max_points)


@dataclass(frozen=True)
class Confusion:
    """How often each true class (rows) was predicted as each class (columns).

    Parameters
    ----------
    classes : tuple
        Labels of rows and columns.
    counts : tuple of tuple of float
        Weight of rows, the plain number where they are not weighted.
    """

    classes: tuple[Any, ...]
    counts: tuple[tuple[float, ...], ...]

    def shares(self) -> tuple[tuple[float, ...], ...]:
        """Return each row divided by its sum (0 where a class has no rows): the share of a class that went where."""
        return tuple(tuple(v / max(sum(row), 1e-300) for v in row) for row in self.counts)


def confusion(
    y: ArrayLike,
    prediction: ArrayLike,
    classes: Sequence[Any] | NDArray[Any] | None = None,
    sample_weight: ArrayLike | None = None,
) -> Confusion:
    """Return the confusion matrix of class labels, true classes as rows.

    Raises
    ------
    InputError
        If shapes differ or a label is not among the classes.
    """
    data = scored("multiclass", y, prediction, None, sample_weight, classes)
    size = len(data.classes)
    counts = np.bincount(data.y * size + data.predicted, data.weight, size * size).reshape(size, size)
    return Confusion(tuple(data.classes.tolist()), tuple(tuple(row) for row in counts.tolist()))


def predicted_true_sample(
    y: ArrayLike, prediction: ArrayLike, size: int = 1000, random_state: int = 0
) -> tuple[tuple[float, float], ...]:
    """Return (true, predicted) of at most ``size`` rows, drawn without replacement, in order of the true value.

    The rows with the smallest and the largest true value and with the largest error are always among them.

    Raises
    ------
    InputError
        If inputs are not finite vectors of one length, or ``size`` is below 3.
    """
    true, guess = np.asarray(y, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if true.ndim != 1 or true.shape != guess.shape or size < 3:
        raise InputError(
            "y and prediction must be (N,), and size at least 3", f"{true.shape}, {guess.shape}, size={size!r}"
        )
    rows = np.arange(len(true))
    if len(true) > size:
        fixed = np.unique([true.argmin(), true.argmax(), np.abs(true - guess).argmax()])
        others = np.setdiff1d(rows, fixed)
        drawn = numpy_rng(random_state, "predicted-true").choice(others, size - len(fixed), replace=False)
        rows = np.concatenate([fixed, drawn])
    rows = rows[np.argsort(true[rows], kind="stable")]
    return tuple((float(t), float(p)) for t, p in zip(true[rows], guess[rows], strict=True))
