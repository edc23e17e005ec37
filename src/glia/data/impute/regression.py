"""Ridge regressions of one column on others, with the strength chosen by generalised cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glia.data.impute.base import Array, Block

ALPHAS = np.array([1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0])
"""Strengths that are tried, as shares of the predictors' unit variance."""


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge regression of C outputs on d predictors, and what a Bayesian draw of it needs.

    Parameters
    ----------
    coef : ndarray of shape (d, C)
        Slopes.
    intercept : ndarray of shape (C,)
        Of predictors as they are.
    residual : ndarray of shape (C,)
        Sum of squared residuals.
    values, vectors : ndarray of shape (d,) and (d, d)
        Eigenvalues of the predictors' covariance, with the strength added, and their vectors.
    mean : ndarray of shape (d,)
        Of the predictors.
    rows, freedom : float
        Training rows, and what the effective number of coefficients leaves of them.
    """

    coef: Array
    intercept: Array
    residual: Array
    values: Array
    vectors: Array
    mean: Array
    rows: float
    freedom: float

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Return slopes, intercept and noise's standard deviations drawn from their posterior.

        Rubin (1987), *Multiple Imputation for Nonresponse in Surveys*, section 5.3: σ² from a scaled inverse χ², then
        the coefficients from a normal distribution around the estimates.
        """
        chi = rng.chisquare(max(self.freedom, 1.0))
        sigma = np.sqrt(self.residual / chi)  # (C,)
        spread = self.vectors @ (rng.standard_normal(self.coef.shape) / np.sqrt(self.values * self.rows)[:, None])
        coef = self.coef + spread * sigma
        at_mean = self.intercept + self.mean @ self.coef + rng.standard_normal(len(sigma)) * sigma / np.sqrt(self.rows)
        return coef, at_mean - self.mean @ coef, sigma


def fit_ridge(x: Array, y: Array, alphas: Array = ALPHAS) -> Ridge:
    """Fit a ridge regression with an intercept that is not penalised.

    Parameters
    ----------
    x, y : ndarray of shape (n, d) and (n, C)
        n ≥ 1 complete rows.
    alphas : ndarray of shape (A,)
        Increasing strengths, of which the one with the least generalised cross-validation error is taken (Golub, Heath
        and Wahba, 1979).
    """
    n = len(x)
    mean, center = x.mean(axis=0), y.mean(axis=0)
    xc, yc = x - mean, y - center
    values, vectors = np.linalg.eigh(xc.T @ xc / n)
    values = np.maximum(values, 0.0)
    cross = vectors.T @ (xc.T @ yc / n)  # (d, C)
    power = (yc * yc).mean(axis=0)  # (C,)
    best: tuple[float, float, Array, float] | None = None
    for alpha in alphas:
        slopes = cross / (values + alpha)[:, None]
        left = power - 2.0 * (cross * slopes).sum(axis=0) + (values[:, None] * slopes**2).sum(axis=0)
        left = np.maximum(left, 1e-13 * power)  # what rounding leaves of nothing
        used = 1.0 + float((values / (values + alpha)).sum())
        room = 1.0 - used / n
        error = float(left.sum()) / room**2 if room > 0.02 else np.inf
        if best is None or error < best[0] or (best[0] == np.inf and alpha == alphas[-1]):
            best = (error, float(alpha), left, used)
    if best is None:
        raise ValueError("at least one strength is needed")
    _, alpha, left, used = best
    coef = vectors @ (cross / (values + alpha)[:, None])
    return Ridge(coef, center - mean @ coef, left * n, values + alpha, vectors, mean, float(n), n - used)


def apply_ridge(x: Array, coef: Array, intercept: Array) -> Array:
    """Return ``x @ coef + intercept`` (N, C) with sums in one order, so that a row's company does not matter."""
    columns = [(x * coef[:, c]).sum(axis=1) for c in range(coef.shape[1])]
    return np.stack(columns, axis=1) + intercept


def choose_predictors(x: Array, blocks: Sequence[Block], most: int) -> list[NDArray[np.intp]]:
    """Return for each block the columns that it is regressed on: all others, or those most correlated with it.

    Parameters
    ----------
    x : ndarray of shape (N, D)
        Complete rows, e.g. with the means filled in.
    blocks : sequence of Block
        All columns.
    most : int
        Most predictors.
    """
    centered = x - x.mean(axis=0)
    spread = np.sqrt((centered**2).sum(axis=0))
    spread[spread == 0] = np.inf
    everything = np.arange(x.shape[1])
    varying = np.isfinite(spread)
    found = []
    for block in blocks:
        others = everything[varying & ((everything < block.start) | (everything >= block.stop))]
        if len(others) > most:
            own = centered[:, block.where] / spread[block.where]
            strength = np.abs(own.T @ centered[:, others] / spread[others]).max(axis=0)
            others = np.sort(others[np.argsort(-strength, kind="stable")[:most]])
        found.append(others)
    return found
