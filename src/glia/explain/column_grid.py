"""The values at which a column's effect is looked at: quantiles of what was observed, or categories."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.explain.plots.look import numbers, shorten
from glia.explain.subject import Floats

MOST_CATEGORIES = 20
"""Most categories, the most frequent ones."""


@dataclass(frozen=True)
class Grid:
    """Values of a column.

    Parameters
    ----------
    numeric : bool
        Whether they have an order (numbers, dates).
    at : ndarray of shape (G,)
        The numbers, rising; dates as days since 1970; of categories 0 to G − 1.
    labels : tuple of str
        The values as people read them.
    donors : ndarray of shape (G,)
        For each value the position of a row that has it.
    codes : ndarray of shape (N,)
        Of numbers: the rows' own values, NaN where missing. Of categories: the place in the grid, −1 for rare ones.
    """

    numeric: bool
    at: Floats
    labels: tuple[str, ...]
    donors: NDArray[np.int64]
    codes: Floats


def column_grid(column: NDArray[Any], points: int = 20) -> Grid:
    """Return the values of a column, (N,), at which to look.

    Numbers and dates are looked at where they were observed, at ``points`` quantiles from the least to the largest, or
    at all of them where there are no more; categories (a missing one too) by falling frequency.

    Raises
    ------
    InputError
        If there are fewer than two different values, or ``points`` is below 2.
    """
    if points < 2:
        raise InputError("there must be at least two points", f"points={points}", "20 are usual")
    known = as_numbers(column)
    found = _categories(column) if known is None else _numbers(column, known, points)
    if len(found.at) < 2:
        raise InputError("a column must have two different values", found.labels[0] if found.labels else "none")
    return found


def as_numbers(column: NDArray[Any]) -> Floats | None:
    """Return numbers, or dates as days since 1970; NaN where missing; ``None`` where a column holds something else."""
    values = column.tolist()
    if any(isinstance(v, date) for v in values) and all(v is None or isinstance(v, date) for v in values):
        return np.array([np.nan if v is None else _days(v) for v in values], dtype=np.float64)
    return numbers(column)


def _days(value: date) -> float:
    if isinstance(value, datetime):
        return (value.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds() / 86400
    return float(value.toordinal() - date(1970, 1, 1).toordinal())


def _numbers(column: NDArray[Any], values: Floats, points: int) -> Grid:
    rows = np.flatnonzero(np.isfinite(values))
    order = rows[np.argsort(values[rows], kind="stable")]
    distinct, first = np.unique(values[order], return_index=True)
    if len(distinct) <= points:
        donors = order[first]
    else:
        picked = order[np.linspace(0, len(order) - 1, points).round().astype(int)]
        _, once = np.unique(values[picked], return_index=True)
        donors = picked[once]
    return Grid(True, values[donors], tuple(_label(column[i]) for i in donors), donors, values)


def _categories(column: NDArray[Any]) -> Grid:
    words = np.array([_label(value) for value in column.tolist()], dtype=object)
    kinds, first, place, count = np.unique(
        words.astype(str), return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(-count, kind="stable")[:MOST_CATEGORIES]
    codes = np.full(len(kinds), -1.0)
    codes[order] = np.arange(len(order))
    at = np.arange(len(order), dtype=np.float64)
    return Grid(False, at, tuple(str(kinds[i]) for i in order), first[order].astype(np.int64), codes[place])


def _label(value: Any) -> str:
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return "missing"
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    return value.isoformat() if isinstance(value, date) else shorten(value, 40)


def number_words(value: float) -> str:
    """Return a number with four significant digits, written out unless it is very large or small."""
    size = abs(value)
    if not 1e-4 <= size < 1e7:
        return f"{value:.4g}"
    text = f"{value:.{max(0, 3 - int(np.floor(np.log10(size))))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
