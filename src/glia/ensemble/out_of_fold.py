"""Predictions for every row by estimators that have not seen it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, check_cv

from glia.core.errors import InputError
from glia.ensemble.members import fit_member
from glia.ensemble.rows import take_rows, whole
from glia.estimators.targets import as_array, class_column

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


def folds(cv: Any, y: Any, groups: Any, kept: Ints, *, classes: bool, seed: int) -> list[tuple[Ints, Ints]]:
    """Return (training rows, held-out rows) of each fold, as positions among the rows that are kept.

    Parameters
    ----------
    cv : int, splitter or iterable of (train, held)
        A number makes shuffled folds, stratified for classes, and keeps groups together where they are given. What a
        splitter or iterable says is of all rows.
    y : array-like (N,) or (N, T)
        Targets of all rows.
    groups : array-like (N,), optional
        Rows of one group are never on both sides.
    kept : ndarray of int (M,)
        Rows of a weight above 0: the others are in no fold.
    classes : bool
        Whether the target is a class.
    seed : int
        Of the shuffling.

    Raises
    ------
    InputError
        If there is not one group per row, a fold is empty, or it trains on a row (or on one of the same group) that it
        holds out.
    """
    values = as_array(y)
    values = class_column(values) if classes else values
    grouped = None if groups is None else np.asarray(groups)
    if grouped is not None and grouped.shape != (len(values),):
        raise InputError("groups must have one value per row", f"{grouped.shape} for {len(values)} rows")
    if isinstance(cv, (int, np.integer)):
        own = None if grouped is None else grouped[kept]
        splitter = _splitter(whole("cv", cv, 2), own is not None, classes, seed % 2**32)
        found = list(splitter.split(np.zeros(len(kept)), values[kept], own))
    else:
        splitter = check_cv(cv, values, classifier=classes)
        where = np.full(len(values), -1)
        where[kept] = np.arange(len(kept))
        listed = splitter.split(np.zeros(len(values)), values, grouped)
        found = [tuple(where[np.asarray(side)] for side in sides) for sides in listed]
        found = [(train[train >= 0], held[held >= 0]) for train, held in found]
    for number, (train, held) in enumerate(found):
        if not len(train) or np.intersect1d(train, held).size:
            raise InputError("a fold must train on rows that it does not hold out", f"fold {number} does not")
        if grouped is not None and np.intersect1d(grouped[kept[train]], grouped[kept[held]]).size:
            raise InputError("rows of one group must be on one side of a fold", f"fold {number} divides a group")
    return [(train, held) for train, held in found if len(held)]


def _splitter(number: int, grouped: bool, classes: bool, state: int) -> Any:
    if grouped:
        kind = StratifiedGroupKFold if classes else GroupKFold
    else:
        kind = StratifiedKFold if classes else KFold
    return kind(number, shuffle=True, random_state=state)


def out_of_fold(
    estimator: Any,
    X: Any,
    y: NDArray[Any],
    weight: Floats | None,
    parts: Sequence[tuple[Ints, Ints]],
    predict: Callable[[Any, Any], Floats],
) -> Floats:
    """Return predictions for every row by copies that were fitted without it, (N, …).

    Parameters
    ----------
    estimator : estimator
        Unfitted; copied for each fold.
    X, y, weight
        All rows.
    parts : sequence of (train, held)
        Row numbers. A row that is held out several times gets the mean; one that never is gets NaN.
    predict : callable
        ``(fitted, rows) → predictions``.
    """
    total: Any = None
    times = np.zeros(len(y))
    for train, held in parts:
        own = None if weight is None else weight[train]
        fitted = fit_member(clone(estimator), take_rows(X, train), y[train], own)
        found = predict(fitted, take_rows(X, held))
        total = np.zeros((len(y), *found.shape[1:])) if total is None else total
        total[held] += found
        times[held] += 1
    times[times == 0] = np.nan
    return np.asarray(total / times.reshape(-1, *[1] * (total.ndim - 1)))


def covered(matrix: Floats) -> Ints:
    """Return the rows that have a prediction."""
    return np.flatnonzero(np.isfinite(matrix).all(axis=1))


def flat(predictions: Iterator[Floats]) -> Floats:
    """Return predictions of several estimators side by side: (N, …) each → (N, columns)."""
    return np.concatenate([one.reshape(len(one), -1) for one in predictions], axis=1)
