"""Any in-memory table to a Polars frame, without guessing what the columns mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from glia.core.errors import InputError
from glia.data.table import Table

DENSE_LIMIT = 2 * 1024**3
"""Largest size in bytes to which a sparse matrix is unfolded."""


def to_frame(X: Any, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Turn rows in any of the usual containers into a Polars frame.

    Parameters
    ----------
    X : array, frame, sparse matrix, list or Table
        A NumPy array (N, D) or structured array (N,); a pandas, Polars or Arrow frame; a SciPy sparse matrix; a list of
        dicts or of rows; a dict of columns; anything else with ``__array__``.
    columns : sequence of str, optional
        Names, one per column. Without them, columns of arrays are called ``x0``, ``x1``, ….

    Returns
    -------
    polars.DataFrame
        Shape (N, D). Types are kept; object columns of mixed types become strings.

    Raises
    ------
    InputError
        If ``X`` is not a table, has two columns of one name, holds complex numbers, or is a sparse matrix too large to
        unfold.
    """
    frame = _convert(X)
    if columns is None:
        return frame
    if len(columns) != frame.width:
        raise InputError(
            "there must be one name per column",
            f"{len(columns)} names for {frame.width} columns",
            "hand in as many names as there are columns",
        )
    check_unique(columns)
    return frame.rename(dict(zip(frame.columns, columns, strict=True)))


def check_unique(names: Sequence[str], where: str = "") -> None:
    """Raise an ``InputError`` that lists the names that occur more than once."""
    seen: set[str] = set()
    twice = dict.fromkeys(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    if twice:
        shown = ", ".join(repr(name) for name in twice)
        raise InputError("column names must be unique", f"{shown} more than once{where}", "rename these columns")


def _convert(X: Any) -> pl.DataFrame:
    if isinstance(X, Table):
        return X.frame
    if isinstance(X, pl.DataFrame):
        return X
    if isinstance(X, pl.LazyFrame):
        return X.collect()
    if isinstance(X, pl.Series):
        return X.to_frame()
    if isinstance(X, np.ndarray):
        return _from_array(X)
    if sparse.issparse(X):
        return _from_sparse(X)
    if isinstance(X, dict):
        check_unique([str(name) for name in X])
        return pl.DataFrame([_series(str(name), values) for name, values in X.items()])
    if isinstance(X, (list, tuple)):
        return _from_list(X)
    return _from_native(X)


def _from_array(X: NDArray[Any]) -> pl.DataFrame:
    if X.dtype.names:
        return pl.DataFrame([_series(name, X[name]) for name in X.dtype.names])
    if X.dtype.kind == "c":
        raise InputError(
            "numbers must be real", f"dtype={X.dtype}: Complex data not supported", "split real from imaginary"
        )
    if X.ndim != 2:
        raise InputError(
            "rows must be an array of two dimensions (rows, columns)",
            f"shape {X.shape}: Expected 2D array, got {X.ndim}D array instead",
            "Reshape your data: X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row",
        )
    for axis, noun in enumerate(("sample", "feature")):
        if X.shape[axis] == 0:
            raise InputError(
                f"there must be at least one {'row' if axis == 0 else 'column'}",
                f"0 {noun}(s) (shape={X.shape}) while a minimum of 1 is required.",
                "hand in an array that is not empty",
            )
    names = [f"x{i}" for i in range(X.shape[1])]
    if X.dtype.kind in "OUSMm":
        return pl.DataFrame([_series(name, X[:, i]) for i, name in enumerate(names)])
    if X.dtype == np.float16 or X.dtype.itemsize > 8:
        X = X.astype(np.float32 if X.dtype == np.float16 else np.float64)
    by_column = np.ascontiguousarray(X.T)  # one blocked copy is faster than a strided one per column
    return pl.DataFrame([pl.Series(name, by_column[i]) for i, name in enumerate(names)])


def _from_sparse(X: Any) -> pl.DataFrame:
    size = X.shape[0] * X.shape[1] * X.dtype.itemsize
    if size > DENSE_LIMIT:
        raise InputError(
            f"a sparse matrix must unfold to at most {DENSE_LIMIT / 1024**3:.0f} GiB",
            f"shape {X.shape}, which unfolds to {size / 1024**3:.1f} GiB",
            "choose columns or reduce them first (for instance with sklearn.decomposition.TruncatedSVD)",
        )
    return _from_array(np.asarray(X.toarray()))


def _from_list(X: Sequence[Any]) -> pl.DataFrame:
    if not len(X):
        raise InputError("there must be at least one row", "an empty list: 0 sample(s)", "hand in rows")
    if all(isinstance(row, dict) for row in X):
        names = dict.fromkeys(str(name) for row in X for name in row)
        return pl.DataFrame([_series(name, [row.get(name) for row in X]) for name in names])
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise InputError(
            "rows in a list must be of one length", "rows of different lengths", "fill the short rows with None"
        ) from error
    # strings beside numbers: keep each value's own type instead of NumPy's common one
    return _from_array(np.array(X, dtype=object) if array.dtype.kind in "US" and array.ndim == 2 else array)


def _from_native(X: Any) -> pl.DataFrame:
    try:
        native = nw.from_native(X)
    except TypeError as error:
        if hasattr(X, "__array__"):
            return _from_array(np.asarray(X))
        raise InputError(
            "data must be a table",
            f"a {type(X).__module__}.{type(X).__qualname__}",
            "hand in a path, an array, a list of rows, or a pandas, Polars or Arrow frame",
        ) from error
    except nw.exceptions.DuplicateError:
        check_unique([str(name) for name in X.columns])
        raise
    if isinstance(native, nw.LazyFrame):
        native = native.collect()
    names = [str(name) for name in native.columns]
    check_unique(names)
    return pl.DataFrame([_native_column(old, new) for old, new in zip(native.iter_columns(), names, strict=True)])


def _native_column(column: Any, name: str) -> pl.Series:
    dtype = column.dtype
    if dtype == nw.Object or dtype == nw.Unknown:
        return _series(name, column.to_list())
    series: pl.Series = column.to_polars().rename(name)
    if isinstance(dtype, nw.Enum):  # pandas' ordered categories: the conversion alone would forget their order
        series = series.cast(pl.Enum([str(category) for category in dtype.categories]))
    return series


def _series(name: str, values: Any) -> pl.Series:
    """Make a column of values of unknown, possibly mixed types; ``None`` and NaN are missing."""
    if isinstance(values, np.ndarray) and values.dtype.kind not in "OSU":
        return pl.Series(name, np.ascontiguousarray(values), nan_to_null=True)
    if isinstance(values, pl.Series):
        return values.rename(name)
    plain = [_plain(value) for value in values]
    kinds = {type(value) for value in plain if value is not None}
    if len(kinds) <= 1:
        return pl.Series(name, plain, strict=False)
    if kinds <= {int, float}:
        return pl.Series(name, [None if value is None else float(value) for value in plain], dtype=pl.Float64)
    return pl.Series(name, [None if value is None else str(value) for value in plain], dtype=pl.String)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    # pandas' NA and NaT answer neither yes nor no to being equal to themselves
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    return value


def nan_to_null(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with NaN as missing."""
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    return frame.with_columns(pl.col(floats).fill_nan(None)) if floats else frame
