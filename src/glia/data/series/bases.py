"""Simple forecasts of windows, all at once: what a network corrects, and what it is compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError, near
from glia.data.series.seasons import seasonal_places

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
BASES = ("last", "mean", "seasonal", "theta")
_RATES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)
_BLOCK = 20_000


def base_forecast(windows: Floats, counts: Counts, horizon: int, season: int, how: str) -> Floats:
    """Return a simple forecast of the values that follow windows.

    Parameters
    ----------
    windows : ndarray (N, L)
        Values up to the origin, the latest last; no gaps.
    counts : ndarray of int (N,)
        How many of them are real; the first of these stands in all places before it.
    horizon, season : int
        Steps to forecast, and after which things repeat.
    how : {"last", "mean", "seasonal", "theta"}
        The last value; the mean of the last season; the last season again; the theta method.

    Returns
    -------
    ndarray (N, horizon)

    Raises
    ------
    InputError
        If it is none of these.
    """
    season = max(1, min(season, windows.shape[1]))
    if how == "last":
        return np.repeat(windows[:, -1:], horizon, axis=1)
    if how == "mean":
        return np.repeat(windows[:, -season:].mean(axis=1, keepdims=True), horizon, axis=1)
    if how == "seasonal":
        return np.asarray(windows[:, -season:][:, np.arange(horizon) % season])
    if how == "theta":
        parts = range(0, len(windows), _BLOCK)
        found = [theta_forecast(windows[i : i + _BLOCK], counts[i : i + _BLOCK], horizon, season) for i in parts]
        return np.concatenate(found) if found else np.zeros((0, horizon))
    raise InputError("the base of a forecast must be known", f"base={how!r}", near(how, ("auto", *BASES)))


def theta_forecast(windows: Floats, counts: Counts, horizon: int, season: int) -> Floats:
    """Return the theta method's forecast of windows (N, L), of which the last ``counts`` are real: (N, horizon).

    Notes
    -----
    Assimakopoulos and Nikolopoulos, International Journal of Forecasting 2000, in the form of Hyndman and Billah (ibid.
    2003): simple exponential smoothing with half the slope of a straight line as drift, on values without seasons,
    which are taken out as factors (as differences where values are not all above 0) where they are significant. The
    smoothing rate is the best of thirteen for each window.
    """
    n, length = windows.shape
    factors, seasons = seasonal_places(windows, counts, season)
    place = (np.arange(length) - length) % season  # place 0 is that of the step after the window
    own = seasons[:, place]
    adjusted = np.where(factors[:, None], windows / np.where(factors[:, None], own, 1.0), windows - own)
    first = length - counts
    real = np.arange(length)[None, :] >= first[:, None]
    adjusted = np.where(real, adjusted, np.take_along_axis(adjusted, first[:, None], 1))
    slope = _slopes(adjusted, real)
    level, rate, least = np.zeros(n), np.ones(n), np.full(n, np.inf)
    columns = np.ascontiguousarray(adjusted.T)
    for alpha in _RATES:
        now, squared = columns[0].copy(), np.zeros(n)
        for value in columns[1:]:  # before the first real value there is no error, and nothing happens
            error = value - now
            squared += error * error
            now += alpha * error
        better = squared < least
        level, rate = np.where(better, now, level), np.where(better, alpha, rate)
        least = np.where(better, squared, least)
    ahead = np.arange(horizon)
    warm = (1.0 - (1.0 - rate) ** counts) / rate
    plain = level[:, None] + 0.5 * slope[:, None] * (ahead + warm[:, None])
    later = seasons[:, ahead % season]
    return np.asarray(np.where(factors[:, None], plain * later, plain + later))


def _slopes(values: Floats, real: NDArray[np.bool_]) -> Floats:
    """Return the slope of the least-squares line through the real values of each row."""
    time = np.broadcast_to(np.arange(values.shape[1], dtype=np.float64), values.shape)
    count = real.sum(axis=1)
    centred = np.where(real, time - (np.where(real, time, 0.0).sum(axis=1) / count)[:, None], 0.0)
    spread = (centred**2).sum(axis=1)
    return np.asarray((centred * values).sum(axis=1) / np.where(spread > 0, spread, 1.0))
