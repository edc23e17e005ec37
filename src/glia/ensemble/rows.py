"""Rows in whatever container they come: counted, picked, and handed on in the same container to any estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_sample_weight, _num_samples, validate_data

from glia.core.errors import InputError
from glia.data import Table

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


def read_rows(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Return rows that can be picked by number; frames, arrays and sparse matrices stay what they are.

    Sets (or, with ``reset=False``, checks) ``n_features_in_`` and ``feature_names_in_`` as scikit-learn does. Whether
    the values are of use is for the estimators to judge that are handed them.

    Raises
    ------
    InputError
        If there are no rows.
    """
    if reset:
        estimator._from_table = isinstance(X, Table)
    if estimator._from_table or isinstance(X, Table):
        if reset:
            names = X.schema.inputs()
            estimator.n_features_in_, estimator.feature_names_in_ = len(names), np.array(names, dtype=object)
        return X
    if isinstance(X, pl.LazyFrame):
        X = X.collect()
    if isinstance(X, (list, tuple)) or (hasattr(X, "__array__") and not hasattr(X, "columns")):
        X = np.asarray(X)
    if sparse.issparse(X):
        X = X.tocsr()
    if isinstance(X, np.ndarray) and X.ndim < 2:
        # scikit-learn's contract fixes these words.
        raise InputError(
            "rows must be an array of two dimensions or more (rows, columns)",
            f"shape {X.shape}: Expected 2D array, got {X.ndim}D array instead",
            "Reshape your data: X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row",
        )
    if isinstance(X, np.ndarray) and X.ndim > 2:
        if reset:
            estimator.n_features_in_ = int(X.shape[1])
    elif hasattr(X, "shape") or hasattr(X, "columns"):
        validate_data(estimator, X, skip_check_array=True, reset=reset)
    if count_rows(X) == 0:
        raise InputError("there must be rows", "0 sample(s) while a minimum of 1 is required")
    return X


def count_rows(X: Any) -> int:
    """Return the number of rows."""
    return int(X.frame.height if isinstance(X, Table) else _num_samples(X))


def take_rows(X: Any, index: NDArray[Any]) -> Any:
    """Return the rows at ``index`` (numbers, which may repeat), in the same container."""
    if isinstance(X, Table):
        return X.take(index)
    if isinstance(X, (np.ndarray, pl.DataFrame)) or sparse.issparse(X):
        return X[index]
    return _safe_indexing(X, index)


def read_weight(rows: int, sample_weight: Any) -> Floats | None:
    """Return row weights (N,), or ``None`` where none were given.

    Raises
    ------
    InputError
        If they are not one finite number ≥ 0 per row with a positive sum.
    """
    if sample_weight is None:
        return None
    like = np.empty((rows, 1))
    weight = np.asarray(_check_sample_weight(sample_weight, like, dtype=np.float64, ensure_non_negative=True))
    if not weight.sum() > 0:
        raise InputError("sample_weight must have a positive sum", "only zeros")
    return weight


def whole(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number of at least ``least``.

    Raises
    ------
    InputError
        If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}", f"{name}={value!r}")
    return int(value)


def share(name: str, value: Any, *, zero: bool = False, one: bool = True) -> float:
    """Return a number in (0, 1]; 0 is allowed, and 1 is not, where that is said.

    Raises
    ------
    InputError
        If it is out of range.
    """
    plain = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not plain or not 0 <= value <= 1 or (value == 0 and not zero) or (value == 1 and not one):
        raise InputError(f"{name} must be in {'[' if zero else '('}0, 1{']' if one else ')'}", f"{name}={value!r}")
    return float(value)
