"""Scaling of numeric columns: z-score, min-max, robust with smooth clipping, quantile, none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from glia.data.column_statistics import Array, ColumnStatistics

Scale = Literal["auto", "zscore", "minmax", "robust", "quantile", "none"]
SCALE = ("auto", "zscore", "minmax", "robust", "quantile", "none")
LARGEST = 1e19
"""Prepared values stay within ± this: a square of it is still a finite float32."""

_NOISE = 10 * np.finfo(np.float64).eps
_QUANTILES = 1000
_TAIL = float(-ndtri(1e-7))


def smooth_clip(x: Array, bound: float = 3.0) -> Array:
    """Squash ``x`` into (-bound, bound), nearly unchanged around 0: x / sqrt(1 + (x / bound)²) (arXiv 2407.04491)."""
    return np.asarray(x / np.sqrt(1.0 + (x / bound) ** 2))


@dataclass(frozen=True)
class Scaler:
    """A fitted scaling of K columns: ``(x / unit - center) * factor``, then what the kind adds.

    Parameters
    ----------
    how : {"zscore", "minmax", "robust", "quantile", "none"}
        ``robust`` ends with ``smooth_clip``; ``quantile`` maps ranks to a standard normal, using ``table``.
    unit, center, factor : ndarray of shape (K,)
        A constant column has the factor 0: whatever comes later, training said nothing about it.
    table : ndarray of shape (Q, K)
        Quantiles of the training values at Q levels evenly spread over [0, 1]; Q = 0 for the other kinds.
    """

    how: str
    unit: Array
    center: Array
    factor: Array
    table: Array

    @classmethod
    def fit(cls, statistics: ColumnStatistics, how: str) -> Scaler:
        """Learn the scaling from the statistics of the training rows; ``auto`` is ``robust``."""
        how = "robust" if how == "auto" else how
        k = statistics.columns
        unit, center, factor = statistics.unit, np.zeros(k), np.ones(k)
        table = np.zeros((0, k))
        if how == "none":
            unit = np.ones(k)
        elif how == "zscore":
            center = statistics.mean
            factor = _reciprocal(statistics.std, np.abs(center))
        elif how == "minmax":
            center = statistics.low
            factor = _reciprocal(statistics.high - statistics.low, np.maximum(np.abs(center), np.abs(statistics.high)))
        elif how == "robust":
            center, factor = _robust(statistics)
        else:
            levels = np.linspace(0.0, 1.0, max(2, min(_QUANTILES, statistics.rows)))
            table = statistics.quantiles(levels)
        return cls(how, unit, center, factor, table)

    def apply(self, x: Array) -> Array:
        """Scale ``x`` (N, K) in place and return it; NaN stays NaN, everything finite stays within ± ``LARGEST``."""
        with np.errstate(over="ignore", invalid="ignore"):
            if (self.unit != 1.0).any():
                x *= 1.0 / self.unit
                np.clip(x, -1e300, 1e300, out=x)  # infinity times the factor 0 would not be a number
            if self.how == "quantile":
                self._to_normal(x)
            elif self.how != "none":
                x -= self.center
                x *= self.factor
            np.clip(x, -LARGEST, LARGEST, out=x)
            if self.how == "robust":
                root = x * x  # the steps of smooth_clip without its temporary arrays
                root *= 1.0 / 9.0
                root += 1.0
                np.sqrt(root, out=root)
                x /= root
        return x

    def _to_normal(self, x: Array) -> None:
        levels = np.linspace(0.0, 1.0, len(self.table))
        for j in range(x.shape[1]):
            reference, value = self.table[:, j], x[:, j]
            rank = np.interp(value, reference, levels)
            if (reference[1:] == reference[:-1]).any():
                # a run of equal quantiles has many ranks: both ends are looked up and their middle is taken
                rank = 0.5 * (rank - np.interp(-value, -reference[::-1], -levels[::-1]))
            x[:, j] = np.clip(ndtri(rank), -_TAIL, _TAIL)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned as arrays."""
        return {"unit": self.unit, "center": self.center, "factor": self.factor, "table": self.table}


def _reciprocal(spread: Array, magnitude: Array) -> Array:
    """Return 1 / spread, and 0 where the spread is no more than rounding noise of values of that magnitude."""
    real = spread > np.maximum(_NOISE * magnitude, 1e-290)
    return np.divide(1.0, spread, out=np.zeros_like(spread), where=real)


def _robust(statistics: ColumnStatistics) -> tuple[Array, Array]:
    """Return the median and 1 / (interquartile range), or 2 / range where the quartiles agree (arXiv 2407.04491)."""
    first, median, third = statistics.quantiles(np.array([0.25, 0.5, 0.75]))
    by_quartiles = _reciprocal(third - first, np.maximum(np.abs(first), np.abs(third)))
    largest = np.maximum(np.abs(statistics.low), np.abs(statistics.high))
    by_range = 2.0 * _reciprocal(statistics.high - statistics.low, largest)
    return median, np.where(by_quartiles > 0, by_quartiles, by_range)
