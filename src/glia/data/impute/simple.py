"""What stands in for a missing number, and where a column says that it was missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from glia.data.column_statistics import ColumnStatistics

Impute = Literal[
    "auto", "mean", "median", "mode", "constant", "delete", "native",
    "linear", "spline", "nearest", "knn", "iterative", "stochastic", "autoencoder",
]  # fmt: skip
IMPUTE: tuple[str, ...] = get_args(Impute)
BY_COLUMN = ("auto", "mean", "median", "mode", "constant", "delete", "native")
"""Choices that look at one column alone; the others are imputers of a whole matrix, see ``imputers``."""
Indicator = Literal["auto", "always", "never"]
INDICATOR = ("auto", "always", "never")


def read_impute(impute: Any) -> tuple[str, dict[str, Any]]:
    """Return name and options of an ``impute=`` argument: a name, or a mapping with ``name`` and options."""
    if isinstance(impute, Mapping):
        options = {str(name): value for name, value in impute.items()}
        return str(options.pop("name", "")), options
    return str(impute), {}


def fill_values(statistics: ColumnStatistics, how: str, fill_value: float) -> NDArray[np.float64]:
    """Return what replaces the missing values of each column, (K,), in the columns' own units.

    Parameters
    ----------
    statistics : ColumnStatistics
        Of the training rows.
    how : str
        One of ``IMPUTE``. ``auto`` is the median: an outlier does not move it. ``delete`` leaves rows out of training,
        which cannot be done with rows to be predicted: there the median stands in, and so it does where an imputer of
        the whole matrix knows nothing.
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
