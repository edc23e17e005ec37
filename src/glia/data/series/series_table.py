"""Many series in one long table: read, put in order, checked, and brought onto equal steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError, near
from glia.data.datetimes import find_formats, moment_expr
from glia.data.frames import to_frame
from glia.data.series.time_steps import Moments, Step, find_step, said

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SeriesTable:
    """N series on equal steps, one after the other.

    Parameters
    ----------
    values : ndarray (S,)
        What is forecast; NaN where it is missing, and at steps that are still to come.
    covariates : ndarray (S, F)
        What is known of every step, also of those to come.
    lengths, known : ndarray of int (N,)
        Steps of each series, and how many of them there are up to its last known value.
    start : ndarray of int (N,)
        Time of each first step: microseconds since 1970, or plain numbers.
    step : Step
        How far apart steps are.
    ids : tuple
        Of the series.
    names : dict
        Of the columns: ``time``, ``target``, ``id`` (or None), and ``covariates``, a tuple.
    notes : tuple of str
        What was found and put right.
    """

    values: Floats
    covariates: Floats
    lengths: NDArray[np.int64]
    known: NDArray[np.int64]
    start: NDArray[np.int64]
    step: Step
    ids: tuple[Any, ...]
    names: dict[str, Any]
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each series begins in ``values``, (N,)."""
        return np.asarray(np.cumsum(self.lengths) - self.lengths)

    def series(self, number: int) -> Floats:
        """Return the known part of a series."""
        begin = self.offsets[number]
        return self.values[begin : begin + self.known[number]]

    def histories(self) -> list[Floats]:
        """Return the known part of every series, gaps filled with the value before (at the start: after)."""
        return [filled(self.series(number)) for number in range(len(self))]

    def cut(self, steps: int) -> SeriesTable:
        """Return the table as it was ``steps`` steps ago: the last values of every series are not known.

        Series that are left with fewer than two values are left out.
        """
        kept = np.flatnonzero(self.known - steps >= 2)
        return self.take(kept, self.known[kept] - steps)

    def take(self, kept: NDArray[np.intp], known: NDArray[np.int64] | None = None) -> SeriesTable:
        """Return some of the series, of which but the first ``known`` values are known."""
        spans = zip(self.offsets[kept], self.lengths[kept], strict=True)
        pieces = [np.arange(offset, offset + length, dtype=np.int64) for offset, length in spans]
        places = np.concatenate([np.zeros(0, dtype=np.int64), *pieces])
        values = self.values[places].copy()
        known = self.known[kept] if known is None else known
        begins = np.cumsum(self.lengths[kept]) - self.lengths[kept]
        for begin, length, count in zip(begins, self.lengths[kept], known, strict=True):
            values[begin + count : begin + length] = np.nan
        return SeriesTable(
            values,
            self.covariates[places],
            self.lengths[kept],
            np.asarray(known),
            self.start[kept],
            self.step,
            tuple(self.ids[i] for i in kept),
            self.names,
            self.notes,
        )


def filled(values: Floats) -> Floats:
    """Return values (T,) with gaps filled by the value before, at the start by the first one."""
    known = np.flatnonzero(~np.isnan(values))
    if len(known) in (0, len(values)):
        return np.nan_to_num(values) if not len(known) else values
    place = np.searchsorted(known, np.arange(len(values)), side="right") - 1
    return values[known[np.maximum(place, 0)]]


def as_series(
    frame: Any,
    *,
    time: str,
    target: str,
    id: str | Sequence[str] | None = None,
    covariates: Sequence[str] = (),
    step: Step | None = None,
) -> SeriesTable:
    """Return the series of a long table: one row for each step of each series, in any order.

    Parameters
    ----------
    frame : frame or SeriesTable
        Polars, pandas, Arrow, ….
    time : str
        Column of dates, times or whole numbers.
    target : str
        Column to forecast. Rows at the end of a series without a value are steps to come, whose covariates are known.
    id : str or sequence of str, optional
        Column or columns that tell series apart; without any there is one series.
    covariates : sequence of str
        Columns of numbers that are known beforehand (prices, holidays, weather forecasts).
    step : Step, optional
        How far apart steps must be; found by default.

    Raises
    ------
    InputError
        If a column is missing or of the wrong kind, a time is there twice or lies between two steps, or a series has
        no value.
    """
    if isinstance(frame, SeriesTable):
        return frame
    table = to_frame(frame)
    ids = [id] if isinstance(id, str) else list(id or [])
    for name in (time, target, *ids, *covariates):
        if name not in table.columns:
            raise InputError("the table must have the column", repr(name), near(name, table.columns))
    twice = [name for name in {time, target, *ids, *covariates} if [time, target, *ids, *covariates].count(name) > 1]
    if twice:
        raise InputError("a column must have one role", f"{twice[0]!r} in several", "name it once")
    if not table.height:
        raise InputError("there must be rows", "an empty table")
    moments, numbers = _times(table[time])
    key = pl.concat_str([pl.col(name).cast(pl.String).fill_null("missing") for name in ids], separator=" · ")
    columns = [
        moments.alias("__time"),
        _numbers(table[target]).alias("__value"),
        *(_numbers(table[name]).alias(f"__{i}") for i, name in enumerate(covariates)),
    ]
    rows = table.with_columns((key if ids else pl.lit("series")).alias("__key")).select("__key", *columns)
    order = rows.select(pl.col("__key").unique(maintain_order=True)).with_row_index("__place")
    rows = rows.join(order, on="__key", how="left", maintain_order="left").sort("__place", "__time")
    _no_duplicates(rows, time, "number" if numbers else "us")
    lengths = rows["__place"].unique_counts().to_numpy().astype(np.int64)
    names: dict[str, Any] = {
        "time": time,
        "target": target,
        "id": id if id is None or isinstance(id, str) else list(id),
    }
    names["covariates"] = tuple(covariates)
    return _on_steps(rows, lengths, order["__key"].to_list(), names, numbers, step)


