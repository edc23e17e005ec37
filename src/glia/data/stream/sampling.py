"""A uniform sample of a stream in one pass: every row has a random number of its own, and the lowest ones stay."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_STEP, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def row_numbers(key: int, rows: Ints) -> NDArray[np.uint64]:
    """Return a pseudo-random number for each row of a file, (N,).

    It depends on the key (of seed and file) and on the row's number alone: neither on the order in which rows are read
    nor on how many others there are. This is the SplitMix64 generator (Steele, Lea and Flood, OOPSLA 2014) at position
    ``row``.
    """
    z = np.uint64(key) + (rows.astype(np.uint64) + np.uint64(1)) * _STEP
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return np.asarray(z ^ (z >> np.uint64(31)))


class Lowest:
    """The ``size`` rows with the lowest numbers among all that were added: a uniform sample without replacement.

    Parameters
    ----------
    size : int
        Rows to keep, at least 0. At no moment more than 1.5 × ``size`` rows and one added piece are held.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._frames: list[pl.DataFrame] = []
        self._numbers: list[NDArray[np.uint64]] = []
        self._ids: list[Ints] = []
        self._held = 0
        self._bound: np.uint64 | None = None  # the highest number that can still be among the lowest

    def add(self, frame: pl.DataFrame, numbers: NDArray[np.uint64], ids: Ints) -> None:
        """Take rows (N, any) with their numbers (N,) and identities (N,)."""
        if not self.size:
            return
        if self._bound is not None:
            low = np.flatnonzero(numbers < self._bound)
            frame, numbers, ids = frame[low], numbers[low], ids[low]
        if not len(numbers):
            return
        self._frames.append(compact(frame))
        self._numbers.append(numbers)
        self._ids.append(ids)
        self._held += len(numbers)
        if self._held > self.size + self.size // 2:
            self._prune()

    def result(self) -> tuple[pl.DataFrame | None, Ints]:
        """Return the rows in the order of their numbers, and their identities; ``None`` where no row came."""
        self._prune()
        return (self._frames[0], self._ids[0]) if self._frames else (None, np.zeros(0, dtype=np.int64))

    def _prune(self) -> None:
        if not self._frames:
            return
        numbers, ids = np.concatenate(self._numbers), np.concatenate(self._ids)
        kept = np.argsort(numbers, kind="stable")[: self.size]
        frame = compact(pl.concat(self._frames)[kept])
        self._frames, self._numbers, self._ids = [frame], [numbers[kept]], [ids[kept]]
        self._held = len(kept)
        if len(kept) == self.size:
            self._bound = numbers[kept[-1]]


def compact(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with text of their own.

    Chosen rows of a frame point into the text of all its rows, which would stay in memory with them.
    """
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    return frame.with_columns(pl.concat_str([pl.col(name), pl.lit("")]).alias(name) for name in texts)
