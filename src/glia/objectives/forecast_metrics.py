"""Errors of forecasts that can be averaged over series of any size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def absolute_scaled_error(truth: Floats, forecast: Floats, scale: Floats | float) -> Floats:
    """Return |y − ŷ| / scale; its mean is MASE (Hyndman and Koehler, International Journal of Forecasting 2006).

    Parameters
    ----------
    truth, forecast : ndarray (…, H)
        NaN in ``truth`` where it is not known; NaN in the result there.
    scale : ndarray or float
        Mean absolute change over a season in the series before the forecast, above 0; broadcast against the rest.
    """
    return np.asarray(np.abs(truth - forecast) / scale)


def symmetric_percentage_error(truth: Floats, forecast: Floats) -> Floats:
    """Return 200 |y − ŷ| / (|y| + |ŷ|), 0 where both are 0; its mean is sMAPE as in the M3 competition, 0 to 200."""
    above, below = np.abs(truth - forecast), np.abs(truth) + np.abs(forecast)
    return np.asarray(np.where(below == 0, 0.0, 200.0 * above / np.where(below == 0, 1.0, below)))


def quantile_score(truth: Floats, quantiles: Floats, levels: Floats) -> Floats:
    """Return twice the mean pinball loss over levels, in the target's units: (…, H) for quantiles (…, H, Q).

    Notes
    -----
    For evenly spread levels it approaches the continuous ranked probability score; for the level 0.5 alone it is the
    absolute error.
    """
    under = truth[..., None] - quantiles
    return np.asarray(2.0 * np.maximum(levels * under, (levels - 1.0) * under).mean(axis=-1))
