"""True and predicted figures of some rows, checked and coded: what every metric looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glia.core.errors import InputError
from glia.core.protocols import Task

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Scored:
    """Rows to be scored, in one form per task.

    Parameters
    ----------
    task : Task
        What is predicted.
    y : ndarray
        Class codes (N,) for binary and multi-class, 0/1 (N, L) for multi-label, values (N, T) for regression.
    prediction : ndarray, optional
        Of the same shape as ``y``.
    probability : ndarray, optional
        (N, 2) for binary, (N, C) for multi-class, (N, L) for multi-label.
    weight : ndarray, (N,)
        Above 0.
    classes : ndarray
        Labels of the codes, in order; for binary the second is the positive class.
    weighted : bool
        Whether weights differ from 1.
    cache : dict
        Sorting orders and the like, computed once and used by all resamples.
    """

    task: Task
    y: NDArray[Any]
    prediction: NDArray[Any] | None
    probability: Floats | None
    weight: Floats
    classes: NDArray[Any]
    weighted: bool
    cache: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def sample_weight(self) -> Floats | None:
        """Weights as scikit-learn's metrics want them: ``None`` where all are 1."""
        return self.weight if self.weighted else None

    @property
    def predicted(self) -> NDArray[Any]:
        """The predictions.

        Raises
        ------
        InputError
            If none were given.
        """
        if self.prediction is None:
            raise InputError("this metric needs predictions", "prediction=None")
        return self.prediction

    @property
    def proba(self) -> Floats:
        """The probabilities.

        Raises
        ------
        InputError
            If none were given.
        """
        if self.probability is None:
            raise InputError("this metric needs probabilities", "probability=None")
        return self.probability

    @property
    def normalised(self) -> Floats:
        """Probabilities whose rows add up to 1 in all digits (those from float32 do only in seven).

        Rankings use ``proba`` as it came instead: dividing would tear ties apart.
        """
        if self.task == "multilabel":
            return self.proba.clip(0.0, 1.0)
        scaled: Floats = self.proba / self.proba.sum(axis=1, keepdims=True)
        return scaled


def scored(
    task: Task,
    y: ArrayLike,
    prediction: ArrayLike | None = None,
    probability: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    classes: Sequence[Any] | NDArray[Any] | None = None,
) -> Scored:
    """Check and code what is to be scored; rows of weight 0 are left out.

    Parameters
    ----------
    task : Task
        What is predicted.
    y, prediction : array-like
        Labels (N,) for binary and multi-class, 0/1 (N, L) for multi-label, (N,) or (N, T) for regression.
    probability : array-like, optional
        (N,) of the positive class or (N, 2) for binary, (N, C) for multi-class, (N, L) for multi-label.
    sample_weight : array-like, (N,), optional
        At least 0.
    classes : array-like, optional
        Labels in the order of the columns of ``probability``; by default those that occur, sorted.

    Raises
    ------
    InputError
        If shapes differ, figures are not finite, a label is not among the classes, or nothing is left to score.
    """
    true = np.asarray(y)
    weight = _weights(sample_weight, len(true))
    known = _classes(task, true, prediction, probability, classes)
    coded = _code(task, true, known, "y")
    guess = None if prediction is None else _code(task, np.asarray(prediction), known, "prediction")
    if guess is not None and guess.shape != coded.shape:
        raise InputError("y and prediction must have the same shape", f"{coded.shape} and {guess.shape}")
    proba = None if probability is None else _proba(task, np.asarray(probability, dtype=np.float64), coded, known)
    kept = weight > 0
    if not kept.any():
        raise InputError("there must be at least one row to score", f"{len(true)} rows of which none has weight")
    if not kept.all():
        coded, weight = coded[kept], weight[kept]
        guess = None if guess is None else guess[kept]
        proba = None if proba is None else proba[kept]
    return Scored(task, coded, guess, proba, weight, known, weighted=bool((weight != 1).any()))


def _weights(sample_weight: ArrayLike | None, n: int) -> Floats:
    if sample_weight is None:
        return np.ones(n)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n,) or not np.isfinite(weight).all() or (weight < 0).any():
        raise InputError(
            "sample_weight must hold one finite number of at least 0 per row", f"shape {weight.shape} for {n} rows"
        )
    return weight


def _classes(
    task: Task,
    true: NDArray[Any],
    prediction: ArrayLike | None,
    probability: ArrayLike | None,
    classes: Sequence[Any] | NDArray[Any] | None,
) -> NDArray[Any]:
    if task in ("regression", "multilabel"):
        return np.arange(0) if classes is None else np.asarray(classes)
    if classes is not None:
        known = np.asarray(classes)
    else:
        known = np.unique(true if prediction is None else np.concatenate([true, np.asarray(prediction)]))
    if task == "binary" and len(known) != 2:
        raise InputError("a binary task has two classes", f"classes={known.tolist()}", "hand in classes=")
    if task == "multiclass" and probability is not None and np.shape(probability)[1:] != known.shape:
        raise InputError(
            "probability must have one column per class",
            f"shape {np.shape(probability)} for {len(known)} classes",
            "hand in classes= in the order of the columns",
        )
    return known


def _code(task: Task, values: NDArray[Any], classes: NDArray[Any], name: str) -> NDArray[Any]:
    if task == "regression":
        column = np.asarray(values, dtype=np.float64)
        column = column[:, None] if column.ndim == 1 else column
        if column.ndim != 2 or not np.isfinite(column).all():
            raise InputError("values must be finite and of shape (N,) or (N, T)", f"{name} of shape {values.shape}")
        return np.asarray(column)
    if task == "multilabel":
        if values.ndim != 2 or not np.isin(values, (0, 1)).all():
            raise InputError("labels must be 0 or 1 and of shape (N, L)", f"{name} of shape {values.shape}")
        return values.astype(np.intp)
    if values.ndim != 1:
        raise InputError("class labels must be of shape (N,)", f"{name} of shape {values.shape}")
    order = np.argsort(classes, kind="stable")
    place = np.searchsorted(classes, values, sorter=order).clip(max=len(classes) - 1)
    codes: Codes = order[place].astype(np.intp)
    unknown = classes[codes] != values
    if np.any(unknown):
        raise InputError(
            f"every label of {name} must be one of the classes {classes.tolist()[:20]}",
            f"{np.asarray(values)[unknown].tolist()[0]!r}",
            "correct it, or leave such rows out",
        )
    return codes


def _proba(task: Task, proba: Floats, coded: NDArray[Any], classes: NDArray[Any]) -> Floats | None:
    if task == "regression":
        raise InputError("probabilities are for classes and labels", f"task={task!r}")
    if task == "binary" and proba.reshape(len(proba), -1).shape[1] == 1:
        positive = proba.reshape(-1)
        proba = np.column_stack([1.0 - positive, positive])
    wanted = coded.shape if task == "multilabel" else (len(coded), len(classes))
    if proba.shape != wanted:
        raise InputError("probability must have one row per row of y", f"shape {proba.shape}, expected {wanted}")
    if not np.isfinite(proba).all() or proba.min(initial=0) < 0 or proba.max(initial=0) > 1 + 1e-6:
        raise InputError("probabilities must be finite and between 0 and 1", f"range {proba.min()} to {proba.max()}")
    total = proba.sum(axis=1)
    off = np.abs(total - 1.0) > 1e-3
    if task != "multilabel" and off.any():
        raise InputError("probabilities of a row must add up to 1", f"a row that adds up to {total[off][0]:.4g}")
    return proba