def _times(column: pl.Series) -> tuple[pl.Series, bool]:
    """Return times as whole numbers (microseconds since 1970, or the numbers they are), and whether they are such."""
    if column.null_count():
        raise InputError(f"every row must have a time in {column.name!r}", f"{column.null_count()} missing")
    if column.dtype.is_integer():
        return column.cast(pl.Int64), True
    if column.dtype.is_float():
        if (column != column.round()).any():
            do = "write dates, or whole numbers"
            raise InputError(f"times in {column.name!r} must be dates or whole numbers", "fractions", do)
        return column.cast(pl.Int64), True
    if not (column.dtype.is_temporal() or column.dtype == pl.String):
        got = f"{column.dtype} in {column.name!r}"
        raise InputError("times must be dates or whole numbers", got, "write them as 2024-01-31 or 2024-01-31 12:30")
    formats = find_formats(column)
    read = column.to_frame().select(moment_expr(column.name, column.dtype, formats)).to_series()
    if read.null_count():
        bad = column.filter(read.is_null())[0]
        raise InputError(f"every time in {column.name!r} must be a date", repr(bad), "write it as the others")
    return read.cast(pl.Int64), False


def _numbers(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Boolean:
        return column.cast(pl.Float64)
    found = column.cast(pl.Float64, strict=False)
    if found.null_count() > column.null_count():
        bad = column.filter(found.is_null() & column.is_not_null())[0]
        raise InputError(f"the column {column.name!r} must hold numbers", repr(bad), "correct it or leave it out")
    if found.is_infinite().any():
        raise InputError(f"the column {column.name!r} must hold finite numbers", "infinity", "correct it")
    return found.fill_nan(None)


def _no_duplicates(rows: pl.DataFrame, time: str, unit: str) -> None:
    same = rows.filter(pl.struct("__place", "__time").is_duplicated())
    if same.height:
        where = f"{said(same['__time'][0], unit)} in the series {same['__key'][0]!r}"
        got = f"{where} ({same.height} rows share their time with others)"
        do = "name the column that tells series apart with id, or aggregate the rows"
        raise InputError(f"a series must have every time in {time!r} once", got, do)


def _on_steps(
    rows: pl.DataFrame, lengths: NDArray[np.int64], ids: list[str], names: dict[str, Any], numbers: bool,
    step: Step | None,
) -> SeriesTable:  # fmt: skip
    """Put rows in order onto equal steps; steps that are not there are gaps."""
    ends = np.cumsum(lengths)
    times = rows["__time"].to_numpy()
    parts: list[Moments] = np.split(times, ends[:-1])
    step = step or find_step(parts, numbers=numbers)
    index = []
    for key, part in zip(ids, parts, strict=True):
        try:
            index.append(step.index(int(part[0]), part))
        except InputError as error:
            raise InputError(error.must, f"{error.got} (series {key!r})", error.do) from None
    whole = np.array([one[-1] + 1 for one in index], dtype=np.int64)
    if whole.sum() > max(50 * rows.height, 10_000):
        got = f"{rows.height} rows for {int(whole.sum())} steps of one {step.words}"
        raise InputError("a series must not be mostly gaps", got, "correct the times, or aggregate the series")
    begins = np.cumsum(whole) - whole
    place = np.concatenate([begin + one for begin, one in zip(begins, index, strict=True)])
    raw = rows.select(pl.col("__value", *(f"__{i}" for i in range(len(names["covariates"]))))).to_numpy()
    grid = np.full((int(whole.sum()), raw.shape[1]), np.nan)
    grid[place] = raw.astype(np.float64)
    values, covariates = grid[:, 0], grid[:, 1:]
    known = np.zeros(len(ids), dtype=np.int64)
    for number, (begin, length) in enumerate(zip(begins, whole, strict=True)):
        there = np.flatnonzero(~np.isnan(values[begin : begin + length]))
        if not len(there):
            got = f"none in the series {ids[number]!r}"
            raise InputError(f"every series must have values of {names['target']!r}", got, "leave it out")
        known[number] = there[-1] + 1
        for column in covariates.T:
            column[begin : begin + length] = filled(column[begin : begin + length])
    inside = np.arange(len(values)) - np.repeat(begins, whole) < np.repeat(known, whole)
    gaps = int((np.isnan(values) & inside).sum())
    notes = (
        (f"{gaps:,} of {int(known.sum()):,} values are missing; the value before stands in for them",) if gaps else ()
    )
    start = np.array([part[0] for part in parts], dtype=np.int64)
    return SeriesTable(values, covariates, whole, known, start, step, tuple(ids), names, notes)
