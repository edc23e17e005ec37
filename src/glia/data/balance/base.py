"""What a resampler is: from prepared training rows and class codes to rows in which classes are more even."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from glia.core.errors import InputError, near
from glia.core.layout import Layout
from glia.core.registry import Registry

Codes = NDArray[np.intp]
Prepared = NDArray[np.float32]


@dataclass(frozen=True)
class Balanced:
    """Rows after resampling.

    Parameters
    ----------
    x : ndarray of float32 (M, …)
        Prepared rows.
    y : ndarray of int (M,)
        Class codes.
    source : ndarray of int (M,)
        Which row each one is a copy of; −1 for a synthetic row.
    """

    x: Prepared
    y: Codes
    source: Codes

    @property
    def synthetic(self) -> NDArray[np.bool_]:
        """Which rows are made up, (M,)."""
        return np.asarray(self.source < 0)

    def weights(self, weight: NDArray[np.float64], y: Codes) -> NDArray[np.float64]:
        """Return the rows' weights, (M,), from those before, (N,); a synthetic row has the mean of its class."""
        size = int(max(y.max(), self.y.max())) + 1
        mean = np.bincount(y, weight, size) / np.maximum(np.bincount(y, minlength=size), 1)
        return np.where(self.synthetic, mean[self.y], weight[self.source])


class Balance(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Settings of a resampling of training rows.

    Parameters
    ----------
    method : str
        A name of ``balancers``: "oversample", "undersample", "smote", "borderline_smote", "adasyn", "tomek", "enn",
        "smote_tomek", "smote_enn".
    ratio : float
        How even, above 0 and at most 1: where rows are added, every class gets at least this share of the largest
        one's rows; where they are left out, the smallest is at least this share of every other.
    neighbours : int
        Of the ways that look at neighbours, at least 1.
    """

    def __init__(self, method: str = "oversample", ratio: float = 1.0, neighbours: int = 5) -> None:
        self.method, self.ratio, self.neighbours = method, ratio, neighbours

    def check(self) -> Balance:
        """Return the settings if they can be used.

        Raises
        ------
        InputError
            If one is out of range.
        """
        if self.method not in balancers:
            do = near(str(self.method), balancers.names())
            raise InputError("the way to balance must be a known name", f"method={self.method!r}", do)
        if not 0 < self.ratio <= 1:
            raise InputError("ratio must be above 0 and at most 1", f"ratio={self.ratio!r}")
        if isinstance(self.neighbours, bool) or int(self.neighbours) != self.neighbours or self.neighbours < 1:
            raise InputError("neighbours must be a whole number of at least 1", f"neighbours={self.neighbours!r}")
        return self


class Balancer(Protocol):
    """A way to resample."""

    def __call__(self, x: Prepared, y: Codes, layout: Layout, options: Balance, seed: int) -> Balanced:
        """Return the rows resampled."""


balancers: Registry[Balancer] = Registry("way to balance")
"""Name → function of rows, class codes, layout, settings and seed."""


def balance_rows(
    x: NDArray[Any], y: NDArray[Any], layout: Layout | None = None, options: Balance | str = "oversample", seed: int = 0
) -> Balanced:
    """Resample prepared training rows so that classes are more even.

    Parameters
    ----------
    x : ndarray (N, …)
        Prepared rows, of training only: rows that judge a model must stay as they are.
    y : ndarray of int (N,)
        Class codes, at least 0.
    layout : Layout, optional
        Says which columns are categories, so that synthetic rows have valid ones; without it all are numbers.
    options : Balance or str
    seed : int
        Same seed, same rows.

    Raises
    ------
    InputError
        If settings are out of range, rows and codes do not fit, or the way needs a table.
    MissingExtraError
        If it needs imbalanced-learn, and that is not installed.
    """
    wanted = (Balance(options) if isinstance(options, str) else options).check()
    rows, codes = np.asarray(x, dtype=np.float32), np.asarray(y)
    if codes.shape != (len(rows),) or codes.dtype.kind not in "iub" or not len(codes) or codes.min() < 0:
        raise InputError("there must be one class code of at least 0 per row", f"x {rows.shape} and y {codes.shape}")
    known = Layout(tuple(rows.shape[1:])) if layout is None else layout
    return balancers.get(wanted.method)(rows, codes.astype(np.intp), known, wanted, seed)


def as_drawn(x: Prepared, y: Codes, source: Codes) -> Balanced:
    """Return rows that are copies of others."""
    return Balanced(np.ascontiguousarray(x[source]), y[source], source)


def wanted_more(y: Codes, ratio: float) -> dict[int, int]:
    """Return class → rows that it is to have, for classes below ``ratio`` of the largest."""
    present, counts = np.unique(y, return_counts=True)
    least = int(np.ceil(ratio * counts.max()))
    return {int(c): least for c, n in zip(present, counts, strict=True) if n < least}
