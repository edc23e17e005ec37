"""Intervals of figures that are means over rows, of a network that may have several members."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, stdtrit

from glia.core.errors import InputError
from glia.explain.subject import Floats

DRAWS = 200
"""Resamples of the rows."""


def row_weights(rng: np.random.Generator, rows: int, draws: int = DRAWS) -> Floats:
    """Return how often each row is drawn in resamples with replacement, (draws, rows)."""
    return rng.multinomial(rows, np.full(rows, 1 / rows), size=draws).astype(np.float64)


def reach(draws: Floats, members: Floats, level: float) -> Floats:
    """Return half the width of intervals that hold the chance in the rows and that in training.

    Parameters
    ----------
    draws : ndarray of shape (R, …)
        The figure on resampled rows.
    members : ndarray of shape (K, …)
        The figure of every member by itself; with one member nothing is known about training.
    level : float
        In (0, 1).

    Returns
    -------
    ndarray (…)
        √((z · standard deviation of the draws)² + (t · standard error over members)²), t with K − 1 degrees of freedom.

    Raises
    ------
    InputError
        If the level is out of its range.
    """
    if not 0 < level < 1:
        raise InputError("level must lie between 0 and 1", f"level={level}", "0.95 is usual")
    from_rows = float(ndtri(0.5 + level / 2)) * draws.std(axis=0, ddof=1)
    count = len(members)
    if count < 2:
        return np.asarray(from_rows)
    t = float(stdtrit(count - 1, 0.5 + level / 2))
    return np.asarray(np.hypot(from_rows, t * members.std(axis=0, ddof=1) / np.sqrt(count)))
