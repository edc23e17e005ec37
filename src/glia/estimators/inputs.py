"""What users hand in, checked and turned into one of two forms: a Polars frame, or a float array of any shape."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.utils.validation import _check_sample_weight, validate_data

from glia.core.errors import InputError
from glia.data import Schema
from glia.data.frames import to_frame

RowsIn: TypeAlias = pl.DataFrame | NDArray[Any]


def read_rows(estimator: Any, X: Any, *, reset: bool) -> RowsIn:
    """Return rows as a float array (N, *shape) where they are numbers in an array, else as a frame.

    Sets (or, with ``reset=False``, checks) ``n_features_in_`` and ``feature_names_in_`` as scikit-learn does.

    Raises
    ------
    InputError
        If ``X`` is no table or array of numbers.
    """
    if isinstance(X, np.ndarray) and X.ndim > 2:
        return _read_array(estimator, X, reset)
    if not hasattr(X, "columns") and not hasattr(X, "schema"):
        X = _as_matrix(X)
    if hasattr(X, "shape") or hasattr(X, "columns"):
        validate_data(estimator, X, skip_check_array=True, reset=reset)
    if isinstance(X, np.ndarray) and X.dtype.kind in "biuf":
        return X
    return to_frame(X)


def refuse_files(schema: Schema, classes: bool) -> None:
    """Refuse columns that an estimator of tables would have to pass over.

    Parameters
    ----------
    schema : Schema
    classes : bool
        Whether classes are told apart, for the name of the estimator that reads such columns.

    Raises
    ------
    InputError
        If a column holds pictures, sounds or sequences.
    """
    for role, (what, kind, beside) in _READERS.items():
        if names := schema.names(role):
            reader = f"{kind}{'Classifier' if classes else 'Regressor'}"
            got = f"{what} in {', '.join(map(repr, names))}"
            do = f"use {reader}, which reads {beside}, or drop the column (or give it the role 'ignored')"
            raise InputError("columns must be numbers, words or dates", got, do)


_READERS = {
    "image": ("paths of pictures", "Image", "them together with the other columns"),
    "audio": ("paths of sounds", "Audio", "them"),
    "sequence": ("sequences", "Sequence", "them"),
}
"""Role of a column → what it holds, the beginning of the name of what reads it, and what that reads."""


def _as_matrix(X: Any) -> Any:
    """Turn lists of numbers into arrays; leave everything else as it is."""
    if isinstance(X, (list, tuple)) and X and not isinstance(X[0], dict):
        array = np.asarray(X)
        X = array if array.dtype.kind in "biufc" else np.asarray(X, dtype=object)
    if isinstance(X, np.ndarray) and X.ndim != 2:
        # scikit-learn's contract fixes these words.
        raise InputError(
            "rows must be an array of two dimensions or more (rows, columns)",
            f"shape {X.shape}: Expected 2D array, got {X.ndim}D array instead",
            "Reshape your data: X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row",
        )
    if isinstance(X, np.ndarray) and X.dtype.kind == "c":
        raise InputError("inputs must be real numbers", f"dtype={X.dtype}: Complex data not supported")
    if isinstance(X, np.ndarray) and X.shape[1] == 0:
        raise InputError(
            "rows must have at least one column",
            f"0 feature(s) (shape={X.shape}) while a minimum of 1 is required",
            "hand in the columns that the prediction is to be made from",
        )
    return X


def _read_array(estimator: Any, X: NDArray[Any], reset: bool) -> NDArray[Any]:
    if X.dtype.kind not in "biuf":
        raise InputError("arrays of more than two dimensions must hold numbers", f"dtype={X.dtype}")
    if reset:
        estimator.n_features_in_ = int(X.shape[1])
        estimator.shape_in_ = X.shape[1:]
    elif X.shape[1:] != estimator.shape_in_:
        raise InputError("rows must have the shape that was fitted", f"{X.shape[1:]} instead of {estimator.shape_in_}")
    return X


def count(rows: RowsIn) -> int:
    """Return the number of rows."""
    return int(rows.shape[0])


def take(rows: RowsIn, index: NDArray[np.intp]) -> RowsIn:
    """Return the rows at ``index``."""
    return rows[index]


def check_lengths(rows: RowsIn, y: Any) -> None:
    """Raise an ``InputError`` unless there are rows, and one target for each."""
    n = count(rows)
    if n == 0:
        raise InputError(
            "there must be rows",
            f"0 sample(s) (shape={rows.shape}) while a minimum of 1 is required",
            "check how the rows were selected",
        )
    if len(y) != n:
        raise InputError("there must be one target per row", f"inconsistent numbers: {n} rows and {len(y)} targets")


def read_weight(rows: RowsIn, sample_weight: Any) -> NDArray[np.float64] | None:
    """Return row weights (N,), or ``None`` where none were given.

    Raises
    ------
    InputError
        If they are not one finite number ≥ 0 per row with a positive sum.
    """
    if sample_weight is None:
        return None
    like = np.empty((count(rows), 1))
    weight = np.asarray(_check_sample_weight(sample_weight, like, dtype=np.float64, ensure_non_negative=True))
    if not weight.sum() > 0:
        raise InputError("sample_weight must have a positive sum", "only zeros")
    return weight


def without_zeros(
    rows: RowsIn, values: NDArray[Any], weight: NDArray[np.float64] | None
) -> tuple[RowsIn, NDArray[Any], Any]:
    """Leave out rows of weight 0: they are as good as absent."""
    if weight is None or weight.all():
        return rows, values, weight
    kept = np.flatnonzero(weight)
    return take(rows, kept), values[kept], weight[kept]


def canonical(
    rows: RowsIn, y: NDArray[Any], weight: NDArray[np.float64] | None
) -> tuple[NDArray[np.intp], NDArray[np.float64] | None]:
    """Return where each distinct (row, target) stands, in an order that does not depend on theirs, and its weight.

    A row of weight 2 and the same row given twice are then the same data, to the last bit; so are rows in another
    order. Rows of weight 0 are gone.
    """
    identity = getattr(rows, "identity", None)  # rows that are neither a frame nor an array say which are equal
    if identity is not None:
        table: pl.DataFrame = identity()
    else:
        table = rows if isinstance(rows, pl.DataFrame) else pl.from_numpy(rows.reshape(len(rows), -1))
    targets = pl.from_numpy(np.asarray(y).reshape(len(y), -1), schema=None)
    keys = pl.concat([table, targets.rename(lambda name: f"target {name}")], how="horizontal").hash_rows().to_numpy()
    mass = np.ones(len(keys)) if weight is None else weight
    kept = np.flatnonzero(mass > 0)
    _, first, inverse = np.unique(keys[kept], return_index=True, return_inverse=True)
    merged = np.bincount(inverse, weights=mass[kept])
    weights = None if (merged == merged[0]).all() else np.asarray(merged, dtype=np.float64)
    return np.asarray(kept[first], dtype=np.intp), weights
