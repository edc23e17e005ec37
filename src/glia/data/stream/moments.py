"""Mean and deviation of columns, gathered block by block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Moments:
    """Counts, means and sums of squared deviations of C columns; unknown values have no part in them.

    Blocks are joined by the formula of Chan, Golub and LeVeque (1979, "Updating formulae and a pairwise algorithm for
    computing sample variances"), so that no digits are lost where means are large; those of a single block are its own
    to the bit.
    """

    def __init__(self, columns: int) -> None:
        self.count = np.zeros(columns)
        self.mean = np.zeros(columns)
        self.squares = np.zeros(columns)

    def add(self, values: Floats, known: NDArray[np.bool_] | None = None) -> None:
        """Take note of further rows (S, C), of those values that are known."""
        known = np.ones(values.shape, dtype=bool) if known is None else known
        count = known.sum(axis=0)
        least = np.maximum(count, 1)
        mean = np.where(known, values, 0.0).sum(axis=0) / least
        squares = (np.where(known, values - mean, 0.0) ** 2).sum(axis=0)
        both = self.count + count
        share = count / np.maximum(both, 1)
        step = mean - self.mean
        self.squares = self.squares + squares + step**2 * self.count * share
        self.mean = self.mean + step * share
        self.count = both

    @property
    def deviation(self) -> Floats:
        """Root of the mean squared deviation, (C,); 0 where there are no values."""
        return np.asarray(np.sqrt(self.squares / np.maximum(self.count, 1)))
