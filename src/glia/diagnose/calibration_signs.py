"""Whether probabilities mean what they say on rows that were not learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.protocols import Task
from glia.core.seeds import numpy_rng
from glia.diagnose.skill import Floats, mean_interval
from glia.objectives.calibration import ReliabilityBin, fit_temperature, reliability

FEWEST_ROWS = 100
_SMALL = 1e-7


@dataclass(frozen=True)
class Calibration:
    """How far claimed probabilities are from what happens.

    Parameters
    ----------
    rows : int
        Rows that were judged.
    ece : float
        Expected calibration error over ten bins.
    temperature : float
        By which scores would have to be divided: above 1 the network is too sure of itself.
    gain, gain_low, gain_high : float
        Log loss per row that this would save on rows that the temperature was not fitted to, with a 95 % interval.
    bins : tuple of ReliabilityBin
        Claimed against observed.
    """

    rows: int
    ece: float
    temperature: float
    gain: float
    gain_low: float
    gain_high: float
    bins: tuple[ReliabilityBin, ...] = ()


def calibration_signs(
    task: Task, labels: NDArray[Any], probability: Floats, *, random_state: int = 0
) -> Calibration | None:
    """Return the signs, or ``None`` for values, or where there are fewer than 100 rows.

    Parameters
    ----------
    task : {"binary", "multiclass", "multilabel"}
    labels : ndarray
        Class numbers (N,), or 0/1 (N, L).
    probability : ndarray (N, C) or (N, L)
        What the model claims.
    """
    if task == "regression" or len(labels) < FEWEST_ROWS:
        return None
    scores, truth = scores_of(task, probability), np.asarray(labels)
    gains = cross_fitted_gain(task, scores, truth, random_state)
    found = reliability(truth.astype(np.int64), np.asarray(probability, dtype=np.float64))
    temperature = fit_temperature(scores, truth, task)
    return Calibration(len(truth), found.ece, temperature, *mean_interval(gains), bins=found.bins)


def scores_of(task: Task, probability: Floats) -> Floats:
    """Return scores whose softmax (or sigmoid) gives the probabilities back."""
    p = np.clip(np.asarray(probability, dtype=np.float64), _SMALL, 1 - _SMALL)
    if task == "multiclass":
        return np.asarray(np.log(p))
    high = p[:, 1:] if task == "binary" else p
    return np.asarray(np.log(high) - np.log1p(-high))


def cross_fitted_gain(task: Task, scores: Floats, truth: NDArray[Any], random_state: int) -> Floats:
    """Return each row's saving in log loss by a temperature that was fitted to the other half of the rows, (N,)."""
    order = numpy_rng(random_state, "temperature").permutation(len(truth))
    gains = np.zeros(len(truth))
    for own, other in ((order[::2], order[1::2]), (order[1::2], order[::2])):
        temperature = fit_temperature(scores[other], truth[other], task)
        gains[own] = log_losses(task, scores[own], truth[own]) - log_losses(task, scores[own] / temperature, truth[own])
    return gains


def log_losses(task: Task, scores: Floats, truth: NDArray[Any]) -> Floats:
    """Return the log loss of every row, (N,)."""
    if task == "multiclass":
        shifted = scores - scores.max(axis=1, keepdims=True)
        own = shifted[np.arange(len(truth)), truth.astype(np.int64)]
        return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - own)
    sign = 2.0 * np.asarray(truth, dtype=np.float64).reshape(scores.shape) - 1.0
    return np.asarray(np.logaddexp(0.0, -sign * scores).mean(axis=1))
