"""An order for categories that have none: neighbours are those whose rows are alike in the other columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.explain.column_grid import as_numbers
from glia.explain.subject import Floats


def category_order(codes: NDArray[np.int64], count: int, others: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Return categories in order, (count,).

    Parameters
    ----------
    codes : ndarray of shape (N,)
        The category of each row, in [0, count); other rows are negative.
    count : int
        Categories, each with a row at least.
    others : sequence of ndarray of shape (N,)
        The other columns.

    Notes
    -----
    Apley and Zhu, arXiv 1612.08468, appendix E: the distance of two categories is the sum over the other columns of the
    gap of their distribution functions, or of half the sum of the differences of shares; then the first axis of
    classical scaling. The paper takes the largest gap, which is 1 for all categories that do not overlap; the mean gap
    over the rows' ranks still tells which are nearer. Without other columns, the order by frequency stays.
    """
    apart = np.zeros((count, count))
    for other in others:
        apart += _distances(codes, count, other)
    if count < 3 or not apart.any():
        return np.arange(count)
    centre = np.eye(count) - 1 / count
    _, vectors = np.linalg.eigh(-0.5 * centre @ apart**2 @ centre)
    axis = vectors[:, -1]
    axis = axis * (1 if axis[0] <= axis[-1] else -1)  # which end is first is not settled: the most frequent goes there
    return np.argsort(axis, kind="stable")


def _distances(codes: NDArray[np.int64], count: int, other: NDArray[Any]) -> Floats:
    numbers = as_numbers(other)
    kept = codes >= 0
    if numbers is not None:
        kept = kept & np.isfinite(numbers)
    values = other.astype(str) if numbers is None else numbers
    _, place = np.unique(values[kept], return_inverse=True)
    shares = np.zeros((count, int(place.max(initial=0)) + 1))
    np.add.at(shares, (codes[kept], place), 1.0)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1.0)
    if numbers is None:
        return np.asarray(0.5 * np.abs(shares[:, None] - shares[None]).sum(axis=2))
    below = np.cumsum(shares, axis=1)
    rows = np.bincount(place) / len(place)  # the mean is over rows, so that the scale of the column does not count
    return np.asarray(np.abs(below[:, None] - below[None]) @ rows)
