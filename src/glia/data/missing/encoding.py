"""A table as a matrix with gaps and back: what imputers of matrices need to work on tables of mixed types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.data.casting import numeric_expr, text_expr
from glia.data.impute.base import Array, Block

MOST_CATEGORIES = 30
_EXACT = 2.0**53


@dataclass(frozen=True)
class EncodedColumn:
    """One column of the table: how it is read, and how a filled value is written.

    Parameters
    ----------
    name : str
        Its name.
    categories : tuple of str
        Of a categorical column, the most frequent first; those beyond ``MOST_CATEGORIES`` share a last one-hot column,
        which is never filled in. Empty for numbers and dates.
    others : bool
        Whether there are such.
    whole : bool
        Whether only whole numbers occur.
    """

    name: str
    categories: tuple[str, ...] = ()
    others: bool = False
    whole: bool = False

    @property
    def width(self) -> int:
        """Number of columns of the matrix."""
        return len(self.categories) + self.others if self.categories else 1


@dataclass(frozen=True)
class TableEncoding:
    """The columns of a table that can be filled in, learned from training rows.

    Numbers, durations and dates are one column each; categories one-hot columns, NaN throughout where missing.
    """

    columns: tuple[EncodedColumn, ...]

    @classmethod
    def fit(cls, frame: pl.DataFrame, roles: Mapping[str, str] | None = None) -> TableEncoding:
        """Learn from training rows.

        Parameters
        ----------
        frame : polars.DataFrame
            Training rows.
        roles : mapping, optional
            Column → role. Numeric, categorical and ordinal columns are used, and dates that have a date's type. Without
            roles the types decide, and texts of more than half as many values as rows are left out.
        """
        found = []
        schema = frame.schema
        for name, dtype in schema.items():
            role = _role(frame[name]) if roles is None else roles.get(name, "")
            if dtype.is_nested() or dtype in (pl.Object, pl.Binary, pl.Null):
                continue
            if dtype.is_temporal() or (role in ("numeric", "ordinal") and dtype.is_numeric()):
                found.append(EncodedColumn(name, whole=_is_whole(frame[name])))
            elif role in ("categorical", "ordinal"):
                texts = frame.select(text_expr(name, dtype).alias(name))[name].drop_nulls()
                counted = texts.value_counts(name="count").sort("count", name, descending=[True, False])
                kept = counted[name].to_list()
                if kept:
                    column = EncodedColumn(name, tuple(kept[:MOST_CATEGORIES]), len(kept) > MOST_CATEGORIES)
                    found.append(column)
        return cls(tuple(found))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The columns of the matrix that each column has."""
        ends = np.cumsum([0, *(column.width for column in self.columns)]).tolist()
        kinds = ["category" if column.categories else "numeric" for column in self.columns]
        return tuple(Block(a, b, kind) for a, b, kind in zip(ends[:-1], ends[1:], kinds, strict=True))

    def encode(self, frame: pl.DataFrame) -> Array:
        """Return rows as a matrix (N, D), NaN where missing."""
        codes = self.codes(frame)
        out = np.full((len(frame), self.blocks[-1].stop if self.columns else 0), np.nan)
        for j, (column, block) in enumerate(zip(self.columns, self.blocks, strict=True)):
            if not column.categories:
                out[:, block.start] = codes[:, j]
                continue
            known = np.flatnonzero(~np.isnan(codes[:, j]))
            out[known, block.where] = 0.0
            place = codes[known, j].astype(np.intp)
            inside = place < column.width  # a category never seen is no evidence of any other
            out[known[inside], block.start + place[inside]] = 1.0
        return out

    def codes(self, frame: pl.DataFrame) -> Array:
        """Return one number per cell, (N, C): numbers as they are, categories by frequency; NaN where missing."""
        schema = frame.schema
        absent = [name for name in self.names if name not in schema]
        if absent:
            raise InputError("the table must have all columns that were fitted", f"none called {absent[:5]}")
        out = np.full((len(frame), len(self.columns)), np.nan)
        for j, column in enumerate(self.columns):
            dtype = schema[column.name]
            if column.categories:
                text = frame.select(text_expr(column.name, dtype).alias("text"))["text"]
                unseen = len(column.categories)
                places = {category: place for place, category in enumerate(column.categories)}
                found = text.replace_strict(places, default=unseen, return_dtype=pl.Float64)
                values = found.to_frame().select(pl.when(text.is_not_null()).then(pl.col("text")))["text"]
            elif dtype.is_temporal() and dtype != pl.Duration:
                values = frame[column.name].to_physical().cast(pl.Float64)
            else:
                values = frame.select(numeric_expr(column.name, dtype).alias("number"))["number"]
            numbers = values.to_numpy().astype(np.float64)
            out[:, j] = np.where(np.isfinite(numbers), numbers, np.nan)
        return out

    def missing(self, frame: pl.DataFrame) -> NDArray[np.bool_]:
        """Return which cells are missing, (N, C)."""
        return np.isnan(self.codes(frame))

    def fill(self, frame: pl.DataFrame, completed: Array) -> pl.DataFrame:
        """Return the table with its gaps filled from a completed matrix (N, D); everything else stays as it is.

        Types are kept: whole numbers are rounded, dates become dates, categories the most likely ones.
        """
        codes = self.codes(frame)
        filled = []
        for j, (column, block) in enumerate(zip(self.columns, self.blocks, strict=True)):
            gaps = np.isnan(codes[:, j])
            if gaps.any():
                filled.append(_written(frame[column.name], column, completed[:, block.where], gaps))
        return frame.with_columns(filled)

    def hide(self, frame: pl.DataFrame, mask: NDArray[np.bool_]) -> pl.DataFrame:
        """Return the table without the cells of ``mask`` (N, C)."""
        return frame.with_columns(
            pl.when(~pl.Series(mask[:, j])).then(pl.col(column.name)).alias(column.name)
            for j, column in enumerate(self.columns)
            if mask[:, j].any()
        )

    def best_codes(self, completed: Array) -> Array:
        """Return the filled cells as ``codes`` has them, (N, C): of categories the most likely one."""
        out = np.empty((len(completed), len(self.columns)))
        for j, (column, block) in enumerate(zip(self.columns, self.blocks, strict=True)):
            part = completed[:, block.where]
            out[:, j] = part[:, : len(column.categories)].argmax(axis=1) if column.categories else part[:, 0]
        return out


