"""Weighted linear models of a few inputs: what LIME fits around a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import lars_path

from glia.core.errors import InputError, near

Floats = NDArray[np.float64]
SELECTIONS = ("largest", "lasso")
RIDGE = 1e-4
"""Penalty relative to the mean of the inputs' weighted squares: it settles ties and hardly shrinks."""


@dataclass(frozen=True)
class LocalFit:
    """A linear model of O outputs on K inputs.

    Parameters
    ----------
    slopes : ndarray of shape (K, O)
    at_zero : ndarray of shape (O,)
        Its value where all inputs are 0.
    r_squared : ndarray of shape (O,)
        Part of the weighted variance of the outputs that it explains, at most 1; 1 for a constant output.
    """

    slopes: Floats
    at_zero: Floats
    r_squared: Floats


def local_fit(
    design: Floats, outputs: Floats, weight: Floats, *, kept: NDArray[np.int64] | None = None, ridge: float = RIDGE
) -> LocalFit:
    """Fit outputs (S, O) to inputs (S, K) by weighted ridge regression with an intercept.

    Parameters
    ----------
    design, outputs, weight : ndarray of shape (S, K), (S, O) and (S,)
        Weights at least 0.
    kept : ndarray of int, optional
        The inputs that may have a slope; others get 0.
    ridge : float
        Penalty, in units of the mean weighted square of the inputs.
    """
    chosen = np.arange(design.shape[1]) if kept is None else kept
    share = weight / weight.sum()
    mean_x, mean_y = share @ design, share @ outputs
    x, y = (design - mean_x)[:, chosen], outputs - mean_y
    gram = (x * share[:, None]).T @ x  # (k, k)
    gram[np.diag_indices_from(gram)] += ridge * max(float(np.trace(gram)) / max(len(gram), 1), 1e-300)
    slopes = np.zeros((design.shape[1], outputs.shape[1]))
    slopes[chosen] = np.linalg.solve(gram, (x * share[:, None]).T @ y)
    left, whole = share @ (y - x @ slopes[chosen]) ** 2, share @ y**2
    tiny = 1e-12 * (1 + mean_y**2)
    r_squared = np.where(whole > tiny, 1 - left / np.where(whole > tiny, whole, 1.0), 1.0)
    return LocalFit(slopes, mean_y - mean_x @ slopes, r_squared)


def select(design: Floats, output: Floats, weight: Floats, count: int, how: str = "largest") -> NDArray[np.int64]:
    """Return the positions of ``count`` inputs to keep for one output (S,), in their order.

    Parameters
    ----------
    design, output, weight : ndarray of shape (S, K), (S,) and (S,)
    count : int
        At least 1.
    how : {"largest", "lasso"}
        The largest slopes × spread of a ridge fit, or the first inputs to enter on the lasso's path.

    Raises
    ------
    InputError
        If there is no such way, or the count is below 1.
    """
    if how not in SELECTIONS:
        raise InputError("selection must be a known one", f"selection={how!r}", near(str(how), SELECTIONS))
    if count < 1:
        raise InputError("features must be at least 1", f"features={count}", "leave it out for all of them")
    if count >= design.shape[1]:
        return np.arange(design.shape[1])
    share = weight / weight.sum()
    x, y = design - share @ design, output - share @ output
    spread = np.sqrt(share @ x**2)
    if how == "largest":
        size = np.abs(local_fit(design, output[:, None], weight).slopes[:, 0]) * spread
        return np.sort(np.argsort(-size, kind="stable")[:count])
    root = np.sqrt(share)
    scaled = x / np.where(spread > 0, spread, 1.0) * root[:, None]
    _, _, path = lars_path(scaled, y * root, method="lasso", max_iter=4 * count + 8)
    counts = (np.abs(path) > 0).sum(axis=0)
    reached = np.flatnonzero(counts <= count)[-1]
    size = np.abs(path[:, reached])
    return np.sort(np.argsort(-size, kind="stable")[: max(1, min(count, int(counts[reached])))])
