"""An estimator that looks for its own settings, with scikit-learn's contract."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from glia.tuning.configured import configured
from glia.tuning.result import TuneResult
from glia.tuning.scoring import score
from glia.tuning.tune import tune


def _has(name: str) -> Callable[[Any], bool]:
    """Return the check whether the estimator inside, fitted if there is one, has a method."""

    def check(tuned: Any) -> bool:
        getattr(getattr(tuned, "best_estimator_", tuned.estimator), name)
        return True

    return check


def _can_score(tuned: Any) -> bool:
    return tuned.scoring is not None or _has("score")(tuned)


class TunedEstimator(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Searches for good settings, then fits the estimator with the best ones to all rows.

    Parameters
    ----------
    estimator : estimator
        What is tuned.
    space, trials, time_budget, study, folds, validation_fraction, sampler, halving, scoring
        As in ``glia.tune``.
    refit : bool
        Whether to fit with the best settings in the end.
    random_state : int, None or RandomState
        Seed of the search; the estimator has its own.

    Attributes
    ----------
    result_ : TuneResult
        All of the search.
    best_params_ : dict
        The best settings.
    best_score_ : float
        Minus their score in the search: as in scikit-learn, the more the better.
    best_index_ : int
        Their row in ``cv_results_``.
    best_estimator_ : estimator
        Fitted to all rows.
    cv_results_ : dict
        Columns as those of ``GridSearchCV``: ``params``, ``param_<name>``, ``mean_test_score``, ``rank_test_score``,
        ``mean_fit_time``; and ``epochs``, ``state``.
    refit_time_ : float
        Seconds of the last fit.
    """

    def __init__(
        self,
        estimator: Any,
        space: Any = None,
        trials: int = 50,
        time_budget: float | str | None = None,
        study: Any = None,
        folds: Any = None,
        validation_fraction: float = 0.2,
        sampler: str = "tpe",
        halving: Any = "auto",
        scoring: Any = None,
        refit: bool = True,
        random_state: Any = 0,
    ) -> None:
        self.estimator, self.space, self.trials, self.time_budget = estimator, space, trials, time_budget
        self.study, self.folds, self.validation_fraction = study, folds, validation_fraction
        self.sampler, self.halving, self.scoring = sampler, halving, scoring
        self.refit, self.random_state = refit, random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> TunedEstimator:
        """Search, then fit to all rows.

        Raises
        ------
        InputError
            If rows, targets, settings or the space cannot be used.
        """
        self.result_: TuneResult = tune(
            self.estimator,
            X,
            y,
            space=self.space,
            trials=self.trials,
            time_budget=self.time_budget,
            study=self.study,
            folds=self.folds,
            validation_fraction=self.validation_fraction,
            sampler=self.sampler,
            halving=self.halving,
            scoring=self.scoring,
            sample_weight=sample_weight,
            random_state=self.random_state,
        )
        self.best_params_ = self.result_.best_settings
        self.cv_results_ = _table(self.result_)
        if self.result_.best is not None and self.result_.best_score is not None:
            self.best_index_, self.best_score_ = self.result_.best, -self.result_.best_score
        if self.refit:
            start = time.perf_counter()
            more = {} if sample_weight is None else {"sample_weight": sample_weight}
            self.best_estimator_ = configured(clone(self.estimator), self.best_params_).fit(X, y, **more)
            self.refit_time_ = time.perf_counter() - start
            for name in ("n_features_in_", "feature_names_in_"):
                if hasattr(self.best_estimator_, name):
                    setattr(self, name, getattr(self.best_estimator_, name))
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        """Sorted labels."""
        _has("classes_")(self)
        return self._best().classes_  # type: ignore[no-any-return]

    @available_if(_has("predict"))  # type: ignore[untyped-decorator]
    def predict(self, X: Any) -> Any:
        """Predict with the best estimator."""
        return self._best().predict(X)

    @available_if(_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """Return the best estimator's probabilities."""
        return self._best().predict_proba(X)

    @available_if(_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Any:
        """Return the best estimator's scores."""
        return self._best().decision_function(X)

    @available_if(_can_score)  # type: ignore[untyped-decorator]
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the best estimator's ``scoring``, the more the better; without one its own: accuracy or R²."""
        if self.scoring is not None:
            return -score(self._best(), X, y, scoring=self.scoring)
        more = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(self._best().score(X, y, **more))

    def _best(self) -> Any:
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "best_estimator_") or (not self.refit and hasattr(self, "result_"))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        for name in ("estimator_type", "classifier_tags", "regressor_tags", "target_tags", "input_tags"):
            setattr(tags, name, getattr(inner, name))
        tags.non_deterministic = inner.non_deterministic
        return tags


def _table(result: TuneResult) -> dict[str, Any]:
    """Return the trials as columns."""
    scores = np.array([np.nan if t.score is None else -t.score for t in result.trials])
    order = np.argsort(np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable"), kind="stable") + 1
    names = tuple(result.trials[0].settings) if result.trials else ()
    found: dict[str, Any] = {
        "params": [dict(t.settings) for t in result.trials],
        "mean_test_score": scores,
        "rank_test_score": order.astype(np.int32),
        "mean_fit_time": np.array([t.seconds for t in result.trials]),
        "epochs": np.array([t.epochs for t in result.trials]),
        "state": np.array([t.state for t in result.trials]),
    }
    for name in names:
        column = np.empty(len(result.trials), dtype=object)
        column[:] = [t.settings[name] for t in result.trials]
        found[f"param_{name}"] = column
    return found
