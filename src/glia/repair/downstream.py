"""What a remedy is worth for the prediction that the table is for: classic models behind each, cross-validated."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from glia.core.protocols import Task
from glia.core.results import Interval
from glia.data.impute.base import Array, Block
from glia.repair.compare import interval
from glia.repair.remedies import Remedy, draws

FOLDS, TREES = 5, 60
METRICS = {
    "binary": "1 − ROC AUC",
    "multiclass": "log loss / that of the class shares",
    "regression": "RMSE / standard deviation",
}


@dataclass(frozen=True)
class DownstreamError:
    """Error of a classic model behind a remedy, on rows that neither has seen; less is better.

    Parameters
    ----------
    remedy : str
        Its name.
    model : {"linear", "boosted trees"}
        What predicts.
    indicators : bool
        Whether the model is told which values were missing.
    error : Interval
        Mean over the folds.
    folds : tuple of float
        Error of each fold.
    """

    remedy: str
    model: str
    indicators: bool
    error: Interval
    folds: tuple[float, ...]


def compare_downstream(
    x: Array,
    y: NDArray[Any],
    blocks: tuple[Block, ...],
    remedies: Sequence[Remedy],
    task: Task,
    *,
    position: NDArray[np.float64] | None = None,
    random_state: int = 0,
    tell: Callable[[str], None] = lambda what: None,
) -> tuple[DownstreamError, ...]:
    """Cross-validate a linear model and boosted trees behind each remedy, learned on the training folds alone.

    Parameters
    ----------
    x : ndarray of shape (N, D)
        Encoded rows, NaN where missing.
    y : ndarray of shape (N,)
        Classes (numbers or words) or values.
    blocks : tuple of Block
        What the columns are.
    remedies : sequence of Remedy
        ``delete`` leaves incomplete training rows out and fills the test rows with the median; ``native`` gives boosted
        trees, which take gaps as they are, the rows unchanged.
    task : {"binary", "multiclass", "regression"}
        What is predicted.
    position : ndarray of shape (N,), optional
        For remedies that interpolate.
    random_state : int
        Of folds and models.
    tell : callable
        Told what is done next, once per remedy.
    """
    if task != "regression":
        y = np.unique(y, return_inverse=True)[1]
    errors: dict[tuple[str, str, bool], list[float]] = {}
    for remedy in remedies:
        tell(f"{remedy.title}, predicting the target")
        for train, test in _folds(y, task, random_state):
            for key, error in _fold(remedy, x, y, blocks, task, (train, test), position, random_state):
                errors.setdefault((remedy.name, *key), []).append(error)
    return tuple(
        DownstreamError(*key, interval(folds, low=0.0), tuple(folds))
        for key, folds in errors.items()
        if len(folds) == FOLDS
    )


def _folds(y: NDArray[Any], task: str, seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    kind = KFold if task == "regression" else StratifiedKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds is no reason to stop
        return list(kind(FOLDS, shuffle=True, random_state=seed).split(np.zeros((len(y), 1)), y))


def _fold(
    remedy: Remedy,
    x: Array,
    y: NDArray[Any],
    blocks: tuple[Block, ...],
    task: str,
    rows: tuple[NDArray[np.intp], NDArray[np.intp]],
    position: NDArray[np.float64] | None,
    seed: int,
) -> Iterator[tuple[tuple[str, bool], float]]:
    """Yield (model, indicators) and the error of one fold."""
    train, test = rows
    if remedy.name == "delete":
        train = train[~np.isnan(x[train]).any(axis=1)]
        if len(train) < 10 or (task != "regression" and len(np.unique(y[train])) < len(np.unique(y))):
            return
        remedy = Remedy("delete", "", "median")
    x_train, x_test, y_train, y_test = x[train], x[test], y[train], y[test]
    if not remedy.fills:
        yield ("boosted trees", False), _error(_predict(_trees(task, seed), x_train, y_train, x_test), y_test, task)
        return
    if remedy.ordered:  # a series is filled as a whole, without its target: gaps lie between rows of both parts
        whole = draws(remedy, x, None, blocks, position=position, random_state=seed)
        sets = [(own[train], own[test]) for own, _ in whole]
    else:
        sets = draws(remedy, x_train, x_test, blocks, random_state=seed)
    flagged = np.unique([b.start for b in blocks if np.isnan(x_train[:, b.start]).any()]).astype(np.intp)
    for model, indicators in (("linear", False), ("linear", True), ("boosted trees", False)):
        if indicators and not len(flagged):
            continue
        scores = []
        for own, further in sets:
            make = _linear(task) if model == "linear" else _trees(task, seed)
            if indicators:
                own = np.concatenate([own, np.isnan(x_train[:, flagged])], axis=1)
                further = np.concatenate([further, np.isnan(x_test[:, flagged])], axis=1)
            scores.append(_predict(make, own, y_train, further))
        yield (model, indicators), _error(np.mean(scores, axis=0), y_test, task)


def _linear(task: str) -> Any:
    return make_pipeline(StandardScaler(), Ridge() if task == "regression" else LogisticRegression(max_iter=300))


def _trees(task: str, seed: int) -> Any:
    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    return kind(max_iter=TREES, early_stopping=False, random_state=seed % 2**31)


def _predict(model: Any, x: Array, y: NDArray[Any], rows: Array) -> NDArray[np.float64]:
    """Return values (N,) or probabilities (N, C)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # all remedies are judged by the same rough fit
        model.fit(x, y)
    found = model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)
    return np.asarray(found, dtype=np.float64)


def _error(found: NDArray[np.float64], y: NDArray[Any], task: str) -> float:
    if task == "regression":
        return float(np.sqrt(((found - y) ** 2).mean()) / (y.std() or 1.0))
    if task == "binary":
        return 1.0 - float(roc_auc_score(y, found[:, 1]))
    labels = np.arange(found.shape[1])
    shares = np.tile(np.bincount(y, minlength=len(labels)) / len(y), (len(y), 1))
    return float(log_loss(y, found, labels=labels) / log_loss(y, shares, labels=labels))
