"""Known masks: which cells are taken away at random, because of other columns, or because of their own value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import rankdata

from glia.core.errors import InputError, near
from glia.core.seeds import numpy_rng

MECHANISMS = ("mcar", "mar", "mnar")
"""Missing completely at random; at random given other columns; not at random (by the missing value itself)."""

Array = NDArray[np.float64]


def missing_mask(
    values: Array, mechanism: str, rate: float = 0.1, *, strength: float = 2.0, random_state: int = 0
) -> NDArray[np.bool_]:
    """Choose cells to be taken away; cells that are missing already are never chosen.

    Parameters
    ----------
    values : ndarray of shape (N, C)
        One number per cell (of a category its code), NaN where missing.
    mechanism : {"mcar", "mar", "mnar"}
        ``mcar``: every cell alike. ``mar``: a random half of the columns stays whole; in each of the others, cells are
        chosen by the value of one of those, so that given what remains visible the choice does not depend on the cell's
        own value. ``mnar``: by the cell's own value, high ones in half of the columns and low ones in the others.
    rate : float
        Expected share of the observed cells that is taken away, in (0, 1); with ``mar`` of the columns that lose any.
    strength : float
        How steep the choice is, ≥ 0: the logarithm of the odds changes by so much per standard deviation of the rank.
    random_state : int
        Seed.

    Returns
    -------
    ndarray of bool, shape (N, C)

    Raises
    ------
    InputError
        If the mechanism is unknown, the rate out of range, or ``mar`` has fewer than two columns.
    """
    if mechanism not in MECHANISMS:
        raise InputError("the mechanism must be a known name", f"mechanism={mechanism!r}", near(mechanism, MECHANISMS))
    if not 0.0 < rate < 1.0:
        raise InputError("the rate of a mask must lie between 0 and 1", f"rate={rate!r}")
    columns = values.shape[1]
    if mechanism == "mar" and columns < 2:
        raise InputError("values missing at random need another column to depend on", f"{columns} column")
    rng = numpy_rng(random_state, "mask", mechanism)
    known = ~np.isnan(values)
    chances = np.zeros(values.shape)
    order = rng.permutation(columns)
    drivers, losing = order[: columns // 2], order[columns // 2 :]
    for j in range(columns):
        own = known[:, j]
        if mechanism == "mcar":
            chances[own, j] = rate
        elif mechanism == "mar" and j in losing:
            driver = drivers[int(rng.integers(len(drivers)))]
            chances[own, j] = _chances(_ranks(values[:, driver])[own], rate, strength)
        elif mechanism == "mnar":
            sign = 1.0 if j in losing else -1.0
            chances[own, j] = _chances(sign * _ranks(values[:, j])[own], rate, strength)
    return np.asarray(rng.random(values.shape) < chances)


def _ranks(column: Array) -> Array:
    """Return ranks with mean 0 and standard deviation 1, (N,); 0 where missing or all are alike."""
    out = np.zeros(len(column))
    known = ~np.isnan(column)
    if known.any():
        ranks = rankdata(column[known])
        spread = ranks.std()
        out[known] = (ranks - ranks.mean()) / spread if spread > 0 else 0.0
    return out


def _chances(score: Array, rate: float, strength: float) -> Array:
    """Return logistic chances that rise with ``score`` and have the mean ``rate``."""
    low, high = -50.0, 50.0
    for _ in range(60):  # bisection of the intercept: the mean rises with it
        middle = 0.5 * (low + high)
        low, high = (middle, high) if expit(middle + strength * score).mean() < rate else (low, middle)
    return np.asarray(expit(0.5 * (low + high) + strength * score))
