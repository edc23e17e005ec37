"""Predictive mean matching: a gap takes the value of a row whose prediction is near."""

from __future__ import annotations

import numpy as np

from glia.data.impute.base import Array

_CELLS = 2**21


def match(wanted: Array, predicted: Array, given: Array, neighbours: int, uniform: Array) -> Array:
    """Return for each row the value of one of the donors with the nearest predictions (Little, 1988).

    Parameters
    ----------
    wanted : ndarray of shape (N, C)
        Predictions of the rows with a gap.
    predicted, given : ndarray of shape (M, C)
        Predictions and values of the donors.
    neighbours : int
        Among how many of the nearest donors is drawn.
    uniform : ndarray of shape (N,)
        A number in [0, 1) per row: which of them.

    Returns
    -------
    ndarray of shape (N, C)
    """
    count = min(neighbours, len(given))
    picked = np.minimum((uniform * count).astype(np.intp), count - 1)
    if wanted.shape[1] == 1:
        return np.asarray(given[_near_on_a_line(wanted[:, 0], predicted[:, 0], count, picked)])
    out = np.empty_like(wanted)
    step = max(1, _CELLS // len(given))
    for start in range(0, len(wanted), step):
        rows = slice(start, start + step)
        squared = np.zeros((len(wanted[rows]), len(given)))
        for c in range(wanted.shape[1]):
            squared += (wanted[rows, c, None] - predicted[None, :, c]) ** 2
        nearest = np.argpartition(squared, count - 1, axis=1)[:, :count]
        out[rows] = given[nearest[np.arange(len(nearest)), picked[rows]]]
    return out


def _near_on_a_line(wanted: Array, predicted: Array, count: int, picked: Array) -> Array:
    """Return which donor each row gets, where predictions are single numbers."""
    order = np.argsort(predicted, kind="stable")
    places = predicted[order]
    first = np.searchsorted(places, wanted)
    window = np.clip(first[:, None] + np.arange(-count, count)[None, :], -1, len(places))  # (N, 2·count)
    outside = (window < 0) | (window >= len(places))
    window = np.clip(window, 0, len(places) - 1)
    distance = np.where(outside, np.inf, np.abs(places[window] - wanted[:, None]))
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :count]
    return np.asarray(order[window[np.arange(len(wanted)), nearest[np.arange(len(wanted)), picked]]])
