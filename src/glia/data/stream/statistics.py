"""What a stream holds, column by column, gathered in one pass: counts, moments, extremes, categories."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl

from glia.core.errors import InputError, near

MOST_VALUES = 10_000
"""Different values of a column that are counted; of a column with more, only how many there were until then."""


@dataclass(frozen=True)
class ColumnSummary:
    """One column of a stream.

    Parameters
    ----------
    name, dtype : str
        Its name and Polars type.
    rows, missing, infinite : int
        Values in all, missing ones (NaN too), and infinite ones.
    mean, std, low, high : float or None
        Of the finite numbers (``std`` divided by their number); ``None`` for what is no number, or where there is none.
    values : dict or None
        Value → number of rows, for words, truth values and targets; ``None`` for numbers, and above 10,000 values.
    """

    name: str
    dtype: str
    rows: int = 0
    missing: int = 0
    infinite: int = 0
    mean: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    values: dict[Any, int] | None = None


@dataclass(frozen=True)
class StreamStatistics:
    """All columns of a stream; exact, from every row."""

    rows: int
    columns: tuple[ColumnSummary, ...]

    def column(self, name: str) -> ColumnSummary:
        """Return the column called ``name``; the nearest is offered where there is none."""
        found = next((column for column in self.columns if column.name == name), None)
        if found is None:
            raise InputError("a column must be in the stream", repr(name), near(name, [c.name for c in self.columns]))
        return found

    def fingerprint(self) -> str:
        """Return a text that is another one for other data, all but surely; the last digits of sums are left out."""
        parts = [
            f"{c.name!r} {c.dtype} {c.missing} {c.infinite} {c.low!r} {c.high!r} {c.mean or 0:.9g} {c.std or 0:.9g}"
            f" {c.values}"
            for c in self.columns
        ]
        return "; ".join([str(self.rows), *parts])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; values become words."""
        columns = [asdict(replace(column, values=None)) for column in self.columns]
        for data, column in zip(columns, self.columns, strict=True):
            data["values"] = None if column.values is None else {str(k): n for k, n in column.values.items()}
        return {"rows": self.rows, "columns": columns}

    def __repr__(self) -> str:
        lines = [f"{self.rows:,} rows × {len(self.columns)} columns"]
        width = max((len(column.name) for column in self.columns), default=0)
        for column in self.columns:
            text = f"{column.missing:,} missing"
            if column.mean is not None:
                text += f", mean {column.mean:.4g}, std {column.std:.4g}, {column.low:.4g} to {column.high:.4g}"
            if column.values is not None:
                text += f", {len(column.values):,} values"
            lines.append(f"{column.name:<{width}}  {column.dtype:<8}  {text}")
        return "\n".join(lines)


class Gathering:
    """Adds up the statistics of frames that come one after the other.

    Parameters
    ----------
    schema : dict
        Column → Polars type.
    counted : collection of str
        Columns of numbers whose values are counted too: targets.

    Notes
    -----
    Mean and squared deviations of two parts are joined by the formula of Chan, Golub and LeVeque (1979), which loses
    no digits where the mean is far from zero.
    """

    def __init__(self, schema: dict[str, pl.DataType], counted: tuple[str, ...] = ()) -> None:
        self.schema = schema
        self.numbers = [name for name, dtype in schema.items() if dtype.is_numeric()]
        worded = [n for n, t in schema.items() if t in (pl.String, pl.Boolean, pl.Categorical, pl.Enum)]
        self.values: dict[str, dict[Any, int] | None] = {name: {} for name in dict.fromkeys([*worded, *counted])}
        self.rows = 0
        self.missing = dict.fromkeys(schema, 0)
        self.infinite = dict.fromkeys(self.numbers, 0)
        self.moments: dict[str, tuple[int, float, float]] = dict.fromkeys(self.numbers, (0, 0.0, 0.0))
        self.extremes: dict[str, tuple[float, float]] = dict.fromkeys(self.numbers, (math.inf, -math.inf))

    def add(self, frame: pl.DataFrame) -> None:
        """Add the rows of a frame."""
        self.rows += frame.height
        for name, missing in zip(frame.columns, frame.null_count().row(0), strict=True):
            self.missing[name] += missing
        if self.numbers and frame.height:
            self._add_numbers(frame)
        for name, counts in self.values.items():
            if counts is None:
                continue
            for value, count in frame.get_column(name).drop_nulls().value_counts().iter_rows():
                if value == value:
                    counts[value] = counts.get(value, 0) + count
            if len(counts) > MOST_VALUES:
                self.values[name] = None

    def result(self) -> StreamStatistics:
        """Return what was gathered."""
        return StreamStatistics(self.rows, tuple(self._summary(name) for name in self.schema))

    def _add_numbers(self, frame: pl.DataFrame) -> None:
        every = frame.select(pl.col(self.numbers).cast(pl.Float64))
        finite = every.select(pl.when(pl.all().is_finite()).then(pl.all()))
        figures = [
            every.select(pl.all().is_nan().sum()).row(0),
            every.select(pl.all().is_infinite().sum()).row(0),
            *(
                finite.select(figure).row(0)
                for figure in (pl.all().count(), pl.all().mean(), pl.all().var(ddof=0), pl.all().min(), pl.all().max())
            ),
        ]
        for name, nan, infinite, count, mean, variance, low, high in zip(self.numbers, *figures, strict=True):
            self.missing[name] += nan
            self.infinite[name] += infinite
            if not count:
                continue
            self.moments[name] = joined(self.moments[name], (count, mean, variance * count))
            least, most = self.extremes[name]
            self.extremes[name] = min(least, low), max(most, high)

    def _summary(self, name: str) -> ColumnSummary:
        dtype = str(self.schema[name]).partition("(")[0]
        values = self.values.get(name)
        if values is not None:  # Polars counts in whatever order its threads come to an end
            values = dict(sorted(values.items(), key=lambda pair: str(pair[0])))
        found = ColumnSummary(name, dtype, self.rows, self.missing[name], values=values)
        if name not in self.moments:
            return found
        count, mean, squares = self.moments[name]
        found = replace(found, infinite=self.infinite[name])
        if not count:
            return found
        low, high = self.extremes[name]
        return replace(found, mean=mean, std=math.sqrt(max(squares, 0.0) / count), low=low, high=high)


def joined(one: tuple[int, float, float], other: tuple[int, float, float]) -> tuple[int, float, float]:
    """Return count, mean and sum of squared deviations of two parts taken together."""
    (n, mean, squares), (m, mean_m, squares_m) = one, other
    total = n + m
    if not total:
        return one
    step = mean_m - mean
    return total, mean + step * m / total, squares + squares_m + step * step * (n * m / total)
