"""Categories as numbers: one-hot columns, one column for two categories, codes to be embedded, or ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.layout import Feature
from glia.data.casting import text_expr

Encode = Literal["auto", "onehot", "ordinal", "embedding"]
ENCODE = ("auto", "onehot", "ordinal", "embedding")
_FEW_ROWS = 50
Rows = NDArray[np.float32]


@dataclass(frozen=True)
class CategoryLimits:
    """Where columns of many categories are cut: see the parameters of ``Preparation`` with the same names."""

    onehot_limit: int = 8
    max_categories: int | None = None
    rare: int | None = None

    def least(self, rows: int) -> int:
        """Return how often a category must occur to be kept."""
        if self.rare is not None:
            return self.rare
        return min(10, max(2, rows // 1000)) if rows >= _FEW_ROWS else 1

    def most(self, how: str) -> int:
        """Return how many categories are kept."""
        if self.max_categories is None:
            return 128 if how == "onehot" else 100_000
        return self.max_categories


@dataclass(frozen=True)
class Categories:
    """The categories of one column.

    Parameters
    ----------
    column : str
        The column's name.
    how : {"onehot", "binary", "embedding"}
        ``binary``: one column that is 0 for the first category, 1 for the second and 0.5 for an unseen one.
    kept : tuple of str
        The categories with the codes 1, 2, …, sorted. Code 0 is what was pooled for being rare, and what was not seen.
    pooled : bool
        Whether training rows have code 0. If none has, one-hot columns have none for it: unseen ones are all 0.
    missing : int
        Code of missing values: one of their own, that of the mode, or 0 if training had none.
    """

    column: str
    how: str
    kept: tuple[str, ...]
    pooled: bool
    missing: int

    @property
    def codes(self) -> int:
        """Number of codes, 0 included."""
        return 1 + max(len(self.kept), self.missing)

    @property
    def width(self) -> int:
        """Number of columns in the tensor."""
        return self.codes - (not self.pooled) if self.how == "onehot" else 1

    def labels(self) -> list[str]:
        """Return what a person reads for each code."""
        named = [f"{self.column}=(other)", *(f"{self.column}={category}" for category in self.kept)]
        return named + [f"{self.column} is missing"] * (self.codes - len(named))

    def features(self) -> list[Feature]:
        """Return the columns of the tensor."""
        if self.how == "embedding":
            return [Feature(self.column, self.column, "code", cardinality=self.codes)]
        first = 2 if self.how == "binary" else int(not self.pooled)
        return [Feature(label, self.column, "onehot") for label in self.labels()[first:]]

    def expr(self, dtype: pl.DataType) -> pl.Expr:
        """Return the expression of a column's codes."""
        text = text_expr(self.column, dtype)
        code = text.cast(pl.Enum(self.kept), strict=False).to_physical().cast(pl.UInt32) + 1
        known = code.fill_null(0)
        if self.missing:
            known = pl.when(text.is_null()).then(pl.lit(self.missing, pl.UInt32)).otherwise(known)
        return known.alias(self.column)

    def write(self, codes: NDArray[np.uint32], out: Rows) -> None:
        """Write codes (N,) as columns ``out`` (N, width)."""
        if self.how == "embedding":
            out[:, 0] = codes
        elif self.how == "binary":
            out[:, 0] = np.array([0.5, 0.0, 1.0], dtype=np.float32)[codes]
        else:
            out[:] = 0.0
            rows, first = np.arange(len(codes)), int(not self.pooled)
            if first and not codes.all():
                rows = np.flatnonzero(codes)
                codes = codes[rows]
            out[rows, codes.astype(np.intp) - first] = 1.0


