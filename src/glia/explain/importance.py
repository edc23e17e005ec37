"""Permutation importance of a predictor's original columns, those that belong together shuffled together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.global_methods import picture
from glia.explain.original_rows import original_rows
from glia.explain.permutation import ImportanceResult, permutation_importance
from glia.explain.related_columns import groups_of, relation
from glia.nn.modes import evaluating

Score = Callable[[NDArray[Any], NDArray[Any]], float]


@picture("importance", "permutation_importance")
def importance(
    predictor: Predictor,
    X: Any,
    y: Any,
    *,
    groups: Mapping[str, Sequence[str]] | str | None = "correlated",
    threshold: float = 0.7,
    repeats: int = 5,
    rows: int = 5000,
    level: float = 0.95,
    random_state: int = 0,
    score: Score | None = None,
    metric: str = "score",
    greater_is_better: bool = True,
) -> ImportanceResult:
    """Shuffle original columns and measure how much worse the predictions become.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        N rows of a table, best some that the predictor was not trained on.
    y : array-like of shape (N,) or (N, T)
        Truth.
    groups : "correlated", mapping or None
        Columns that are shuffled together: "correlated" finds clusters by rank correlation; a mapping names them; with
        ``None`` every column is shuffled by itself.
    threshold : float
        Mean relation from which on columns are one cluster, in (0, 1].
    repeats : int
        Shuffles, at least 2.
    rows : int
        The first so many rows are used.
    level, random_state
        As in ``glia.explain.permutation_importance``, which takes any function for a model.
    score, metric, greater_is_better
        Another measure: ``(y, predictions) → float``, its name and direction; ``predictions`` are those of
        ``predict``. By default the area under the ROC curve of two classes, the accuracy of several, and the root mean
        square error of values.

    Returns
    -------
    ImportanceResult

    Raises
    ------
    InputError
        If rows are no table, lengths differ, or a setting is out of its range.
    """
    taken = original_rows(predictor, X)
    names = [str(name) for name in predictor.feature_names]
    frame = taken.frame.select(names) if names and set(names) <= set(taken.frame.columns) else taken.frame
    truth = _truth(y)
    if len(truth) != frame.height:
        raise InputError("there must be as many targets as rows", f"{frame.height} rows, {len(truth)} targets")
    frame, truth = frame[:rows], truth[:rows]
    if isinstance(groups, str):
        if groups != "correlated":
            raise InputError("groups must be 'correlated', a mapping or None", repr(groups))
        groups = correlated_columns(frame, threshold)
    binary = predictor.task_ == "binary" and score is None
    if binary:
        truth = (truth == np.asarray(getattr(predictor, "classes_", [0, 1]))[-1]).astype(np.int64)
    if score is None:
        score, metric, greater_is_better = _measure(predictor.task_)

    def predict(asked: pl.DataFrame) -> NDArray[Any]:
        if not binary:
            return np.asarray(predictor.predict(taken.given(asked)))
        return np.asarray(predictor.predict_proba(taken.given(asked)))[:, -1]  # type: ignore[attr-defined]

    with evaluating(predictor.network_):
        return permutation_importance(
            predict,
            frame,
            truth,
            score=score,
            metric=metric,
            greater_is_better=greater_is_better,
            repeats=repeats,
            random_state=random_state,
            groups=groups,
            level=level,
        )


def correlated_columns(frame: pl.DataFrame, threshold: float = 0.7) -> dict[str, list[str]]:
    """Return clusters of columns that say much the same, name → members.

    Parameters
    ----------
    frame : polars.DataFrame (N, C)
        Rows.
    threshold : float
        Mean relation within a cluster, in (0, 1]: the size of Spearman's correlation, and what is like it for
        categories.
    """
    columns = [frame.get_column(name).to_numpy().astype(object) for name in frame.columns]
    return groups_of(frame.columns, relation(columns), threshold)


def _truth(y: Any) -> NDArray[Any]:
    values = np.asarray(y)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _measure(task: str) -> tuple[Score, str, bool]:
    if task == "binary":
        return _area, "roc_auc", True
    if task == "regression":
        return lambda known, told: float(np.sqrt(np.mean((known - told) ** 2))), "rmse", False
    return lambda known, told: float(np.mean(known == told)), "accuracy", True


def _area(known: NDArray[Any], told: NDArray[Any]) -> float:
    if len(np.unique(known)) < 2:
        raise ValueError("only one class")
    return float(roc_auc_score(known, told))