def _written(series: pl.Series, column: EncodedColumn, values: Array, gaps: NDArray[np.bool_]) -> pl.Series:
    """Return a column with its gaps filled."""
    dtype = series.dtype
    mask = pl.Series(gaps)
    if column.categories:
        best = values[:, : len(column.categories)].argmax(axis=1)
        words = pl.Series(np.array(column.categories, dtype=object)[best].tolist(), dtype=pl.String)
        if dtype == pl.Boolean:
            new = words == "true"
        elif dtype.is_numeric():
            new = words.cast(pl.Float64).cast(dtype)
        else:
            new = words.cast(dtype)
    else:
        numbers = values[:, 0]
        if dtype == pl.Duration:
            new = pl.Series(np.round(numbers * 1e6)).cast(pl.Int64).cast(pl.Duration("us")).cast(dtype)
        elif dtype.is_temporal():
            kept = pl.Series(np.where(gaps, np.round(numbers), 0.0)).cast(pl.Int64)
            new = (kept.cast(pl.Int32) if dtype == pl.Date else kept).cast(dtype)
        elif dtype.is_integer() or column.whole:
            new = _rounded(numbers, gaps, dtype)
        else:
            new = pl.Series(numbers).cast(dtype)
    known = series.fill_nan(None) if dtype.is_float() else series
    return (
        pl.DataFrame({"old": known, "new": new, "gap": mask})
        .select(pl.when("gap").then("new").otherwise("old").cast(dtype).alias(series.name))
        .to_series()
    )


def _rounded(numbers: Array, gaps: NDArray[np.bool_], dtype: pl.DataType) -> pl.Series:
    values = np.where(gaps, np.round(numbers), 0.0)
    if dtype.is_integer():
        low, high = dtype.min(), dtype.max()  # type: ignore[attr-defined]  # of integer types
        least, most = (float(pl.select(bound).item()) for bound in (low, high))
        values = np.clip(values, max(least, -_EXACT), min(most, _EXACT))
    return pl.Series(values).cast(dtype)


def _is_whole(series: pl.Series) -> bool:
    if not series.dtype.is_float():
        return not series.dtype.is_decimal()
    known = series.drop_nulls()
    known = known.filter(known.is_finite())
    return bool(len(known)) and bool((known == known.round()).all())


def _role(series: pl.Series) -> str:
    if series.dtype.is_numeric() or series.dtype == pl.Duration:
        return "numeric"
    if series.dtype == pl.Boolean:
        return "categorical"
    return "categorical" if series.n_unique() <= max(2, len(series) / 2) else "text"


def roles_of(schema: Any) -> dict[str, str]:
    """Return column → role of a ``Schema``."""
    return {column.name: column.role for column in schema.columns}
