"""Bagging: the mean of estimators that each learned from a bootstrap sample of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError, near
from glia.core.seeds import numpy_rng
from glia.ensemble.base import Ensemble
from glia.ensemble.members import fit_member, fresh, takes_weight, trains_populations
from glia.ensemble.rows import share, take_rows, whole

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
SAMPLING = ("auto", "weights", "rows")
REDRAWS = 100
"""A sample of one class teaches nothing; it is drawn again, at most so often."""


class Bagging(Ensemble):
    """Bootstrap aggregating. Breiman 1996, "Bagging predictors", Machine Learning 24.

    Parameters
    ----------
    estimator : estimator
        Any classifier or regressor with scikit-learn's contract.
    n_estimators : int
        Members, ≥ 1.
    max_samples : float
        Size of a sample as a share of the rows, in (0, 1].
    bootstrap : bool
        Whether rows are drawn with replacement. Without it and with ``max_samples=1`` members differ in their seeds
        alone: a deep ensemble (arXiv 1612.01474).
    sampling : {"auto", "weights", "rows"}
        How a sample is handed on: as counts in ``sample_weight`` (wherever the estimator takes it: no row is twice
        there, so that no copy of it gets among rows which the estimator itself holds out), or as picked rows.
    population : bool
        Whether an estimator with ``members`` and ``bootstrap``, as Glia's are, trains all members in one fit. That way
        is taken where these are not set, and with the defaults of ``max_samples``, ``bootstrap`` and ``oob_score``.
    oob_score : bool
        Whether to judge every row by the members that did not see it. Takes the members one after the other.
    random_state : int, None or RandomState
        Same seed, same bits.

    Attributes
    ----------
    population_ : bool
        Whether all members were trained in one fit.
    members_ : list
        Fitted estimators; one of several networks where a population was trained.
    in_bag_ : ndarray of int (K, N)
        How often each row is in each member's sample; not with a population.
    oob_prediction_ : ndarray (N, C), (N,) or (N, T)
        Mean prediction of the members that did not see the row; NaN where all did. With ``oob_score``.
    oob_score_ : float
        Accuracy or R² of these, on the rows that have one.
    """

    def __init__(
        self,
        estimator: Any,
        n_estimators: int = 10,
        max_samples: float = 1.0,
        bootstrap: bool = True,
        sampling: str = "auto",
        population: bool = True,
        oob_score: bool = False,
        random_state: Any = 0,
    ) -> None:
        self.estimator, self.n_estimators, self.max_samples = estimator, n_estimators, max_samples
        self.bootstrap, self.sampling, self.population = bootstrap, sampling, population
        self.oob_score, self.random_state = oob_score, random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Bagging:
        """Fit the members.

        Parameters
        ----------
        X : frame, array, sparse matrix or Table (N, …)
            Rows as the estimator takes them.
        y : array-like (N,) or (N, T)
            Targets.
        sample_weight : array-like (N,), optional
            At least 0. Multiplies the counts of a sample, or where the estimator takes no weights, rows are drawn in
            proportion to it.

        Raises
        ------
        InputError
            If rows, targets or settings cannot be used.
        """
        X, y, weight = self._read(X, y, sample_weight)
        count = whole("n_estimators", self.n_estimators)
        size = max(1, round(share("max_samples", self.max_samples) * len(y)))
        if self.sampling not in SAMPLING:
            raise InputError(
                "sampling must be auto, weights or rows", repr(self.sampling), near(str(self.sampling), SAMPLING)
            )
        self.population_ = self._as_population(count)
        if self.population_:
            member = fresh(self.estimator, self._stream("population")).set_params(members=count, bootstrap=True)
            self.members_ = [fit_member(member, X, y, weight)]
            return self
        by_weight = takes_weight(self.estimator) if self.sampling == "auto" else self.sampling == "weights"
        if by_weight and not takes_weight(self.estimator):
            raise InputError(
                "sampling by weights needs an estimator that takes them",
                type(self.estimator).__name__,
                "set sampling to rows",
            )
        self.in_bag_ = np.stack([self._draw(k, y, size, None if by_weight else weight) for k in range(count)])
        self.members_ = []
        for k, counts in enumerate(self.in_bag_):
            member = fresh(self.estimator, self._stream("member", k))
            if by_weight:
                mass = counts.astype(np.float64) if weight is None else counts * weight
                self.members_.append(fit_member(member, X, y, mass))
            else:
                index = np.repeat(np.arange(len(y)), counts)
                self.members_.append(fit_member(member, take_rows(X, index), y[index]))
        if self.oob_score:
            self._judge(X, y, weight)
        return self

    def _as_population(self, count: int) -> bool:
        usual = self.bootstrap and self.max_samples == 1 and self.sampling != "rows" and not self.oob_score
        if not (self.population and usual and count > 1 and trains_populations(self.estimator)):
            return False
        return self.estimator.get_params(deep=False)["members"] in (1, "auto")

    def predict_members(self, X: Any) -> Floats:
        """Return every member's own predictions: probabilities (K, N, C), or values (K, N) or (K, N, T)."""
        if not getattr(self, "population_", False):
            return super().predict_members(X)
        own = np.asarray(self.members_[0].predict_members(self._known(X)), dtype=np.float64)
        return own if self._classifies() else own.reshape(*own.shape[:2], *self._row_shape())

    def _draw(self, k: int, y: NDArray[Any], size: int, weight: Floats | None) -> Ints:
        """Return how often each row is in member k's sample, (N,)."""
        rng = numpy_rng(self._stream("rows"), k)
        chance = None if weight is None else weight / weight.sum()
        for _ in range(REDRAWS):
            index = rng.choice(len(y), size=size, replace=self.bootstrap, p=chance)
            if not self._classifies() or (y[index] != y[index[0]]).any():
                return np.bincount(index, minlength=len(y))
        raise InputError(
            "a sample must hold two classes", f"{REDRAWS} samples of {size} rows with one", "raise max_samples"
        )

    def _judge(self, X: Any, y: NDArray[Any], weight: Floats | None) -> None:
        """Predict every row by the members that have not seen it, and score that."""
        total: Any = None
        times = np.zeros(len(y))
        for member, counts in zip(self.members_, self.in_bag_, strict=True):
            out = np.flatnonzero(counts == 0)
            if not len(out):
                continue
            found = self._of_member(member, take_rows(X, out))
            total = np.zeros((len(y), *found.shape[1:])) if total is None else total
            total[out] += found
            times[out] += 1
        known = np.flatnonzero(times)
        if total is None or len(known) < 2:
            raise InputError(
                "an out-of-bag score needs rows that a member has not seen", f"{len(known)}", "raise n_estimators"
            )
        found = total[known] / times[known].reshape(-1, *[1] * (total.ndim - 1))
        self.oob_prediction_ = np.full((self._rows_in, *total.shape[1:]), np.nan)
        self.oob_prediction_[self._kept_rows[known]] = found
        decided = self.target_.decide(found) if self._classifies() else found
        self.oob_score_ = self._score(y[known], decided, None if weight is None else weight[known])

    def _estimators(self) -> list[Any]:
        return [self.estimator]
