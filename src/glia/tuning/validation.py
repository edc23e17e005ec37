"""Which rows judge the configurations: one part held out, or each of k folds in turn."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from glia.core.errors import InputError
from glia.data import Table
from glia.estimators.holdout import hold_out

Ints = NDArray[np.intp]
Folds = list[tuple[Ints, Ints]]


def draw_folds(
    rows: int,
    classes: NDArray[Any] | None,
    *,
    folds: Any = None,
    fraction: float = 0.2,
    groups: Any = None,
    seed: int = 0,
) -> Folds:
    """Return pairs of row numbers: to train on, to judge by.

    Parameters
    ----------
    rows : int
        N.
    classes : ndarray (N,), optional
        Labels, whose shares the parts then keep.
    folds : int or iterable of (train, valid), optional
        k ≥ 2 folds, each of which judges once; or the row numbers themselves. Without them one part is held out.
    fraction : float
        Share of the rows that is held out, in (0, 1).
    groups : array-like (N,), optional
        Rows of a group stay together; only with a number of folds.
    seed : int

    Raises
    ------
    InputError
        If that cannot be done with these rows.
    """
    if folds is not None and not isinstance(folds, (int, np.integer)):
        return [_checked(rows, *pair) for pair in _pairs(folds)]
    codes = None if classes is None else np.unique(classes, return_inverse=True)[1]
    if folds is None:
        if not 0 < fraction < 1:
            raise InputError("the share of rows that judge must be in (0, 1)", f"validation_fraction={fraction!r}")
        train, held = hold_out(rows, codes, fraction, seed % 2**32)
        return [_checked(rows, train, held)]
    if isinstance(folds, bool) or not 2 <= folds <= rows:
        raise InputError(f"folds must be a whole number from 2 to the number of rows ({rows})", f"folds={folds!r}")
    numbers, state = np.zeros(rows), int(seed % 2**32)
    if groups is not None:
        found = np.unique(np.asarray(groups), return_inverse=True)[1]
        if found.max() + 1 < folds:
            raise InputError("there must be a group for every fold", f"{found.max() + 1} groups for {folds} folds")
        split = GroupKFold(int(folds), shuffle=True, random_state=state).split(numbers, groups=found)
    elif codes is not None and np.bincount(codes).min() >= folds:
        split = StratifiedKFold(int(folds), shuffle=True, random_state=state).split(numbers, codes)
    else:
        split = KFold(int(folds), shuffle=True, random_state=state).split(numbers)
    return [(np.asarray(train), np.asarray(held)) for train, held in split]


def as_rows(X: Any) -> Any:
    """Return rows in a container that they can be taken from by their numbers."""
    if isinstance(X, pl.LazyFrame):
        return X.collect()
    if sparse.issparse(X):
        return X.tocsr()
    if isinstance(X, (list, tuple)) and len(X) and not _is_even(X):
        return list(X)  # sequences of different lengths, or files
    plain = isinstance(X, (list, tuple)) or (hasattr(X, "__array__") and not hasattr(X, "iloc") and not is_frame(X))
    return np.asarray(X) if plain else X


def _is_even(X: Any) -> bool:
    """Tell whether the rows of a list make an array of numbers or words."""
    first = X[0]
    if isinstance(first, (str, os.PathLike)):
        return False
    return not hasattr(first, "shape") or all(getattr(one, "shape", None) == first.shape for one in X)


def is_frame(X: Any) -> bool:
    """Whether rows have named columns."""
    return isinstance(X, (Table, pl.DataFrame, pl.Series)) or hasattr(X, "columns")


def take(X: Any, index: Ints) -> Any:
    """Return some of the rows, in the container that they came in."""
    if isinstance(X, Table):
        return X.take(index)
    if isinstance(X, (np.ndarray, pl.DataFrame, pl.Series)) or sparse.issparse(X):
        return X[index]
    if isinstance(X, list):
        return [X[i] for i in np.asarray(index)]
    if hasattr(X, "lengths") or hasattr(X, "identity"):  # rows of a kind of their own, which know how to be taken
        return X[index]
    return _safe_indexing(X, index)


def count(X: Any) -> int:
    """Return the number of rows."""
    return int(X.frame.height if isinstance(X, Table) else _num_samples(X))


def _pairs(folds: Any) -> Iterable[tuple[Any, Any]]:
    found = list(folds) if isinstance(folds, Iterable) else []
    if not found or any(not hasattr(pair, "__len__") or len(pair) != 2 for pair in found):
        raise InputError("folds must be a whole number, or pairs of row numbers", f"folds={folds!r}"[:80])
    return found


def _checked(rows: int, train: Any, held: Any) -> tuple[Ints, Ints]:
    parts = (np.asarray(train, dtype=np.intp), np.asarray(held, dtype=np.intp))
    for part in parts:
        if part.ndim != 1 or not len(part) or part.min() < 0 or part.max() >= rows:
            raise InputError(
                "a fold must have rows to train on and rows to judge by, by their numbers",
                f"{len(parts[0])} and {len(parts[1])} of {rows} rows",
                "hand in more rows",
            )
    if len(np.intersect1d(*parts)):
        raise InputError("rows that judge must not be trained on", "rows in both parts of a fold")
    return parts[0], parts[1]
