"""Dates and times: the format of written ones, their cyclic parts as sine and cosine, and the years that pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.layout import Feature
from glia.data.roles_dates import EARLIEST, LATEST
from glia.data.roles_dates import FORMATS as DATE_FORMATS

_CLOCKS = ("%H:%M", "%H:%M:%S%.f", "%I:%M %p", "%I:%M:%S %p")
FORMATS = (*DATE_FORMATS, *_CLOCKS)
"""How dates and times of the day may be written; of formats that read equally many values the first is taken."""

_NUMBERS = {"year": (EARLIEST, LATEST), "%Y%m%d": (EARLIEST * 10_000, LATEST * 10_000)}
_EPOCHS = {"epoch s": 1, "epoch ms": 1e3, "epoch us": 1e6, "epoch ns": 1e9}
_YEAR = 365.2425 * 86400e6  # microseconds
_SAMPLE = 5000
_MOST_FORMATS = 3


def find_formats(series: pl.Series, form: str = "") -> tuple[str, ...]:
    """Return the formats that a column of written dates uses, at most three, the most frequent first.

    Parameters
    ----------
    series : polars.Series
        Training values: text, or numbers (a year, yyyymmdd, or seconds, milli-, micro- or nanoseconds since 1970).
        Date, Datetime and Time columns need no format: empty.
    form : str
        A format known to be in use, which is taken first.

    Raises
    ------
    InputError
        If no format reads any value.
    """
    if series.dtype.is_temporal() or not series.drop_nulls().len():
        return ()
    if series.dtype.is_numeric():
        return (_number_format(series),)
    values = series.cast(pl.String).str.strip_chars()
    left = values.filter(values.str.len_bytes() > 0).unique(maintain_order=True).head(_SAMPLE)
    first = left
    found = [form] if form else []
    left = _unread(left, form) if form else left
    while len(left) and len(found) < _MOST_FORMATS:
        read = [int(left.to_frame().select(_parse(pl.first(), form).is_not_null().sum()).item()) for form in FORMATS]
        best = int(np.argmax(read))
        if read[best] == 0:
            break
        found.append(FORMATS[best])
        left = _unread(left, found[-1])
    if not found and len(first):
        raise InputError(
            "a column used as datetime must hold dates",
            f"{series.name!r} with values like {first[0]!r}",
            "write them as 2024-01-31 or 2024-01-31 12:30, or give the column the role 'categorical' or 'text'",
        )
    return tuple(found)


def _unread(texts: pl.Series, form: str) -> pl.Series:
    return texts.filter(texts.to_frame().select(_parse(pl.first(), form).is_null()).to_series())


def _number_format(series: pl.Series) -> str:
    middle = series.cast(pl.Float64, strict=False).abs().median()
    size = float(middle) if isinstance(middle, (int, float)) else 0.0
    for name, (low, high) in _NUMBERS.items():
        if low <= size <= high:
            return name
    # 1e11 seconds is the year 5138: larger numbers count something smaller
    return "epoch s" if size < 1e11 else "epoch ms" if size < 1e14 else "epoch us" if size < 1e17 else "epoch ns"


def _parse(text: pl.Expr, form: str) -> pl.Expr:
    """Read text by one format as a datetime without time zone (UTC where zones are given); null where it is none."""
    if form in _CLOCKS:
        text, form = pl.lit("1970-01-01 ") + text, f"%Y-%m-%d {form}"
    zone = "UTC" if form.endswith("%z") else None
    moment = text.str.to_datetime(form, time_unit="us", time_zone=zone, strict=False).dt.replace_time_zone(None)
    # %Y also reads two digits: "05" is not the year 5
    return pl.when(moment.dt.year().is_between(EARLIEST, LATEST)).then(moment)


def moment_expr(column: str, dtype: pl.DataType, formats: tuple[str, ...]) -> pl.Expr:
    """Return the expression of a column as Datetime in microseconds, local time; null where it cannot be read."""
    value = pl.col(column)
    if dtype == pl.Time:
        return (value.cast(pl.Int64) // 1000).cast(pl.Datetime("us"))
    if dtype in (pl.Date, pl.Datetime):
        return (
            value.cast(pl.Datetime("us"))
            if dtype == pl.Date
            else value.dt.replace_time_zone(None).dt.cast_time_unit("us")
        )
    if dtype.is_numeric() and formats and formats[0] in _EPOCHS:
        return (
            (value.cast(pl.Float64) * (1e6 / _EPOCHS[formats[0]])).cast(pl.Int64, strict=False).cast(pl.Datetime("us"))
        )
    text = value.cast(pl.String, strict=False).str.strip_chars()
    if dtype.is_numeric():
        text = value.cast(pl.Int64, strict=False).cast(pl.String)
    reading = [
        _parse(text + "0101", "%Y%m%d") if form == "year" else _parse(text, form)
        for form in formats
        if form not in _EPOCHS
    ]
    return pl.coalesce(reading) if reading else pl.lit(None, pl.Datetime("us"))


def years_expr(moment: pl.Expr) -> pl.Expr:
    """Return the expression of years since 1970, with their fraction, as Float64."""
    return moment.dt.epoch("us").cast(pl.Float64) / _YEAR


def _cycle(part: str, moment: pl.Expr) -> pl.Expr:
    """Return where in its cycle a moment stands, in [0, 1)."""
    if part == "month":
        return (moment.dt.month().cast(pl.Float64) - 1) / 12
    if part == "weekday":
        return (moment.dt.weekday().cast(pl.Float64) - 1) / 7
    if part == "day of the year":
        return (moment.dt.ordinal_day().cast(pl.Float64) - 1) / 365.2425
    return (moment.dt.epoch("us") % 86_400_000_000).cast(pl.Float64) / 86400e6


@dataclass(frozen=True)
class Moments:
    """What is made of one column of dates.

    Parameters
    ----------
    column : str
        The column's name.
    formats : tuple of str
        How it is written; empty if it is typed.
    parts : tuple of str
        Those of month, weekday, hour and day of the year that varied in training.
    trend : bool
        Whether the years that pass are a (numeric) feature too; not for times of the day.
    """

    column: str
    formats: tuple[str, ...]
    parts: tuple[str, ...]
    trend: bool

    def features(self) -> list[Feature]:
        """Return the columns of the tensor, without the trend."""
        return [
            Feature(f"{self.column} ({part}, {wave})", self.column, "numeric")
            for part in self.parts
            for wave in ("sine", "cosine")
        ]

    def exprs(self, dtype: pl.DataType) -> list[pl.Expr]:
        """Return an expression for each of ``features()``; where the date is missing, the centre of the circle: 0."""
        moment = moment_expr(self.column, dtype, self.formats)
        names = iter(feature.name for feature in self.features())
        found = []
        for part in self.parts:
            angle = _cycle(part, moment) * (2 * np.pi)
            found += [wave.fill_null(0.0).cast(pl.Float32).alias(next(names)) for wave in (angle.sin(), angle.cos())]
        return found


def fit_moments(series: pl.Series, form: str = "") -> Moments:
    """Learn how one column is written, if ``form`` does not say it, and which of its parts vary."""
    formats = find_formats(series, form)
    moment = moment_expr(series.name, series.dtype, formats)
    seen = series.to_frame().select(moment.alias("moment")).drop_nulls()
    at = pl.col("moment")
    count = seen.select(
        at.dt.month().n_unique().alias("month"),
        at.dt.weekday().n_unique().alias("weekday"),
        _cycle("hour", at).n_unique().alias("hour"),
        at.dt.ordinal_day().n_unique().alias("day of the year"),
        at.dt.day().n_unique().alias("day"),
        at.n_unique().alias("moment"),
    ).row(0, named=True)
    # Always the same day of the month: its weekday is an accident, and the day of the year says no more than the month.
    asked = ("month", "hour") if count["day"] == 1 else ("month", "weekday", "hour", "day of the year")
    parts = tuple(part for part in asked if count[part] > 1)
    clock = series.dtype == pl.Time or (bool(formats) and all(form in _CLOCKS for form in formats))
    return Moments(series.name, formats, parts, trend=not clock and count["moment"] > 1)


@dataclass(frozen=True)
class CyclicPart:
    """The cyclic parts of all columns of dates."""

    columns: tuple[Moments, ...]

    @classmethod
    def fit(cls, frame: pl.DataFrame, columns: dict[str, str]) -> CyclicPart:
        """Learn from training rows; ``columns`` are names with the format that is known, or an empty string."""
        return cls(tuple(fit_moments(frame[name], form) for name, form in columns.items()))

    def features(self) -> list[Feature]:
        """Return the columns of the tensor."""
        return [feature for column in self.columns for feature in column.features()]

    def write(self, frame: pl.DataFrame, out: NDArray[np.float32]) -> None:
        """Write the columns for the rows of ``frame``, (N, D)."""
        schema = frame.schema
        exprs = [expr for column in self.columns for expr in column.exprs(schema[column.column])]
        if exprs:
            out[:] = frame.select(exprs).to_numpy()

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return plain data and arrays."""
        return {"columns": [[c.column, list(c.formats), list(c.parts), c.trend] for c in self.columns]}, {}

    @classmethod
    def from_state(cls, state: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> CyclicPart:
        """Rebuild what ``to_state`` gave."""
        columns = (
            Moments(str(name), tuple(map(str, formats)), tuple(map(str, parts)), bool(trend))
            for name, formats, parts, trend in state["columns"]
        )
        return cls(tuple(columns))
