"""Rubin's rules: one estimate and its uncertainty from the analyses of several completed sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from glia.core.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pooled:
    """A pooled estimate; every array has the shape of one analysis's estimate.

    Parameters
    ----------
    estimate : ndarray
        Mean over the completed sets.
    within, between, total : ndarray
        Variances: W, the mean of the analyses' own; B, of the estimates between the sets; T = W + (1 + 1/m)·B.
    freedom : ndarray
        Degrees of freedom of the t distribution; infinite where B is 0 and the analyses' own are.
    missing_information : ndarray
        (1 + 1/m)·B / T, the share of the uncertainty that is due to what is missing, in [0, 1].
    sets : int
        m.
    """

    estimate: Array
    within: Array
    between: Array
    total: Array
    freedom: Array
    missing_information: Array
    sets: int

    @property
    def error(self) -> Array:
        """Standard errors, √T."""
        return np.asarray(np.sqrt(self.total))

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Return the lower and the upper ends of the confidence intervals."""
        reach = student.ppf(0.5 + level / 2.0, self.freedom) * self.error
        return self.estimate - reach, self.estimate + reach

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        names = ("estimate", "within", "between", "total", "freedom", "missing_information")
        return {**{name: getattr(self, name).tolist() for name in names}, "sets": self.sets}


def pool(estimates: ArrayLike, variances: ArrayLike, freedom: float = np.inf) -> Pooled:
    """Pool the results of m analyses (Rubin, 1987, chapter 3).

    Parameters
    ----------
    estimates : array-like of shape (m, …)
        One estimate, or array of estimates, per completed set; m ≥ 2.
    variances : array-like of shape (m, …)
        Their squared standard errors, ≥ 0.
    freedom : float
        Degrees of freedom that the analysis would have with complete data, e.g. N - 1 for a mean.

    Returns
    -------
    Pooled
        With the degrees of freedom of Barnard and Rubin (1999), *Biometrika* 86(4), which never exceed ``freedom``.

    Raises
    ------
    InputError
        If there are fewer than two sets, the shapes differ, or a variance is negative or not finite.
    """
    q, u = np.asarray(estimates, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if q.ndim < 1 or len(q) < 2 or q.shape != u.shape:
        raise InputError("pooling needs two or more estimates with a variance each", f"shapes {q.shape} and {u.shape}")
    if not (np.isfinite(q).all() and np.isfinite(u).all() and (u >= 0).all()):
        raise InputError("estimates must be finite and variances at least 0", "other values")
    m = len(q)
    within, between = u.mean(axis=0), q.var(axis=0, ddof=1)
    extra = (1.0 + 1.0 / m) * between
    total = within + extra
    share = np.divide(extra, total, out=np.zeros_like(total), where=total > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        old = (m - 1) / share**2
        if np.isinf(freedom):
            found = old
        else:
            observed = (freedom + 1.0) / (freedom + 3.0) * freedom * (1.0 - share)
            found = np.where(np.isinf(old), observed, old * observed / (old + observed))
    return Pooled(q.mean(axis=0), within, between, total, np.asarray(found), share, m)
