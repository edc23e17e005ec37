"""What a preparation takes: a polars table or a matrix of numbers; and which of their rows are complete."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.data.casting import text_expr
from glia.data.column_roles import ColumnRole
from glia.data.datetimes import find_formats, moment_expr
from glia.data.numeric import number_column, numeric_matrix


def complete_rows(frame: pl.DataFrame, roles: dict[str, ColumnRole]) -> NDArray[np.bool_]:
    """Return which rows have a value in every used column, (N,)."""
    numeric = tuple(number_column(name, role) for name, role in roles.items() if role.role == "numeric")
    keep = np.isfinite(numeric_matrix(frame, numeric)).all(axis=1)
    schema = frame.schema
    for name, role in roles.items():
        dtype = schema[name]
        if role.role == "datetime":
            there = moment_expr(name, dtype, find_formats(frame[name], role.format)).is_not_null()
        elif role.role != "numeric":
            there = text_expr(name, dtype).is_not_null()
        else:
            continue
        keep &= frame.select(there.alias("there"))["there"].to_numpy()
    return np.asarray(keep, dtype=np.bool_)


def positions(frame: pl.DataFrame, column: str, role: ColumnRole) -> NDArray[np.float64]:
    """Return where rows lie on the axis that a column of numbers or dates is, (N,); NaN where unknown."""
    dtype = frame.schema[column]
    if role.role == "datetime":
        moment = moment_expr(column, dtype, find_formats(frame[column], role.format))
        found = frame.select(moment.dt.epoch("us").cast(pl.Float64).alias(column))[column].to_numpy()
    else:
        found = numeric_matrix(frame, (number_column(column, role),))[:, 0]
    return np.where(np.isfinite(found), found, np.nan)


def as_frame(frame: Any, least: int = 1) -> pl.DataFrame:
    """Return the table, or raise InputError if it is none or has fewer than ``least`` rows."""
    if not isinstance(frame, pl.DataFrame):
        raise InputError(
            "a preparation takes a polars.DataFrame or a 2-D array of numbers", type(frame).__name__, "convert it first"
        )
    if len(frame) < least:
        raise InputError(
            "there must be at least one training row", f"{len(frame)} rows", "check how the rows were split"
        )
    return frame


def as_matrix(values: NDArray[Any], least: int = 1) -> NDArray[Any]:
    """Return the matrix (N, K), or raise InputError if it is none or has fewer than ``least`` rows."""
    if values.ndim != 2 or values.dtype.kind not in "fiub":
        raise InputError(
            "an array must be 2-D and hold numbers",
            f"shape {values.shape} of {values.dtype}",
            "give other data as a table with named columns",
        )
    if len(values) < least or not values.shape[1]:
        raise InputError(
            "there must be at least one training row and one column",
            f"shape {values.shape}",
            "check how the rows were split",
        )
    return values
