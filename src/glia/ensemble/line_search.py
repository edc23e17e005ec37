"""How far to go along a direction: the step that makes a convex loss least."""

from __future__ import annotations

from collections.abc import Callable

from scipy.optimize import brentq


def best_step(slope: Callable[[float], float], most: float) -> float:
    """Return where a rising function crosses 0, within [0, most].

    Parameters
    ----------
    slope : callable
        Derivative of a convex loss along the direction, by the step ≥ 0. It may jump.
    most : float
        Longest step; infinite where the loss is sure to rise in the end.

    Returns
    -------
    float
        0 where the loss does not fall at all in this direction.
    """
    if not slope(0.0) < 0:
        return 0.0
    high = 1.0
    while slope(high) < 0:
        if high >= most:
            return most
        high = min(2 * high, most)
    return float(brentq(slope, 0.0, high, xtol=1e-14 * high, rtol=1e-13))
