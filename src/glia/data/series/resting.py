"""Series that rest: nights of a solar plant, days on which nothing is sold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_SHARE, _FEWEST = 0.1, 3
"""Of the values of a window, how many equal the least one where a series rests at it."""


def at_rest(values: Floats, past: Floats, counts: NDArray[np.int64]) -> Floats:
    """Return forecasts of which those next to the value that a series rests at are that value.

    A series rests where a tenth of its values, and three at least, equal its least one. What is then forecast below the
    middle between that value and the next larger one that was seen is the value itself: a network says almost 0 where
    the truth is 0, which a relative error takes for wholly wrong.

    Parameters
    ----------
    values : ndarray (N, H, Q)
        Forecasts.
    past : ndarray (N, M)
        What was seen before; of each row the last ``counts`` are real.
    counts : ndarray of int (N,)
    """
    real = np.arange(past.shape[1])[None, :] >= (past.shape[1] - counts)[:, None]
    least = np.where(real, past, np.inf).min(axis=1, keepdims=True)
    resting = (real & (past == least)).sum(axis=1)
    above = np.where(real & (past > least), past, np.inf).min(axis=1, keepdims=True)
    rests = (resting >= np.maximum(_FEWEST, _SHARE * counts)) & np.isfinite(above[:, 0])
    bound = np.where(rests[:, None], (least + np.where(np.isfinite(above), above, 0.0)) / 2, -np.inf)
    return np.where(values < bound[..., None], least[..., None], values)
