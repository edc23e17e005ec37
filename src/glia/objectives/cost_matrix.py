"""What mistakes cost: matrices of costs, the cheapest decision under probabilities, and what decisions did cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glia.core.decision_rule import as_cost
from glia.core.errors import InputError
from glia.objectives.scored import Codes


def least_cost(probability: ArrayLike, cost: ArrayLike) -> Codes:
    """Return the class codes whose expected cost is least, (N,): argmin over k of Σ_j p[j]·cost[j, k].

    Parameters
    ----------
    probability : array-like (N, C)
        Calibrated: what is decided is only as good as they are.
    cost : array-like (C, C)
        True classes as rows, predicted classes as columns.

    Raises
    ------
    InputError
        If shapes do not fit each other.

    Notes
    -----
    Elkan 2001, "The foundations of cost-sensitive learning", eq. 1. Of equally cheap classes the first is taken.
    """
    p = np.asarray(probability, dtype=np.float64)
    if p.ndim != 2:
        raise InputError("probabilities must be (N, C)", f"shape {p.shape}")
    return np.asarray((p @ as_cost(cost, p.shape[1])).argmin(axis=1), dtype=np.intp)


def cost_threshold(cost: ArrayLike) -> float:
    """Return the probability of the second class from which on answering it is cheaper.

    With c[true, predicted] it is (c01 − c00) / (c01 − c00 + c10 − c11) (Elkan 2001, eq. 2).

    Raises
    ------
    InputError
        If the matrix is not of two classes.
    """
    c = as_cost(cost, 2)
    alarm, miss = c[0, 1] - c[0, 0], c[1, 0] - c[1, 1]
    return float(alarm / (alarm + miss))


def mean_cost(y: ArrayLike, prediction: ArrayLike, cost: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return what decisions cost per row.

    Parameters
    ----------
    y, prediction : array-like of int (N,)
        Class codes, 0 to C - 1.
    cost : array-like (C, C)
    sample_weight : array-like (N,), optional

    Raises
    ------
    InputError
        If codes are out of range, or there are no rows.
    """
    matrix = as_cost(cost)
    true, guess = (np.asarray(v) for v in (y, prediction))
    codes: NDArray[Any] = np.concatenate([true, guess])
    if true.shape != guess.shape or not len(true) or codes.min() < 0 or codes.max() >= len(matrix):
        raise InputError(f"codes must be 0 to {len(matrix) - 1}, one per row", f"{true.shape} and {guess.shape}")
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    return float(np.average(matrix[true.astype(np.intp), guess.astype(np.intp)], weights=weight))
