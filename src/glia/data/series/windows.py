"""Origins of forecasts and what lies around them, gathered from many series at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.data.series.series_table import SeriesTable, filled

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Windows:
    """N origins: the values before each, and what is known of the steps after it.

    Parameters
    ----------
    past : ndarray (N, L)
        Values before the origin, the latest last, without gaps; a series' first value stands for those before it.
    counts : ndarray of int (N,)
        How many of them are real.
    calendar : ndarray (N, L + H, K)
        Sines and cosines of the calendar for the window and the horizon.
    covariates : ndarray (N, L + H, F)
        Before a series' start its first ones.
    future : ndarray (N, H)
        What came; NaN where it is not known.
    series : ndarray of int (N,)
        Which series each origin is of.
    origins : ndarray of int (N,)
        How many of its steps come before.
    """

    past: Floats
    counts: Places
    calendar: Floats
    covariates: Floats
    future: Floats
    series: Places
    origins: Places

    def __len__(self) -> int:
        return len(self.past)


class Gatherer:
    """Takes windows out of the series of a table.

    Parameters
    ----------
    table : SeriesTable
    horizon : int
        H; every series is thought to go on for as many steps after its last known value.
    """

    def __init__(self, table: SeriesTable, horizon: int) -> None:
        self.table, self.horizon = table, horizon
        long = np.maximum(table.lengths, table.known + horizon)
        self._begin = np.cumsum(long) - long
        total, features = int(long.sum()), table.covariates.shape[1]
        self._values, self._actual = np.zeros(total), np.full(total, np.nan)
        self._covariates = np.full((total, features), np.nan)
        times = np.zeros(total, dtype=np.int64)
        places = zip(self._begin, table.offsets, table.lengths, table.known, table.start, long, strict=True)
        for begin, offset, length, known, start, size in places:
            own = table.values[offset : offset + known]
            self._values[begin : begin + known] = filled(own)
            self._actual[begin : begin + known] = own
            self._covariates[begin : begin + length] = table.covariates[offset : offset + length]
            times[begin : begin + size] = table.step.times(int(start), np.arange(size))
        self.times = times
        self._calendar, self.calendar_names = table.step.calendar(times)

    def at(self, series: Places, origins: Places, length: int) -> Windows:
        """Return the windows of ``length`` values at some origins (at least 1 step after the start).

        Raises
        ------
        InputError
            If a covariate of the horizon is not known.
        """
        begin = self._begin[series][:, None]
        around = np.arange(-length, self.horizon)[None, :] + origins[:, None]
        places = begin + np.maximum(around, 0)
        covariates = self._covariates[places]
        unknown = np.isnan(covariates).any(axis=(1, 2))
        if unknown.any():
            names = ", ".join(map(repr, self.table.names["covariates"]))
            got = f"{int(unknown.sum())} series without them, {self.table.ids[int(series[unknown.argmax()])]!r} first"
            do = "add rows with these times and covariates, and without a target"
            raise InputError(f"the covariates {names} of the next {self.horizon} steps must be known", got, do)
        return Windows(
            self._values[places[:, :length]],
            np.minimum(origins, length),
            self._calendar[places],
            covariates,
            self._actual[places[:, length:]],
            np.asarray(series),
            np.asarray(origins),
        )

    def future_times(self, series: Places, origins: Places) -> Places:
        """Return the times of the steps after the origins, (N, H)."""
        return np.asarray(self.times[self._begin[series][:, None] + origins[:, None] + np.arange(self.horizon)])

    def learning_origins(self, least: int, most: int) -> tuple[Places, Places]:
        """Return series and origins from which all H following values are known, at most about ``most``, evenly spread.

        Parameters
        ----------
        least : int
            Steps before an origin; shorter series begin half-way, after 2 steps at least.
        most : int
            Origins.

        Raises
        ------
        InputError
            If no series is long enough.
        """
        known = self.table.known
        usable = np.flatnonzero(known >= self.horizon + 2)
        if not len(usable):
            got = f"{int(known.max())} in the longest of {len(known)} series, for a horizon of {self.horizon}"
            do = f"forecast at most {max(int(known.max()) - 2, 1)} steps, or give longer series"
            raise InputError("a series must have at least two values more than the horizon", got, do)
        first = np.minimum(np.maximum(np.minimum(least, known[usable] // 2), 2), known[usable] - self.horizon)
        counts = known[usable] - self.horizon - first + 1
        stride = max(1, -(-int(counts.sum()) // most))
        parts = [
            (np.full(-(-int(c) // stride), s), np.arange(n - self.horizon, f - 1, -stride)[::-1])
            for s, f, c, n in zip(usable, first, counts, known[usable], strict=True)
        ]
        series = np.concatenate([part[0] for part in parts]).astype(np.int64)
        origins = np.concatenate([part[1] for part in parts]).astype(np.int64)
        whole = ~np.isnan(self._actual[self._begin[series][:, None] + origins[:, None] + np.arange(self.horizon)])
        there = whole.all(axis=1)
        if not there.any():
            got = "gaps in the horizon of every origin"
            raise InputError("some steps must be without gaps", got, "fill the gaps in first (glia repair)")
        return series[there], origins[there]


def seasonal_scale(values: Floats, season: int) -> float:
    """Return the mean absolute change over a season (over one step in shorter series), above 0: the unit of MASE."""
    lag = season if len(values) > season else 1
    known = np.abs(values[lag:] - values[:-lag])
    known = known[~np.isnan(known)]
    mean = float(known.mean()) if len(known) else 0.0
    if mean > 0:
        return mean
    size = float(np.nanmean(np.abs(values))) if len(values) else 0.0
    return size if size > 0 else 1.0


def describe_table(table: SeriesTable) -> dict[str, Any]:
    """Return what is known of the series, for records: their number, lengths, step and notes."""
    return {
        "series": len(table),
        "shortest": int(table.known.min()),
        "longest": int(table.known.max()),
        "values": int(table.known.sum()),
        "step": table.step.words,
        "covariates": list(table.names["covariates"]),
        "notes": list(table.notes),
    }
