"""Little's test of whether the means of the observed values are the same in every pattern of missingness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

Array = NDArray[np.float64]
_RIDGE = 1e-9


@dataclass(frozen=True)
class LittleTest:
    """Result of the test that values are missing completely at random.

    Parameters
    ----------
    statistic : float
        d², asymptotically χ² distributed with ``freedom`` degrees of freedom if they are.
    freedom : int
        Degrees of freedom.
    p_value : float
        In [0, 1]; a small one speaks against it. A large one does not prove it.
    patterns : int
        Patterns of missingness that were compared.
    """

    statistic: float
    freedom: int
    p_value: float
    patterns: int


def little_test(x: Array) -> LittleTest | None:
    """Return Little's MCAR test of a matrix (N, D), NaN where missing; ``None`` where there is nothing to compare.

    Columns that do not vary, and rows without any value, are left out. Little (1988), *JASA* 83(404), equation (5): the
    squared distances of the patterns' means from the maximum likelihood mean, in the metric of the covariance.

    Notes
    -----
    As in Little's paper the covariance is the maximum likelihood one times N / (N - 1); R's ``naniar::mcar_test``
    leaves that factor out. The test leans on normal distributions where patterns are small, and sees differences of
    means only.
    """
    x = x[:, _varies(x)]
    x = x[~np.isnan(x).all(axis=1)]
    groups = _groups(x)
    if x.shape[1] < 2 or len(groups) < 2:
        return None
    z = (x - np.nanmean(x, axis=0)) / np.nanstd(x, axis=0)
    mean, covariance = normal_em(z)
    covariance = covariance * (len(z) / (len(z) - 1))  # unbiased where complete, as in Little's own definition
    statistic, freedom = 0.0, -z.shape[1]
    for seen, rows in groups:
        difference = z[np.ix_(rows, seen)].mean(axis=0) - mean[seen]
        block = covariance[np.ix_(seen, seen)]
        statistic += len(rows) * float(difference @ np.linalg.pinv(block, hermitian=True) @ difference)
        freedom += len(seen)
    if freedom < 1:
        return None
    return LittleTest(statistic, freedom, float(chi2.sf(statistic, freedom)), len(groups))


def normal_em(x: Array, *, rounds: int = 500, tolerance: float = 1e-7) -> tuple[Array, Array]:
    """Return the maximum likelihood mean (D,) and covariance (D, D) of a normal distribution from rows with gaps.

    Parameters
    ----------
    x : ndarray of shape (N, D)
        NaN where missing; every row has a value and every column varies.
    rounds : int
        Most rounds of the EM algorithm (Dempster, Laird and Rubin, 1977).
    tolerance : float
        Largest change, in the columns' own standard deviations, at which it ends.
    """
    count, width = x.shape
    groups = _groups(x)
    mean, scale = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    covariance = np.diag(scale**2)
    for _ in range(rounds):
        total, squares = np.zeros(width), np.zeros((width, width))
        for seen, rows in groups:
            gone = np.setdiff1d(np.arange(width), seen)
            filled = np.tile(mean, (len(rows), 1))
            filled[:, seen] = x[np.ix_(rows, seen)]
            if len(gone):
                block = covariance[np.ix_(seen, seen)] + _RIDGE * np.diag(scale[seen] ** 2)
                slopes = np.linalg.solve(block, covariance[np.ix_(seen, gone)])  # (seen, gone)
                filled[:, gone] = mean[gone] + (filled[:, seen] - mean[seen]) @ slopes
                rest = covariance[np.ix_(gone, gone)] - covariance[np.ix_(gone, seen)] @ slopes
                squares[np.ix_(gone, gone)] += len(rows) * rest
            total += filled.sum(axis=0)
            squares += filled.T @ filled
        new_mean = total / count
        new = squares / count - np.outer(new_mean, new_mean)
        change = max(np.abs((new_mean - mean) / scale).max(), np.abs((new - covariance) / np.outer(scale, scale)).max())
        mean, covariance = new_mean, new
        if change < tolerance:
            break
    return mean, covariance


def _varies(x: Array) -> NDArray[np.bool_]:
    known = ~np.isnan(x)
    low = np.where(known, x, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, x, -np.inf).max(axis=0, initial=-np.inf)
    return np.asarray(high > low)


def _groups(x: Array) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return for each pattern the observed columns and the rows."""
    seen = ~np.isnan(x)
    if not len(x):
        return []
    _, inverse = np.unique(np.packbits(seen, axis=1), axis=0, return_inverse=True)
    found = []
    for group in range(int(inverse.max()) + 1):
        rows = np.flatnonzero(inverse.ravel() == group)
        columns = np.flatnonzero(seen[rows[0]])
        if len(columns):
            found.append((columns, rows))
    return found