def fit_categories(series: pl.Series, how: str, impute: str, limits: CategoryLimits) -> Categories:
    """Learn the categories of one column of text (see ``casting.text_expr``), null where missing.

    Parameters
    ----------
    series : polars.Series
        Training values.
    how : {"auto", "onehot", "embedding"}
        ``auto``: one-hot up to ``limits.onehot_limit`` categories, else codes.
    impute : str
        ``mode`` lets missing values be the most frequent category; otherwise they are a category of their own.
    limits : CategoryLimits
        Which categories are pooled.
    """
    counted = series.drop_nulls().value_counts(name="count")
    found = sorted(zip(counted["count"].to_list(), counted[series.name].to_list(), strict=True), key=_by_frequency)
    has_missing = bool(series.null_count())
    kept = found[: limits.most(how)]
    if len(found) + has_missing > 2:  # of two categories none can be pooled: nothing would be left to tell apart
        kept = [(count, category) for count, category in kept if count >= limits.least(len(series))]
    names = tuple(sorted(category for _, category in kept))
    missing = 0
    if has_missing:
        as_mode = impute == "mode" and kept
        missing = 1 + (names.index(kept[0][1]) if as_mode else len(names))
    pooled = len(kept) < len(found)
    own = Categories(series.name, "embedding", names, pooled, missing)
    if how == "embedding" or (how == "auto" and own.codes - (not pooled) > limits.onehot_limit):
        return own
    binary = own.codes == 3 and not pooled
    return Categories(series.name, "binary" if binary else "onehot", names, pooled, missing)


def _by_frequency(pair: tuple[int, str]) -> tuple[int, str]:
    return -pair[0], pair[1]


def natural_order(series: pl.Series) -> tuple[str, ...]:
    """Return the categories of a column from first to last: as its Enum says, else by the alphabet."""
    if isinstance(series.dtype, pl.Enum):
        return tuple(series.dtype.categories.to_list())
    texts = series.to_frame().select(text_expr(series.name, series.dtype)).to_series()
    return tuple(texts.drop_nulls().unique().sort().to_list())


def rank_expr(column: str, dtype: pl.DataType, order: tuple[str, ...]) -> pl.Expr:
    """Return the expression of a column's ranks 0, 1, … in ``order`` as Float64; null where unknown."""
    text = text_expr(column, dtype)
    return text.cast(pl.Enum(order), strict=False).to_physical().cast(pl.Float64)


@dataclass(frozen=True)
class CategoryPart:
    """All categorical columns of a table."""

    columns: tuple[Categories, ...]

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, columns: list[str], how: str, impute: str, limits: CategoryLimits
    ) -> CategoryPart:
        """Learn the categories of ``columns``."""
        schema = frame.schema
        texts = frame.select(text_expr(name, schema[name]).alias(name) for name in columns)
        return cls(tuple(fit_categories(series, how, impute, limits) for series in texts))

    def features(self) -> list[Feature]:
        """Return the columns of the tensor."""
        return [feature for column in self.columns for feature in column.features()]

    def write(self, frame: pl.DataFrame, out: Rows) -> None:
        """Write the columns for the rows of ``frame``, (N, D)."""
        if not self.columns:
            return
        schema = frame.schema
        codes = frame.select(column.expr(schema[column.column]) for column in self.columns)
        start = 0
        for column, series in zip(self.columns, codes, strict=True):
            column.write(series.to_numpy(), out[:, start : start + column.width])
            start += column.width

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return plain data and arrays."""
        return {"columns": [[c.column, c.how, list(c.kept), c.pooled, c.missing] for c in self.columns]}, {}

    @classmethod
    def from_state(cls, state: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> CategoryPart:
        """Rebuild what ``to_state`` gave."""
        columns = (
            Categories(str(name), str(how), tuple(map(str, kept)), bool(pooled), int(missing))
            for name, how, kept, pooled, missing in state["columns"]
        )
        found = cls(tuple(columns))
        for c in found.columns:
            fits = len(set(c.kept)) == len(c.kept) and 0 <= c.missing <= len(c.kept) + 1
            if not fits or c.how not in ("onehot", "binary", "embedding") or (c.how == "binary" and c.codes != 3):
                raise ValueError(f"the categories of {c.column!r} contradict themselves")
        return found
