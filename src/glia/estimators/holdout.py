"""The rows that a fit keeps aside for early stopping and calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from glia.core.errors import InputError

Rows = NDArray[np.intp]


def hold_out(count: int, strata: NDArray[Any] | None, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Draw validation rows; classes keep their shares, and every class stays in training.

    Parameters
    ----------
    count : int
        Number of rows.
    strata : ndarray of int (N,), optional
        Class numbers.
    fraction : float
        Share of the rows to hold out, in (0, 1).
    seed : int
        Below 2**32.

    Returns
    -------
    train, held : ndarray of int
        Row numbers, increasing. Where classes are so small that none can spare a row, none are held out.

    Raises
    ------
    InputError
        If the fraction is out of range.
    """
    if not 0 < fraction < 1:
        raise InputError("validation_fraction must be in [0, 1)", f"{fraction!r}")
    index = np.arange(count)
    size = max(1, round(fraction * count))
    if strata is None:
        train, held = train_test_split(index, test_size=min(size, count - 1), random_state=seed)
        return np.sort(train), np.sort(held)
    common = index[np.bincount(strata)[strata] > 1]
    classes = len(np.unique(strata[common]))
    if not classes:
        return index, common
    size = min(max(size, classes), len(common) - classes)
    _, held = train_test_split(common, test_size=size, stratify=strata[common], random_state=seed)
    train = np.setdiff1d(index, held)
    lost, first = np.unique(strata[held], return_index=True)
    held = np.sort(np.delete(held, first[~np.isin(lost, strata[train])]))
    return np.setdiff1d(index, held), held
