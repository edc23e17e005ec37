"""What stands in for a missing number, and where a column says that it was missing."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from glia.data.column_statistics import ColumnStatistics

Impute = Literal["auto", "mean", "median", "mode", "constant", "delete"]
IMPUTE = ("auto", "mean", "median", "mode", "constant", "delete")
Indicator = Literal["auto", "always", "never"]
INDICATOR = ("auto", "always", "never")


def fill_values(statistics: ColumnStatistics, how: str, fill_value: float) -> NDArray[np.float64]:
    """Return what replaces the missing values of each column, (K,), in the columns' own units.

    Parameters
    ----------
    statistics : ColumnStatistics
        Of the training rows.
    how : {"auto", "mean", "median", "mode", "constant", "delete"}
        ``auto`` is the median: an outlier does not move it. ``delete`` leaves rows out of training, which cannot be
        done with rows to be predicted: there the median stands in.
    fill_value : float
        The constant; also used for columns that have no values at all.
    """
    if how == "constant":
        return np.full(statistics.columns, float(fill_value))
    if how == "mean":
        found = statistics.mean
    elif how == "mode":
        found = statistics.mode()
    else:
        found = statistics.quantiles(np.array([0.5]))[0]
    return np.where(statistics.count > 0, found * statistics.unit, float(fill_value))


def indicator_columns(statistics: ColumnStatistics, how: str) -> NDArray[np.int64]:
    """Return the positions of the columns that get an indicator of missingness.

    ``auto``: those of which some, but not all, training values were missing: elsewhere it would be constant.
    """
    if how == "never":
        return np.zeros(0, dtype=np.int64)
    if how == "always":
        return np.arange(statistics.columns)
    missing = statistics.rows - statistics.count
    return np.flatnonzero((missing > 0) & (statistics.count > 0))
