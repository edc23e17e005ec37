"""The numeric block of a prepared table: numbers, ranks and years as one matrix, imputed and scaled at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.layout import Feature
from glia.data.casting import numeric_expr
from glia.data.column_roles import ColumnRole
from glia.data.column_statistics import ColumnStatistics, row_chunks
from glia.data.datetimes import moment_expr, years_expr
from glia.data.encode import rank_expr
from glia.data.impute import fill_values, indicator_columns
from glia.data.scale import SCALE, Scaler

_ARRAYS = ("unit", "center", "factor", "table")


@dataclass(frozen=True)
class NumericColumn:
    """One column of the matrix: a number, a rank or years.

    Parameters
    ----------
    column : str
        The original column.
    kind : {"number", "rank", "years"}
        What is taken of it.
    detail : tuple of str
        Of a number: how decimals are written, if known; of a rank: the categories from lowest to highest; of years:
        formats of dates.
    """

    column: str
    kind: str = "number"
    detail: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The feature's name."""
        return f"{self.column} (years)" if self.kind == "years" else self.column

    def expr(self, dtype: pl.DataType) -> pl.Expr:
        """Return the expression of the column as Float64."""
        if self.kind == "rank":
            found = rank_expr(self.column, dtype, self.detail)
        elif self.kind == "years":
            found = years_expr(moment_expr(self.column, dtype, self.detail))
        else:
            found = numeric_expr(self.column, dtype, *self.detail)
        return found.alias(self.name)


@dataclass(frozen=True)
class NumericPart:
    """Imputation, scaling and indicators of K numeric columns.

    Parameters
    ----------
    columns : tuple of NumericColumn
        The K columns.
    scaler : Scaler
        Fitted on the observed training values.
    fill : ndarray of shape (K,)
        What replaces missing values, in prepared units.
    flagged : ndarray of shape (M,)
        Positions of the columns with an indicator.
    """

    columns: tuple[NumericColumn, ...]
    scaler: Scaler
    fill: NDArray[np.float64]
    flagged: NDArray[np.int64]

    @classmethod
    def fit(
        cls,
        columns: tuple[NumericColumn, ...],
        matrix: NDArray[Any],
        *,
        impute: str,
        fill_value: float,
        scale: str,
        indicator: str,
    ) -> NumericPart:
        """Learn from the training rows ``matrix`` (N, K)."""
        statistics = ColumnStatistics(matrix)
        scaler = Scaler.fit(statistics, scale)
        fill = scaler.apply(fill_values(statistics, impute, fill_value)[None, :])[0]
        return cls(columns, scaler, fill, indicator_columns(statistics, indicator))

    def features(self) -> list[Feature]:
        """Return the columns of the tensor: K values, then M indicators."""
        values = [Feature(column.name, column.column, "numeric") for column in self.columns]
        flagged = [self.columns[j] for j in self.flagged]
        return values + [Feature(f"{c.column} is missing", c.column, "indicator") for c in flagged]

    def matrix(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """Return the raw matrix (N, K) of a table; NaN where missing."""
        return numeric_matrix(frame, self.columns)

    def write(self, frame: pl.DataFrame, out: NDArray[np.float32]) -> None:
        """Write the columns for the rows of ``frame``, (N, K + M)."""
        if self.columns:
            self.write_matrix(self.matrix(frame), out)

    def write_matrix(self, matrix: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Write the columns for a raw matrix (N, K)."""
        n, k = matrix.shape
        for rows in row_chunks(n, k):
            x = np.array(matrix[rows], dtype=np.float64, order="C")
            missing = ~np.isfinite(x)
            self.scaler.apply(x)
            if missing.any():
                np.copyto(x, self.fill, where=missing)
            out[rows, :k] = x
            if len(self.flagged):
                out[rows, k:] = missing[:, self.flagged]

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return plain data and arrays."""
        state = {"columns": [[c.column, c.kind, list(c.detail)] for c in self.columns], "how": self.scaler.how}
        arrays: dict[str, NDArray[Any]] = {name: getattr(self.scaler, name) for name in _ARRAYS}
        return state, {**arrays, "fill": self.fill, "flagged": self.flagged}

    @classmethod
    def from_state(cls, state: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> NumericPart:
        """Rebuild what ``to_state`` gave.

        Raises
        ------
        ValueError
            If the arrays do not fit the columns.
        """
        columns = tuple(
            NumericColumn(str(c), str(kind), tuple(map(str, detail))) for c, kind, detail in state["columns"]
        )
        learned = [np.array(arrays[name], dtype=np.float64) for name in (*_ARRAYS, "fill")]
        unit, center, factor, table, fill = learned
        flagged = np.array(arrays["flagged"], dtype=np.int64)
        k = len(columns)
        fitting = all(array.shape == (k,) for array in (unit, center, factor, fill)) and table.shape[1:] == (k,)
        if not fitting or state["how"] not in SCALE or (len(flagged) and not 0 <= flagged.min() <= flagged.max() < k):
            raise ValueError("the arrays of the numeric columns do not fit their number")
        return cls(columns, Scaler(str(state["how"]), unit, center, factor, table), fill, flagged)


def number_column(name: str, role: ColumnRole) -> NumericColumn:
    """Return the column of a number, read as its role says."""
    return NumericColumn(name, "number", (role.format,) if role.format else ())


def numeric_matrix(frame: pl.DataFrame, columns: tuple[NumericColumn, ...]) -> NDArray[np.float64]:
    """Return the raw matrix (N, K) of the given columns; NaN where missing."""
    if not columns:
        return np.zeros((len(frame), 0))
    schema = frame.schema  # built anew at every access: asking for it per column would be quadratic
    found = frame.select(column.expr(schema[column.column]) for column in columns).to_numpy()
    return np.asarray(found, dtype=np.float64)
