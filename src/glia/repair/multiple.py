"""Multiple imputation around any estimator: m completed sets, m fits, one pooled answer and its uncertainty."""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from glia.core.errors import InputError
from glia.core.seeds import derive
from glia.data.frames import to_frame
from glia.data.impute.base import Array
from glia.data.impute.stochastic import Stochastic
from glia.data.missing.encoding import TableEncoding
from glia.data.missing.pooling import Pooled, pool


def _has(name: str) -> Any:
    """Return a check that the wrapped estimator has a method."""

    def check(self: MultipleImputation) -> bool:
        return hasattr(self.estimators_[0] if hasattr(self, "estimators_") else self.estimator, name)

    return check


class MultipleImputation(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Fit an estimator on m plausible completions of the rows, and pool what the m fits say.

    Parameters
    ----------
    estimator : estimator
        Any with scikit-learn's contract; cloned for each completed set. It never sees a missing value.
    m : int
        Completed sets, at least 2.
    rounds : int
        Rounds of the chained regressions behind each, see ``glia.data.impute.Stochastic``.
    predictors : int
        Most columns that one is regressed on.
    random_state : int, None or RandomState
        Seed of the draws; the estimators have their own.

    Attributes
    ----------
    estimators_ : list
        m fitted estimators.
    imputers_ : list
        What completed their rows, and completes the rows to be predicted.
    classes_ : ndarray
        Of a classifier.

    Notes
    -----
    The target is not used to fill in inputs: rows to be predicted have none, and both kinds of rows must be completed
    alike. Columns of tables that are neither numbers nor categories nor dates are handed on as they are.
    """

    def __init__(
        self, estimator: Any, m: int = 5, rounds: int = 5, predictors: int = 60, random_state: Any = 0
    ) -> None:
        self.estimator, self.m, self.rounds = estimator, m, rounds
        self.predictors, self.random_state = predictors, random_state

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Complete the rows m times and fit an estimator to each.

        Parameters
        ----------
        X : frame or array (N, D)
            Rows with gaps: null or NaN.
        y : array-like
            Targets, as the estimator takes them.
        **fit_params
            Handed on to the estimators' ``fit``.

        Raises
        ------
        InputError
            If ``m`` is below 2.
        """
        if isinstance(self.m, bool) or not isinstance(self.m, (int, np.integer)) or self.m < 2:
            raise InputError("multiple imputation needs at least two completed sets", f"m={self.m!r}")
        rows = self._read(X, reset=True)
        state = self.random_state
        seed = int(state) if isinstance(state, (int, np.integer)) else int(check_random_state(state).randint(2**31))
        self.encoding_ = TableEncoding.fit(rows) if isinstance(rows, pl.DataFrame) else None
        x = self._matrix(rows)
        self.imputers_, self.estimators_ = [], []
        for number in range(self.m):
            imputer = Stochastic(
                rounds=self.rounds, predictors=self.predictors, seed=derive(seed, "set", number) % 2**31
            )
            completed = imputer.fit_transform(x, None if self.encoding_ is None else self.encoding_.blocks)
            self.imputers_.append(imputer)
            self.estimators_.append(clone(self.estimator).fit(self._like(X, rows, completed), y, **fit_params))
        if is_classifier(self):
            self.classes_ = self.estimators_[0].classes_
        return self

    def completed_sets(self, X: Any) -> list[Any]:
        """Return m completions of rows, in the form that they came in."""
        check_is_fitted(self)
        rows = self._read(X, reset=False)
        x = self._matrix(rows)
        return [self._like(X, rows, imputer.transform(x)) for imputer in self.imputers_]

    def predict(self, X: Any) -> NDArray[Any]:
        """Return pooled predictions: the mean of the fits, or the class with the largest mean probability."""
        sets = self.completed_sets(X)
        if not is_classifier(self):
            return np.asarray(
                np.mean([e.predict(rows) for e, rows in zip(self.estimators_, sets, strict=True)], axis=0)
            )
        if hasattr(self.estimators_[0], "predict_proba"):
            found = np.mean([e.predict_proba(rows) for e, rows in zip(self.estimators_, sets, strict=True)], axis=0)
        else:
            votes = [e.predict(rows) for e, rows in zip(self.estimators_, sets, strict=True)]
            found = np.stack([np.mean([vote == label for vote in votes], axis=0) for label in self.classes_], axis=1)
        return np.asarray(self.classes_[found.argmax(axis=1)])

    @available_if(_has("predict_proba"))  # type: ignore[untyped-decorator]  # scikit-learn has no types
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the mean of the fits' probabilities, (N, C)."""
        return np.asarray(self.predict_members(X).mean(axis=0))

    def predict_members(self, X: Any) -> NDArray[np.float64]:
        """Return each fit's predictions for its own completion of the rows: (m, N, …), of classes probabilities."""
        sets = self.completed_sets(X)
        method = "predict_proba" if hasattr(self.estimators_[0], "predict_proba") else "predict"
        return np.stack([getattr(e, method)(rows) for e, rows in zip(self.estimators_, sets, strict=True)])

    def pooled(self, X: Any) -> Pooled:
        """Return predictions pooled by Rubin's rules: T = W + (1 + 1/m)·B for each row.

        W is the mean of the estimators' own variances: of ``predict_spread`` where they have it (Glia's networks with
        ``members`` > 1), of ``predict(return_std=True)`` (scikit-learn's Gaussian processes and Bayesian regressions),
        else 0, since an estimator that states no uncertainty adds none.
        """
        sets = self.completed_sets(X)
        method = "predict_proba" if hasattr(self.estimators_[0], "predict_proba") else "predict"
        pairs = list(zip(self.estimators_, sets, strict=True))
        values = np.stack([np.asarray(getattr(e, method)(rows), dtype=np.float64) for e, rows in pairs])
        own = np.stack([np.broadcast_to(_own_variance(e, rows), values.shape[1:]) for e, rows in pairs])
        return pool(values, own)

    def predict_spread(self, X: Any) -> NDArray[np.float64]:
        """Return the standard deviation √T of what ``predict`` (or ``predict_proba``) returns."""
        return self.pooled(X).error

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return accuracy for classes, R² for values."""
        weight = None if sample_weight is None else np.asarray(sample_weight)
        found, true = self.predict(X), np.asarray(y)
        if is_classifier(self):
            return float(np.average(found == true, weights=weight))
        rest = np.average((true - found) ** 2, axis=0, weights=weight)
        whole = np.average((true - np.average(true, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
        return float(np.mean(1.0 - rest / whole))

    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type, tags.target_tags = inner.estimator_type, inner.target_tags
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.input_tags.allow_nan, tags.input_tags.sparse = True, False
        tags.non_deterministic = inner.non_deterministic
        return tags

    def _read(self, X: Any, *, reset: bool) -> pl.DataFrame | Array:
        if hasattr(X, "columns") or hasattr(X, "schema"):
            validate_data(self, X, skip_check_array=True, reset=reset)
            return to_frame(X)
        found = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
        return np.asarray(found, dtype=np.float64)

    def _matrix(self, rows: pl.DataFrame | Array) -> Array:
        if isinstance(rows, pl.DataFrame):
            if self.encoding_ is None:
                raise InputError("a model fitted on an array takes arrays", "a table with named columns")
            return self.encoding_.encode(rows)
        return rows

    def _like(self, X: Any, rows: pl.DataFrame | Array, completed: Array) -> Any:
        """Return completed rows as the kind of table that ``X`` is."""
        if self.encoding_ is None or not isinstance(rows, pl.DataFrame):
            return completed
        frame = self.encoding_.fill(rows, completed)
        if isinstance(X, pl.DataFrame):
            return frame
        if hasattr(X, "iloc"):  # pandas: the caller's own index stays
            return type(X)({name: frame[name].to_list() for name in frame.columns}, index=X.index)
        return frame


def _own_variance(estimator: Any, rows: Any) -> Any:
    """Return the variances that an estimator states for its predictions; 0 where it states none."""
    if hasattr(estimator, "predict_spread"):
        return np.asarray(estimator.predict_spread(rows), dtype=np.float64) ** 2
    if "return_std" in inspect.signature(estimator.predict).parameters:
        return np.asarray(estimator.predict(rows, return_std=True)[1], dtype=np.float64) ** 2
    return np.zeros(())
