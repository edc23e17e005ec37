"""Architectural ensemble: different families of models, weighted by what each adds on held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError, near
from glia.ensemble.greedy import greedy_weights
from glia.ensemble.members import fit_member, require_weight
from glia.ensemble.named import NamedEnsemble
from glia.ensemble.rows import read_rows, share, take_rows, whole
from glia.estimators.holdout import hold_out
from glia.estimators.targets import as_array

Floats = NDArray[np.float64]
TINY = 1e-15
"""Least probability of a true class in a log-loss."""


def log_loss(truth: NDArray[Any], probability: Floats) -> Floats:
    """Return −log of the true class's probability, (N,)."""
    return np.asarray(-np.log(np.clip(probability[np.arange(len(truth)), truth], TINY, None)))


def brier(truth: NDArray[Any], probability: Floats) -> Floats:
    """Return the squared error of the probabilities, summed over the classes, (N,)."""
    return np.asarray(((probability - np.eye(probability.shape[1])[truth]) ** 2).sum(axis=1))


def wrong(truth: NDArray[Any], probability: Floats) -> Floats:
    """Return 1 where the most probable class is not the true one, (N,)."""
    return np.asarray(probability.argmax(axis=1) != truth, dtype=np.float64)


def squared(truth: Floats, value: Floats) -> Floats:
    """Return the squared error over the target's variance, averaged over the targets, (N,)."""
    error = ((value - truth) ** 2).reshape(len(truth), -1)
    scale = truth.reshape(len(truth), -1).var(axis=0)
    return np.asarray((error / np.where(scale > 0, scale, 1)).mean(axis=1))


def absolute(truth: Floats, value: Floats) -> Floats:
    """Return the absolute error over the target's standard deviation, averaged over the targets, (N,)."""
    error = np.abs(value - truth).reshape(len(truth), -1)
    scale = truth.reshape(len(truth), -1).std(axis=0)
    return np.asarray((error / np.where(scale > 0, scale, 1)).mean(axis=1))


RowErrors = Callable[[NDArray[Any], Floats], Floats]
METRICS: dict[bool, dict[str, RowErrors]] = {
    True: {"log_loss": log_loss, "brier": brier, "error": wrong},
    False: {"squared": squared, "absolute": absolute},
}


class Architectural(NamedEnsemble):
    """A weighted mean of different models; the weights are picked greedily on held-out rows (Caruana et al. 2004).

    Parameters
    ----------
    estimators : list of (str, estimator)
        All classifiers or all regressors, the more different the better: networks, trees, linear models.
    metric : "auto", str or callable
        What the weights lower: "log_loss" (auto), "brier" or "error" for classes; "squared" (auto) or "absolute" for
        values; or ``(truth, prediction) → errors of the rows``, where truth is class numbers or values.
    rounds : int
        Picks, with replacement, ≥ 1: weights are multiples of 1 over their number, or of fewer where that is better.
    start : int
        The best so many models are picked first, ≥ 1: more guards against overfitting few held-out rows.
    validation_fraction : float
        Share of the rows held out for the weights, in (0, 1).
    refit : bool
        Whether models of a weight above 0 are fitted again on all rows once the weights are known.
    random_state : int, None or RandomState
        Of the held-out rows, and of estimators that set none.

    Attributes
    ----------
    members_ : list
        Fitted estimators in their order, those of weight 0 too.
    names_ : list of str
        Their names.
    weights_ : ndarray (K,)
        Of sum 1.
    picked_, picked_errors_ : tuple
        Names in the order in which they were picked, and the error after each.
    own_errors_ : dict of str to float
        Each one's own error on the held-out rows.
    validation_predictions_ : dict of str to ndarray
        What each predicts for the held-out rows: probabilities or values.
    validation_rows_ : ndarray of int
        Which rows those are; empty where they were handed in.
    """

    def __init__(
        self,
        estimators: Any,
        metric: Any = "auto",
        rounds: int = 50,
        start: int = 1,
        validation_fraction: float = 0.2,
        refit: bool = False,
        random_state: Any = 0,
    ) -> None:
        self.estimators, self.metric, self.rounds, self.start = estimators, metric, rounds, start
        self.validation_fraction, self.refit, self.random_state = validation_fraction, refit, random_state

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, validation: tuple[Any, Any] | None = None
    ) -> Architectural:
        """Fit every model, then find the weights.

        Parameters
        ----------
        X : frame, array, sparse matrix or Table (N, …)
            Rows as the estimators take them.
        y : array-like (N,) or (N, T)
            Targets.
        sample_weight : array-like (N,), optional
            At least 0.
        validation : (X, y), optional
            Rows for the weights, instead of a share of ``X``; the whole of groups, say.

        Raises
        ------
        InputError
            If rows, targets or settings cannot be used.
        """
        rounds, start = whole("rounds", self.rounds), whole("start", self.start)
        X, y, weight = self._read(X, y, sample_weight)
        made, judge = self._fresh(), self._metric()
        for one in made:
            require_weight(one, weight)
        if validation is None:
            train, held = self._divide(y)
            known, truth, mass = take_rows(X, held), y[held], None if weight is None else weight[held]
            fitting = take_rows(X, train), y[train], None if weight is None else weight[train]
            self.validation_rows_ = self._kept_rows[held]
        else:
            known, truth, mass = read_rows(self, validation[0], reset=False), as_array(validation[1]), None
            fitting, self.validation_rows_ = (X, y, weight), np.empty(0, dtype=np.intp)
        self.members_ = [fit_member(one, *fitting) for one in made]
        found = np.stack([self._of_member(one, known) for one in self.members_])
        wanted = self._truth(truth, found[0])

        def error(prediction: Floats) -> float:
            return float(np.average(judge(wanted, prediction), weights=mass))

        chosen = greedy_weights(found, error, rounds=rounds, start=start)
        self.weights_, self.picked_errors_ = chosen.weights, chosen.errors
        self.picked_ = tuple(self.names_[k] for k in chosen.picked)
        self.validation_predictions_ = dict(zip(self.names_, found, strict=True))
        self.own_errors_ = {name: error(one) for name, one in self.validation_predictions_.items()}
        if self.refit and validation is None:
            used = zip(self._fresh(), self.members_, self.weights_, strict=True)
            self.members_ = [fit_member(new, X, y, weight) if share > 0 else old for new, old, share in used]
        return self

    def _combine(self, members: Floats, X: Any) -> Floats:
        return np.asarray(np.tensordot(self.weights_, members, axes=1))

    def _weights(self, count: int) -> Floats | None:
        return self.weights_

    def _divide(self, y: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        fraction = share("validation_fraction", self.validation_fraction, one=False)
        strata = np.unique(y, return_inverse=True)[1] if self._classifies() else None
        train, held = hold_out(len(y), strata, fraction, self._stream("validation") % 2**32)
        if not len(held):
            raise InputError(
                "weights need held-out rows", "classes of one row each", "hand in more rows, or validation"
            )
        return train, held

    def _metric(self) -> RowErrors:
        known = METRICS[self._classifies()]
        if callable(self.metric):
            chosen: RowErrors = self.metric
            return chosen
        name = next(iter(known)) if self.metric == "auto" else self.metric
        if not isinstance(name, str) or name not in known:
            raise InputError(
                "the metric must be a known name or a callable", f"metric={name!r}", near(str(name), known)
            )
        return known[name]
