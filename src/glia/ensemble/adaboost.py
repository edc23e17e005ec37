"""AdaBoost for any number of classes (SAMME): each classifier minds the rows that those before it got wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.seeds import numpy_rng
from glia.ensemble.base import Ensemble
from glia.ensemble.members import fit_member, fresh, takes_weight, votes
from glia.ensemble.rows import take_rows, whole

Floats = NDArray[np.float64]


class AdaBoost(Ensemble):
    """Stagewise additive modelling by weights of rows, for any number of classes (SAMME).

    Zhu, Zou, Rosset & Hastie 2009, "Multi-class AdaBoost", Statistics and Its Interface 2; for two classes it is
    AdaBoost.M1 (Freund & Schapire 1997).

    Parameters
    ----------
    estimator : estimator
        A classifier. One that takes no ``sample_weight`` gets rows drawn in proportion to their weights instead.
    n_estimators : int
        Most members, ≥ 1.
    learning_rate : float
        Factor of the members' votes, > 0.
    random_state : int, None or RandomState
        Same seed, same bits.

    Attributes
    ----------
    members_ : list
        Fitted classifiers.
    member_weights_ : ndarray (K,)
        Votes α = learning_rate · (log((1 − ε) / ε) + log(C − 1)); 1 for a member without errors, which ends the fit.
    member_errors_ : ndarray (K,)
        Weighted error rates ε on the training rows.
    stop_reason_ : str
        Why there are no more members.

    Notes
    -----
    ``predict_members`` returns votes, (K, N, C), and ``predict_proba`` their weighted mean: the shares of the vote rank
    rows, they are no calibrated probabilities.
    """

    def __init__(
        self, estimator: Any, n_estimators: int = 50, learning_rate: float = 1.0, random_state: Any = 0
    ) -> None:
        self.estimator, self.n_estimators = estimator, n_estimators
        self.learning_rate, self.random_state = learning_rate, random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> AdaBoost:
        """Fit member after member.

        Parameters
        ----------
        X : frame, array, sparse matrix or Table (N, …)
            Rows as the estimator takes them.
        y : array-like (N,)
            Labels.
        sample_weight : array-like (N,), optional
            Weights to begin with, at least 0.

        Raises
        ------
        InputError
            If rows, targets or settings cannot be used, or the first member is no better than chance.
        """
        count, rate = whole("n_estimators", self.n_estimators), self._rate()
        X, y, weight = self._read(X, y, sample_weight)
        mass = np.full(len(y), 1 / len(y)) if weight is None else weight / weight.sum()
        chance = 1 - 1 / len(self.classes_)
        self.members_, found, self.stop_reason_ = [], list[tuple[float, float]](), "all members done"
        for k in range(count):
            member = self._learn(k, X, y, mass)
            wrong = np.asarray(member.predict(X)) != y
            error = float(mass @ wrong)
            if error >= chance:
                self.stop_reason_ = "a member was no better than chance"
                break
            self.members_.append(member)
            if error <= 0:
                found.append((1.0, 0.0))
                self.stop_reason_ = "a member made no errors"
                break
            vote = rate * (math.log((1 - error) / error) + math.log(len(self.classes_) - 1))
            found.append((vote, error))
            mass = mass * np.exp(vote * wrong)
            mass /= mass.sum()
        if not self.members_:
            del self.members_
            raise InputError(
                "the first member must be better than chance",
                f"a weighted error of {error:.3g} over {len(self.classes_)} classes",
                "hand in a stronger estimator",
            )
        self.member_weights_, self.member_errors_ = (np.array(column) for column in zip(*found, strict=True))
        return self

    def decision_function(self, X: Any) -> Floats:
        """Return Σ α g / Σ α, (N, C), where g is 1 for the class voted for and −1 / (C − 1) for the others.

        For two classes (N,): the score of the second minus that of the first.
        """
        shares = self._combined(X)
        others = len(self.classes_) - 1
        score = (shares * (others + 1) - 1) / others
        return score[:, 1] - score[:, 0] if others == 1 else score

    def _learn(self, k: int, X: Any, y: NDArray[Any], mass: Floats) -> Any:
        member = fresh(self.estimator, self._stream("member", k))
        if takes_weight(self.estimator):
            return fit_member(member, X, y, mass)
        index = numpy_rng(self._stream("rows"), k).choice(len(y), size=len(y), p=mass)
        return fit_member(member, take_rows(X, index), y[index])

    def _of_member(self, member: Any, X: Any) -> Floats:
        return votes(member, X, self.classes_)

    def _weights(self, count: int) -> Floats | None:
        return np.asarray(self.member_weights_ / self.member_weights_.sum())

    def _rate(self) -> float:
        rate = self.learning_rate
        number = isinstance(rate, (int, float, np.number)) and not isinstance(rate, bool)
        if not number or not 0 < rate < math.inf:
            raise InputError("learning_rate must be a finite number above 0", f"learning_rate={rate!r}")
        return float(rate)

    def _estimators(self) -> list[Any]:
        return [self.estimator]

    def _classifies(self) -> bool:
        return True

    def _check_kinds(self) -> None:
        if not super()._classifies():
            got = type(self.estimator).__name__
            raise InputError("AdaBoost is made of classifiers", got, "use Boosting for values")
