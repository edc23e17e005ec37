"""Balanced bagging: every member learns from all rare rows and an equal draw of the common ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from glia.core.errors import InputError
from glia.core.seeds import numpy_rng
from glia.ensemble.base import Ensemble
from glia.ensemble.members import fit_member, fresh, require_weight
from glia.ensemble.rows import share, take_rows, whole
from glia.objectives import shift_prior

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


class BalancedBagging(Ensemble):
    """Bagging of balanced samples: no rare row is left out, and together the members see all common ones.

    Liu, Wu and Zhou 2009, "Exploratory undersampling for class-imbalance learning", IEEE SMC-B 39 (its EasyEnsemble,
    with any classifier as member).

    Parameters
    ----------
    estimator : estimator
        Any classifier with scikit-learn's contract.
    n_estimators : int
        Members, ≥ 1.
    ratio : float
        In (0, 1]: the rarest class has this share of the rows of any other in a sample; 1 is an equal draw.
    random_state : int, None or RandomState
        Same seed, same bits.

    Attributes
    ----------
    members_ : list
        Fitted estimators.
    samples_ : list of ndarray of int
        Rows that each member was fitted to, numbered as they were handed in.
    factors_ : ndarray (C,)
        By how much each class was more common in a sample than among the rows.

    Notes
    -----
    Probabilities are those for the rows as they are: the members' are corrected for the shares of their samples
    (``shift_prior``). ``predict`` decides as the samples do, where every class counts the same.
    """

    def __init__(self, estimator: Any, n_estimators: int = 10, ratio: float = 1.0, random_state: Any = 0) -> None:
        self.estimator, self.n_estimators = estimator, n_estimators
        self.ratio, self.random_state = ratio, random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> BalancedBagging:
        """Fit the members.

        Parameters
        ----------
        X : frame, array, sparse matrix or Table (N, …)
            Rows as the estimator takes them.
        y : array-like (N,)
            Classes.
        sample_weight : array-like (N,), optional
            At least 0; handed on to the members.

        Raises
        ------
        InputError
            If rows, targets or settings cannot be used.
        """
        X, labels, weight = self._read(X, y, sample_weight)
        require_weight(self.estimator, weight)
        count, ratio = whole("n_estimators", self.n_estimators), share("ratio", self.ratio)
        codes = np.asarray(self.target_.encode(labels), dtype=np.intp)
        counts = np.bincount(codes, minlength=len(self.classes_))
        most = int(counts.min() / ratio)
        decks = [_Deck(np.flatnonzero(codes == c), self._stream("rows", c)) for c in range(len(counts))]
        drawn = np.minimum(counts, most)
        self.factors_ = (drawn / drawn.sum()) / (counts / counts.sum())
        self.members_, self.samples_ = [], []
        for k in range(count):
            index = np.sort(np.concatenate([deck.draw(most) for deck in decks]))
            part = None if weight is None else weight[index]
            member = fresh(self.estimator, self._stream("member", k))
            self.members_.append(fit_member(member, take_rows(X, index), labels[index], part))
            self.samples_.append(self._kept_rows[index])
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return labels, (N,): the most probable where every class is as common as in the members' samples."""
        probability = self._combined(X)
        return np.asarray(self.classes_[(probability * self.factors_).argmax(axis=1)])

    def _of_member(self, member: Any, X: Any) -> Floats:
        return shift_prior(super()._of_member(member, X), self.factors_, np.ones_like(self.factors_))

    def _estimators(self) -> list[Any]:
        return [self.estimator]

    def _check_kinds(self) -> None:
        super()._check_kinds()
        if not is_classifier(self.estimator):
            raise InputError("balancing needs a classifier", type(self.estimator).__name__, "use Bagging")


class _Deck:
    """Rows of one class, drawn without repetition until all have been."""

    def __init__(self, rows: Ints, seed: int) -> None:
        self.rows, self.rng = rows, numpy_rng(seed)
        self.left = rows[:0]

    def draw(self, most: int) -> Ints:
        """Return at most ``most`` rows, all different: all of them where there are no more."""
        if len(self.rows) <= most:
            return self.rows
        taken = self.left[:most]
        self.left = self.left[most:]
        if len(taken) < most:
            again = self.rng.permutation(np.setdiff1d(self.rows, taken))
            lacking = most - len(taken)
            taken, self.left = np.concatenate([taken, again[:lacking]]), again[lacking:]
        return taken
