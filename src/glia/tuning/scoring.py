"""How good a fitted estimator is on rows that it has not seen: one figure, the less the better."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring, log_loss, root_mean_squared_error

from glia.core.errors import InputError
from glia.tuning.answers import StepAnswers, answers_of

_LEAST = 1e-7


def metric_name(estimator: Any, scoring: Any) -> str:
    """Return what ``score`` measures."""
    if scoring is not None:
        return f"minus {scoring}" if isinstance(scoring, str) else "minus the score"
    if isinstance(answers_of(estimator), StepAnswers):
        return "log loss of labelled steps"
    if is_classifier(estimator):
        return "log loss" if hasattr(estimator, "predict_proba") else "error rate"
    return "root mean squared error"


def score(estimator: Any, X: Any, y: Any, sample_weight: Any = None, scoring: Any = None) -> float:
    """Return log loss or root mean squared error; with ``scoring``, minus that score of scikit-learn's.

    Parameters
    ----------
    estimator : Any
        Fitted. Classifiers without ``predict_proba`` are scored by their error rate.
    X, y, sample_weight
        Rows, targets and weights.
    scoring : str or callable, optional
        A name of ``sklearn.metrics.get_scorer_names()``, or ``(estimator, X, y) → float``, the more the better. Of
        labels of steps, a name is a score of all labelled steps.

    Raises
    ------
    InputError
        If scikit-learn knows no such score.
    """
    weight = None if sample_weight is None else np.asarray(sample_weight)
    if not callable(scoring):
        estimator, X, y, weight = answers_of(estimator).scored(estimator, X, y, weight)
    if scoring is not None:
        return -float(make_scorer(estimator, scoring)(estimator, X, y))
    if not is_classifier(estimator):
        return float(root_mean_squared_error(y, estimator.predict(X), sample_weight=weight))
    if not hasattr(estimator, "predict_proba"):
        return float(1.0 - estimator.score(X, y))
    found = np.asarray(estimator.predict_proba(X), dtype=np.float64)
    truth = np.asarray(y)
    if truth.ndim == 2 and truth.shape == found.shape:  # several labels
        p = np.clip(found, _LEAST, 1 - _LEAST)
        rows = -(truth * np.log(p) + (1 - truth) * np.log1p(-p)).mean(axis=1)
        return float(np.average(rows, weights=weight))
    return float(log_loss(truth, found, sample_weight=weight, labels=estimator.classes_))


def make_scorer(estimator: Any, scoring: Any) -> Any:
    """Return scikit-learn's scorer.

    Raises
    ------
    InputError
        If it knows no such score.
    """
    try:
        return check_scoring(estimator, scoring)
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError("scoring must be a score of scikit-learn's", f"scoring={scoring!r}: {reason}") from error


def check_score(estimator: Any, y: Any, scoring: Any) -> None:
    """Refuse a score that an estimator's answers cannot have, before anything is fitted.

    Raises
    ------
    InputError
        If scikit-learn knows no such score, or it fails with labels of steps of which all are right.
    """
    make_scorer(estimator, scoring)
    best = None if callable(scoring) else answers_of(estimator).best(y)
    if best is None:
        return
    try:
        make_scorer(best[0], scoring)(*best[:3])
    except (ValueError, TypeError) as error:
        got = f"scoring={scoring!r}: {str(error).splitlines()[0][:120]}"
        do = "choose one of classes, or hand in a function (estimator, X, y) → float"
        raise InputError("the score must be one that labels of steps have", got, do) from error
