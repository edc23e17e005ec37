"""What an earlier origin teaches about a forecasting network: how far to trust it, how wide its intervals must be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_TRUST = np.linspace(0.0, 1.0, 21)
_STRETCH = (0.5, 3.0)
ENOUGH = 100
"""Known values of the horizon, over all series, below which the network is taken at its word."""


def corrected(answers: Floats, levels: Floats, trust: float, stretch: float) -> Floats:
    """Return a network's quantiles (N, H, Q) with the median drawn towards 0 and the distances from it stretched.

    Parameters
    ----------
    answers : ndarray (N, H, Q)
        In order.
    levels : ndarray (Q,)
    trust : float
        In [0, 1]: the median counts by this share. 0 leaves the simple forecast, 1 the network.
    stretch : float
        Above 0.
    """
    middle = answers[..., [int(np.abs(levels - 0.5).argmin())]]
    return np.asarray(trust * middle + stretch * (answers - middle))


def learn_trust(answers: Floats, truth: Floats, levels: Floats) -> tuple[float, float]:
    """Return trust and stretch that would have served best.

    Parameters
    ----------
    answers : ndarray (N, H, Q)
        Quantiles in order.
    truth : ndarray (N, H)
        What came, in the same units; NaN where it is not known.
    levels : ndarray (Q,)

    Returns
    -------
    trust : float
        The share of the median, in steps of 0.05, with the least mean absolute error: the mean of the simple forecast
        and the network errs less than either where they err in different ways.
    stretch : float
        The least factor, in [0.5, 3], by which as many values lie between the outer quantiles as should.
    """
    known = ~np.isnan(truth)
    if known.sum() < ENOUGH:
        return 1.0, 1.0
    answers, truth = answers[known], truth[known]  # (M, Q), (M,)
    middle = answers[:, int(np.abs(levels - 0.5).argmin())]
    errors = [np.abs(truth - trust * middle).mean() for trust in _TRUST]
    trust = float(_TRUST[int(np.argmin(errors))])
    off = truth - trust * middle
    below, above = middle - answers[:, 0], answers[:, -1] - middle
    reach = np.where(off < 0, -off / np.maximum(below, 1e-9), off / np.maximum(above, 1e-9))
    wanted = float(np.quantile(reach, levels[-1] - levels[0])) if len(levels) > 1 else 1.0
    return trust, float(np.clip(wanted, *_STRETCH))
