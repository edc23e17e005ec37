"""How far apart the steps of a series are, what lies between them, and what the calendar says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError

Moments = NDArray[np.int64]
"""Microseconds since 1970, or plain numbers."""
_DAY = 86_400_000_000
_WORDS = {"second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": _DAY, "week": 7 * _DAY}


@dataclass(frozen=True)
class Step:
    """The distance of two steps.

    Parameters
    ----------
    unit : {"number", "month", "us"}
        Plain numbers, calendar months, or microseconds.
    size : int
        How many of them, at least 1.
    """

    unit: Literal["number", "month", "us"]
    size: int

    @property
    def words(self) -> str:
        """What a person calls it: ``"hour"``, ``"month"``, ``"15 minutes"``, ``"step"``."""
        if self.unit == "number":
            return "step" if self.size == 1 else f"{self.size} steps"
        if self.unit == "month":
            if self.size % 12 == 0:
                return "year" if self.size == 12 else f"{self.size // 12} years"
            return {1: "month", 3: "quarter"}.get(self.size, f"{self.size} months")
        name, length = next((n, s) for n, s in reversed(_WORDS.items()) if self.size % s == 0 or n == "second")
        count = self.size / length
        return name if count == 1 else f"{count:g} {name}s"

    @property
    def season(self) -> int:
        """Steps after which things usually repeat: a day of hours, a week of days, a year of months; 1 for none."""
        if self.unit == "month":
            return 12 // self.size if 12 % self.size == 0 else 1
        if self.unit == "us":
            if self.size < _DAY:
                return _DAY // self.size if _DAY % self.size == 0 else 1
            return {_DAY: 7, 7 * _DAY: 52}.get(self.size, 1)
        return 1

    def index(self, start: int, times: Moments) -> NDArray[np.int64]:
        """Return how many steps after ``start`` the times are.

        Raises
        ------
        InputError
            If one lies between two steps.
        """
        if self.unit == "month":
            months = _months(times) - _months(np.array([start]))[0]
            found, rest = np.divmod(months, self.size)
            expected = self.times(start, found)
            wrong = (rest != 0) | (expected != times)
        else:
            found, rest = np.divmod(times - start, self.size)
            wrong = rest != 0
        if wrong.any():
            shown = ", ".join(said(int(t), self.unit) for t in times[wrong][:3])
            do = "correct these times, or aggregate the series to one distance"
            raise InputError(f"the times of a series must be one {self.words} apart", f"{shown} in between", do)
        return np.asarray(found, dtype=np.int64)

    def times(self, start: int, index: NDArray[np.int64]) -> Moments:
        """Return the times of the steps ``index`` after ``start``."""
        if self.unit != "month":
            return np.asarray(start + index * self.size, dtype=np.int64)
        moment = np.array([start]).astype("M8[us]")
        first = moment.astype("M8[M]")
        within = (moment - first.astype("M8[us]"))[0]  # day and time of the day
        months = first[0] + index * self.size
        begin, last = months.astype("M8[us]"), (months + 1).astype("M8[us]") - np.timedelta64(_DAY, "us")
        clock = np.timedelta64(int(moment.astype(np.int64)[0] % _DAY), "us")
        at_end = moment[0].astype("M8[D]") + 1 == (first[0] + 1).astype("M8[D]") and index.size > 0
        found = last + clock if at_end and within >= np.timedelta64(27 * _DAY, "us") else begin + within
        return np.asarray(np.minimum(found, last + clock).astype("M8[us]").astype(np.int64))

    def calendar(self, times: Moments) -> tuple[NDArray[np.float64], tuple[str, ...]]:
        """Return sine and cosine of the hour, the weekday and the season of times (…,), as (…, 2k), and their names."""
        if self.unit == "number":
            return np.zeros((*times.shape, 0)), ()
        moment = times.astype("M8[us]")
        year = moment.astype("M8[Y]")
        parts: dict[str, NDArray[np.float64]] = {}
        if self.unit == "us" and self.size < _DAY:
            parts["hour"] = (times % _DAY) / _DAY
        if self.unit == "us" and self.size < 7 * _DAY:
            parts["weekday"] = ((times // _DAY + 3) % 7) / 7  # 1970 began on a Thursday
        if self.unit == "us":
            parts["season"] = (moment - year.astype("M8[us]")).astype(np.int64) / (365.25 * _DAY)
        elif self.size < 12:
            parts["month"] = (moment.astype("M8[M]").astype(np.int64) % 12) / 12
        waves = [f(2 * np.pi * part) for part in parts.values() for f in (np.sin, np.cos)]
        names = tuple(f"{name} ({wave})" for name in parts for wave in ("sine", "cosine"))
        return np.stack(waves, -1) if waves else np.zeros((*times.shape, 0)), names

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"unit": self.unit, "size": self.size}


def _months(times: Moments) -> NDArray[np.int64]:
    return np.asarray(times.astype("M8[us]").astype("M8[M]").astype(np.int64))


def said(time: int, unit: str) -> str:
    """Return a time as a person writes it."""
    if unit == "number":
        return str(time)
    text = str(np.datetime64(time, "us"))
    return text.replace("T", " ").removesuffix(".000000").removesuffix(" 00:00:00")


def find_step(parts: list[Moments], *, numbers: bool) -> Step:
    """Return the distance of steps of sorted series without duplicates.

    Parameters
    ----------
    parts : list of ndarray of int
        Times of each series, increasing.
    numbers : bool
        Whether times are plain numbers.

    Raises
    ------
    InputError
        If no series has two times.

    Notes
    -----
    It is the most frequent distance; where all times are months or years apart on one day of the month (or on its
    end), it is counted in months.
    """
    gaps = np.concatenate([np.diff(part) for part in parts])
    if not len(gaps):
        raise InputError("a series must have at least two times", f"{len(parts)} series of one each", "give more rows")
    values, counts = np.unique(gaps, return_counts=True)
    common = int(values[counts.argmax()])
    if numbers:
        return Step("number", common)
    if common >= 27 * _DAY:
        days = np.concatenate(parts).astype("M8[us]")
        ends = (days.astype("M8[D]") + 1).astype("M8[M]") > days.astype("M8[M]")
        if ends.all() or len(np.unique((days - days.astype("M8[M]").astype("M8[us]")).astype(np.int64))) == 1:
            months = np.concatenate([np.diff(_months(part)) for part in parts])
            sizes, often = np.unique(months, return_counts=True)
            return Step("month", max(1, int(sizes[often.argmax()])))
    return Step("us", common)
