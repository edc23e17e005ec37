"""Weights of models by greedy selection with replacement, on predictions for rows they have not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GreedyWeights:
    """What was selected.

    Parameters
    ----------
    weights : ndarray (K,)
        How often each model was picked, as shares; 0 for those that were not.
    picked : tuple of int
        The models in the order in which they were picked, up to the best point.
    errors : tuple of float
        The error after each pick; the last is the least.
    """

    weights: Floats
    picked: tuple[int, ...]
    errors: tuple[float, ...]


def greedy_weights(
    predictions: Floats, error: Callable[[Floats], float], *, rounds: int, start: int = 1
) -> GreedyWeights:
    """Add, again and again, the model with which the mean of all picked has the least error; a model may come twice.

    Caruana, Niculescu-Mizil, Crew & Ksikes 2004, "Ensemble selection from libraries of models", ICML. The selection
    ends at the pick with the least error of all.

    Parameters
    ----------
    predictions : ndarray (K, N, …)
        Of each model, on rows that it has not seen.
    error : callable
        ``(N, …) → error`` of a prediction; less is better.
    rounds : int
        Picks, ≥ 1.
    start : int
        The best so many models, each by itself, are in from the beginning: a guard against overfitting few rows.

    Raises
    ------
    InputError
        If no prediction has a finite error.
    """
    alone = np.array([error(one) for one in predictions])
    if not np.isfinite(alone).any():
        raise InputError("at least one model must have a finite error", f"{alone.tolist()}")
    order = np.argsort(np.where(np.isfinite(alone), alone, np.inf), kind="stable")
    picked = [int(k) for k in order[: min(start, rounds)] if np.isfinite(alone[k])]
    total = predictions[picked].sum(axis=0)
    errors = [error(predictions[picked[: i + 1]].mean(axis=0)) for i in range(len(picked))]
    while len(picked) < rounds:
        tried = np.array([error((total + one) / (len(picked) + 1)) for one in predictions])
        best = int(np.nanargmin(tried))
        picked.append(best)
        errors.append(float(tried[best]))
        total = total + predictions[best]
    least = min(len(order[:start]), len(picked)) - 1
    end = least + int(np.argmin(errors[least:])) + 1
    weights = np.bincount(picked[:end], minlength=len(predictions)) / end
    return GreedyWeights(weights, tuple(picked[:end]), tuple(float(e) for e in errors[:end]))
