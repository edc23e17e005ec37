"""The season of many windows at once: whether there is one, and how far each place in it lies from the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
_SIGNIFICANT = 1.645


def seasonal_places(windows: Floats, counts: Counts, season: int) -> tuple[NDArray[np.bool_], Floats]:
    """Return which windows have seasonal factors (others have differences), and these by place, (N, season).

    Parameters
    ----------
    windows : ndarray (N, L)
        The latest value last.
    counts : ndarray of int (N,)
        How many of them, at the end, are real.
    season : int
        Steps of a season.

    Returns
    -------
    factors : ndarray of bool (N,)
        True where all real values are above 0.
    places : ndarray (N, season)
        Place 0 is that of the step after the window. Factors average to 1 and differences to 0; where fewer than two
        whole seasons are real, or their correlation is not significant, all are 1 or 0.
    """
    length = windows.shape[1]
    real = np.arange(length)[None, :] >= (length - counts)[:, None]
    factors = np.where(real, windows, np.inf).min(axis=1) > 0
    neutral = np.where(factors, 1.0, 0.0)[:, None] * np.ones((1, max(season, 1)))
    if season < 2 or length < 2 * season:
        return factors, neutral
    average, half = _centred(windows, season), season // 2
    middle, sound = windows[:, half : half + average.shape[1]], real[:, : average.shape[1]]
    safe = np.where(factors[:, None], average, 1.0)
    off = np.where(factors[:, None], middle / np.where(safe > 0, safe, 1.0), middle - average)
    place = (np.arange(half, half + average.shape[1]) - length) % season
    places = np.stack([_mean(off[:, place == p], sound[:, place == p]) for p in range(season)], axis=1)
    centre = places.mean(axis=1, keepdims=True)
    places = np.where(factors[:, None], places / np.where(factors[:, None], centre, 1.0), places - centre)
    usable = is_seasonal(windows, counts, season) & np.isfinite(places).all(axis=1)
    usable &= ~factors | (places.min(axis=1) > 1e-3)
    return factors, np.where(usable[:, None], places, neutral)


def is_seasonal(windows: Floats, counts: Counts, season: int) -> NDArray[np.bool_]:
    """Tell in which windows the correlation of values one season apart is significant (90 %, two-sided).

    Notes
    -----
    Bartlett's bound, 1.645·√((1 + 2 Σ r²) / n) with the correlations r at shorter lags, as the theta method had it in
    the M3 competition.
    """
    n, length = windows.shape
    enough = counts >= 2 * season
    if season < 2 or length < 2 * season:
        return np.zeros(n, dtype=bool)
    real = np.arange(length)[None, :] >= (length - counts)[:, None]
    mean = np.where(real, windows, 0.0).sum(axis=1, keepdims=True) / np.maximum(counts, 1)[:, None]
    centred = np.where(real, windows - mean, 0.0)
    power = np.maximum((centred**2).sum(axis=1), np.finfo(np.float64).tiny)
    lags = [(centred[:, lag:] * centred[:, :-lag]).sum(axis=1) / power for lag in range(1, season + 1)]
    bound = np.sqrt((1.0 + 2.0 * sum(r**2 for r in lags[:-1])) / np.maximum(counts, 1))
    return np.asarray(enough & (np.abs(lags[-1]) > _SIGNIFICANT * bound))


def _centred(windows: Floats, season: int) -> Floats:
    """Return averages over a whole season around each value, (N, L − season [+ 1 for odd ones])."""
    sums = np.cumsum(np.pad(windows, ((0, 0), (1, 0))), axis=1)
    whole = (sums[:, season:] - sums[:, :-season]) / season
    return whole if season % 2 else 0.5 * (whole[:, 1:] + whole[:, :-1])


def _mean(values: Floats, there: NDArray[np.bool_]) -> Floats:
    count = there.sum(axis=1)
    return np.asarray(np.where(count > 0, np.where(there, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan))
