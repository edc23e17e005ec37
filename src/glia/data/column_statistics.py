"""Statistics of every column of a matrix at once, whatever its magnitudes and however many values are missing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng

Array = NDArray[np.float64]
_CHUNK = 2**17  # cells worked on at once: about what a processor's second-level cache holds
_FEWEST, _MOST, _CELLS = 20_000, 2**17, 2**24


def row_chunks(rows: int, columns: int) -> Iterator[slice]:
    """Yield slices of rows that stay in the processor's cache."""
    step = max(64, _CHUNK // max(columns, 1))
    for start in range(0, rows, step):
        yield slice(start, start + step)


class ColumnStatistics:
    """Statistics over the finite values of each column of ``matrix`` (N, K).

    Parameters
    ----------
    matrix : ndarray of shape (N, K)
        Floating point or integer values; NaN and infinities count as missing.

    Attributes
    ----------
    unit : ndarray of shape (K,)
        1, or the power of two near the largest magnitude where that is outside of [1e-100, 1e100]. All other
        statistics are in these units, so that sums and squares neither overflow nor vanish.
    count, low, high : ndarray of shape (K,)
        Number of finite values, the smallest and the largest (0 for a column without values).

    Notes
    -----
    Quantiles and modes come from all rows up to a bound (131,072 rows, fewer for very wide tables, never fewer than
    20,000), beyond it from a fixed random sample of that size; everything else from all rows.
    """

    def __init__(self, matrix: NDArray[Any]) -> None:
        self.matrix = matrix
        self.rows, self.columns = matrix.shape
        self.count: NDArray[np.int64] = np.zeros(self.columns, dtype=np.int64)
        low, high = np.full(self.columns, np.inf), np.full(self.columns, -np.inf)
        for x in self._chunks():
            self.count += np.isfinite(x).sum(axis=0)
            low, high = np.fmin(low, np.fmin.reduce(x, axis=0)), np.fmax(high, np.fmax.reduce(x, axis=0))
        empty = self.count == 0
        low[empty] = high[empty] = 0.0
        self.unit: Array = _unit(np.maximum(np.abs(low), np.abs(high)))
        self.low: Array = low / self.unit
        self.high: Array = high / self.unit

    def _chunks(self) -> Iterator[Array]:
        """Yield chunks of rows (n, K) with everything missing as NaN."""
        for rows in row_chunks(self.rows, self.columns):
            x = self.matrix[rows].astype(np.float64)
            x[~np.isfinite(x)] = np.nan
            yield x

    @cached_property
    def mean(self) -> Array:
        """Mean of each column, (K,); 0 for a column without values."""
        total = np.zeros(self.columns)
        for x in self._chunks():
            total += np.nansum(x / self.unit, axis=0)
        return np.asarray(total / np.maximum(self.count, 1))

    @cached_property
    def std(self) -> Array:
        """Standard deviation of each column (divided by N, as scikit-learn does), (K,)."""
        total = np.zeros(self.columns)
        for x in self._chunks():
            total += np.nansum((x / self.unit - self.mean) ** 2, axis=0)
        return np.asarray(np.sqrt(total / np.maximum(self.count, 1)))

    @cached_property
    def _sample(self) -> NDArray[Any]:
        """Rows that quantiles are computed from."""
        most = max(_FEWEST, min(_MOST, _CELLS // max(self.columns, 1)))
        if self.rows <= most:
            return self.matrix
        chosen = numpy_rng(0, "column statistics", self.rows).choice(self.rows, most, replace=False)
        return np.asarray(self.matrix[np.sort(chosen)])

    def _sorted_blocks(self) -> Iterator[tuple[slice, Array, NDArray[np.int64]]]:
        """Yield blocks of columns, sorted along the rows with what is missing last: (K', n) and counts (K',)."""
        sample = self._sample
        step = max(1, 2**22 // max(len(sample), 1))
        for start in range(0, self.columns, step):
            columns = slice(start, min(start + step, self.columns))
            block = np.array(sample[:, columns].T, dtype=np.float64, order="C")
            block[~np.isfinite(block)] = np.nan
            block /= self.unit[columns, None]
            block.sort(axis=1)
            yield columns, block, np.asarray((~np.isnan(block)).sum(axis=1))

    def quantiles(self, levels: Array) -> Array:
        """Return the quantiles at increasing ``levels`` in [0, 1] by linear interpolation, (Q, K)."""
        found = np.zeros((len(levels), self.columns))
        for columns, block, count in self._sorted_blocks():
            position = levels[:, None] * np.maximum(count - 1, 0)  # (Q, K')
            below = np.floor(position).astype(np.int64)
            above = np.minimum(below + 1, np.maximum(count - 1, 0))
            each = np.arange(len(block))
            low, high = block[each, below], block[each, above]
            # equal neighbours must give exactly their value, hence the difference form
            found[:, columns] = np.where(count > 0, low + (high - low) * (position - below), 0.0)
        return np.maximum.accumulate(found, axis=0)

    def mode(self) -> Array:
        """Return the most frequent value of each column, the smallest of them when several are, (K,)."""
        found = np.zeros(self.columns)
        for columns, block, count in self._sorted_blocks():
            for j, (values, n) in enumerate(zip(block, count, strict=True)):
                if n:
                    starts = np.flatnonzero(np.r_[True, values[1:n] != values[: n - 1]])
                    found[columns.start + j] = values[starts[np.argmax(np.diff(np.r_[starts, n]))]]
        return found


def _unit(largest: Array) -> Array:
    unit = np.ones_like(largest)
    extreme = (largest > 1e100) | ((largest < 1e-100) & (largest > 0))
    # the reciprocal of the unit must be a finite number too
    unit[extreme] = np.exp2(np.clip(np.floor(np.log2(largest[extreme])), -1000, 1000))
    return unit
