"""Dates and times that are written as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import polars as pl

ISO: tuple[str, ...] = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
)
FORMATS: tuple[str, ...] = (
    *ISO,
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f%z",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%y",
    "%d/%m/%y",
    "%m/%d/%y %H:%M",
    "%d/%m/%y %H:%M",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d%b%Y",
    "%d%b%Y:%H:%M:%S",
    "%Y-%m",
)
NUMBER_FORMAT = "%Y%m%d"
"""Dates as whole numbers, 20240131."""

EARLIEST, LATEST = 1600, 2400
FIRST, END = datetime(EARLIEST, 1, 1), datetime(LATEST + 1, 1, 1)


@dataclass(frozen=True)
class DateFormat:
    """How dates are written.

    Parameters
    ----------
    format : str
        A format of ``strptime``.
    share : float
        Share of the values that it reads.
    rival : str
        Another format that reads all of them too, with day and month exchanged; else empty.
    """

    format: str
    share: float
    rival: str = ""


def find_date_format(values: Sequence[str]) -> DateFormat | None:
    """Return the format that reads most of the values, at least 95 %, or ``None``."""
    probe = [value for value in values[:20] if any(c.isdigit() for c in value) and 6 <= len(value) <= 35]
    if len(probe) < 0.8 * min(len(values), 20) or not probe:
        return None
    few = pl.Series("value", probe)
    series = pl.Series("value", values)
    shares: dict[str, float] = {}
    for form in FORMATS:
        if _share(few, form) > 0:
            shares[form] = _share(series, form)
            if shares[form] == 1.0 and form in ISO:
                break  # nothing reads more, and with day and month exchanged these are no formats
    if not shares:
        return None
    best = max(shares, key=lambda form: shares[form])
    if shares[best] < 0.95:
        return None
    swapped = best.replace("%m", "\0").replace("%d", "%m").replace("\0", "%d")
    rival = swapped if swapped != best and shares.get(swapped, 0.0) == shares[best] else ""
    return DateFormat(best, shares[best], rival)


def date_expr(column: str, form: str, *, lenient: bool = False) -> pl.Expr:
    """Return the expression of a string column as Datetime without zone (UTC where zones are given).

    What is no date becomes null; with ``lenient``, what the format does not read is tried in ISO form first.
    """
    text = pl.col(column)
    if not lenient:
        return _parse(text, form).alias(column)
    tries = [_parse(text, form)] + [_parse(text, iso) for iso in ISO if iso != form]
    return pl.coalesce(tries).alias(column)


def _parse(text: pl.Expr, form: str) -> pl.Expr:
    # over the whole column at once: an expression would parse dates that occur often again in each chunk of the column,
    # and for each part of a condition on them
    return text.map_batches(partial(_moments, form=form), return_dtype=pl.Datetime("us"))


def _moments(texts: pl.Series, form: str) -> pl.Series:
    """Return dates without those out of range: %Y also reads two digits, but "05" is not the year 5."""
    if form.endswith("%z"):
        zoned = texts.cast(pl.String).str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
        moments = zoned.dt.replace_time_zone(None)
    else:
        moments = texts.cast(pl.String).str.to_datetime(form, time_unit="us", strict=False)
    odd = (moments < FIRST) | (moments >= END)
    return moments.set(odd, None) if odd.any() else moments


def _share(series: pl.Series, form: str) -> float:
    parsed = series.to_frame("value").select(_parse(pl.col("value"), form)).to_series()
    return 1.0 - parsed.null_count() / len(series)
