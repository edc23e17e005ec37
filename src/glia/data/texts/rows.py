"""What users hand in as texts: a list, a column, or a table with one column."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from glia.core.errors import InputError, near
from glia.data.frames import to_frame
from glia.data.table import Table

COLUMN = "text"
_DO = "hand in a list of strings, a column of strings, or a table with that one column"


def as_texts(X: Any, column: str | None = None) -> pl.DataFrame:
    """Return texts as a frame with the one column ``text``; missing ones are empty.

    Parameters
    ----------
    X : list, array, column, frame or Table
        N strings; arrays (N,) or (N, 1); frames with one column, or with ``column``.
    column : str, optional
        Which column of a frame with several; its values may then be of any plain kind, as those of a file that holds
        nothing but numbers are.

    Raises
    ------
    InputError
        If there are no strings.
    """
    if isinstance(X, str):
        raise InputError("texts must be several, in a list", f"one text, {X[:40]!r}", "put it in a list")
    name = text_column(X, column)
    if name is not None:
        found = to_frame(X.frame if isinstance(X, Table) else X)[name]
        if name == column and not found.dtype.is_nested():
            found = found.cast(pl.String)
    elif isinstance(X, pl.Series):
        found = X
    else:
        found = _series(X)
    if found.dtype == pl.Null:
        found = found.cast(pl.String)
    if found.dtype in (pl.Categorical, pl.Enum):
        found = found.cast(pl.String)
    if found.dtype != pl.String:
        raise InputError("texts must be strings", f"values of type {found.dtype}", _DO)
    return found.fill_null("").rename(COLUMN).to_frame()


def text_column(X: Any, column: str | None = None) -> str | None:
    """Return which column of a frame or Table holds the texts; ``None`` for a list or an array.

    Parameters
    ----------
    X : as of ``as_texts``
    column : str, optional
        The one that is looked for; where there is only one column, that one counts whatever its name.

    Raises
    ------
    InputError
        If it cannot be told.
    """
    if not isinstance(X, Table) and not hasattr(X, "columns"):
        return None
    inputs = list(X.schema.inputs()) if isinstance(X, Table) else []
    names = list(map(str, X.frame.columns if isinstance(X, Table) else X.columns))
    if column in names:
        return column
    candidates = inputs or names
    if len(candidates) == 1:
        return candidates[0]
    if column is not None:
        raise InputError("texts must be in the column that was fitted", f"no column {column!r}", near(column, names))
    raise InputError("texts must be one column", f"{len(candidates)} columns: {', '.join(candidates[:8])}", _DO)


def _series(X: Any) -> pl.Series:
    values = np.asarray(X, dtype=object)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise InputError("texts must be a list of strings", f"shape {values.shape}", _DO)
    listed = [None if value is None or value != value else value for value in values.tolist()]  # NaN is not itself
    wrong = next((value for value in listed if value is not None and not isinstance(value, str)), None)
    if wrong is not None:
        raise InputError("texts must be strings", f"{wrong!r} of type {type(wrong).__name__}", _DO)
    return pl.Series(COLUMN, listed, dtype=pl.String)
