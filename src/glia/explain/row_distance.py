"""How far apart rows of mixed columns are: numbers in units of their spread, categories equal or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.explain.subject import Floats


@dataclass(frozen=True)
class RowDistance:
    """A distance between rows of the same columns, learned from a background.

    Parameters
    ----------
    background : polars.DataFrame (B, C)
        Rows that exist.
    scales : dict
        Column of numbers → mean absolute deviation from its median (1 where it does not vary).
    """

    background: pl.DataFrame
    scales: dict[str, float]

    @classmethod
    def of(cls, background: pl.DataFrame) -> RowDistance:
        """Return the distance with the scales of a background."""
        scales = {}
        for name, dtype in background.schema.items():
            if dtype.is_numeric():
                values = background.get_column(name).cast(pl.Float64).fill_nan(None).drop_nulls().to_numpy()
                spread = float(np.abs(values - np.median(values)).mean()) if len(values) else 0.0
                scales[name] = spread or 1.0
        return cls(background, scales)

    def one(self, column: str, before: Any, after: Any) -> float:
        """Return how far two values of a column are apart; a missing number is 1 from all others."""
        if before == after or (before is None and after is None):
            return 0.0
        if column in self.scales and before is not None and after is not None:
            return abs(float(after) - float(before)) / self.scales[column]
        return 1.0

    def between(self, rows: pl.DataFrame, others: pl.DataFrame) -> Floats:
        """Return the sum of the columns' distances, (N, M)."""
        total = np.zeros((rows.height, others.height))
        for name in self.background.columns:
            if name in self.scales:
                a, b = (_numbers(frame.get_column(name)) for frame in (rows, others))
                apart = np.abs(a[:, None] - b[None]) / self.scales[name]
                lacking = np.isnan(a)[:, None] != np.isnan(b)[None]
                total += np.where(lacking, 1.0, np.nan_to_num(apart))
            else:
                a_, b_ = (_words(frame.get_column(name)) for frame in (rows, others))
                total += a_[:, None] != b_[None]
        return total

    def nearest(self, rows: pl.DataFrame) -> Floats:
        """Return the distance to the nearest row of the background, (N,)."""
        return np.asarray(self.between(rows, self.background).min(axis=1))

    def usual(self, most: int = 500) -> Floats:
        """Return how far rows of the background are from their nearest neighbours, at most ``most`` of them."""
        some = self.background[:most]
        apart = self.between(some, self.background)
        apart[np.arange(some.height), np.arange(some.height)] = np.inf
        return np.asarray(apart.min(axis=1))


def _numbers(column: pl.Series) -> Floats:
    return np.asarray(column.cast(pl.Float64).fill_null(float("nan")).to_numpy())


def _words(column: pl.Series) -> NDArray[Any]:
    return np.asarray(column.cast(pl.String).fill_null("\0").to_numpy().astype(str))


def rows_of(frame: pl.DataFrame, changes: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Return one copy of a one-row frame for each set of changes, column → value."""
    made = {}
    for name, dtype in frame.schema.items():
        own = frame.get_column(name)
        if not any(name in change for change in changes):
            made[name] = own.new_from_index(0, len(changes))
            continue
        first = own[0]
        made[name] = pl.Series(name, [change.get(name, first) for change in changes], dtype=dtype, strict=False)
    return pl.DataFrame(made)
