"""Classic models on the same rows: a network that does not beat them should not be used."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.core.seeds import derive, numpy_rng
from glia.estimators.baseline_columns import BaselineColumns
from glia.estimators.word_baseline import NAMES, word_answers

MAX_ROWS = {"linear": 200_000, "neighbours": 20_000, "boosting": 200_000}
"""Most training rows per model: the baselines must not take longer than the network that they are to judge."""

_NEIGHBOUR_WORK = 4e10  # training rows × test rows × columns: about ten seconds on one core
_TREES = 1_000  # boosting grows one tree per class or target and round


@dataclass(frozen=True, eq=False)
class Baseline:
    """A classic model's answers for the test rows.

    Parameters
    ----------
    name : str
        ``"constant"``, ``"linear"`` or ``"logistic"``, ``"nearest neighbours"``, ``"gradient boosting"``; and
        ``"linear on words"`` or ``"logistic on words"`` where there are texts.
    prediction : ndarray
        Classes or values, shape (N,) or (N, T), of the target's own kind.
    probability : ndarray or None
        (N, C) in the order of the sorted classes; (N, L) for several labels; ``None`` for regression.
    seconds : float
        Time to fit and predict.
    note : str
        What a reader must know to judge it fairly, for instance that it saw fewer rows.
    """

    name: str
    prediction: NDArray[Any]
    probability: NDArray[np.float64] | None
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class _Model:
    """How to make one classic model, which rows it may use and what it cannot do."""

    name: str
    make: Callable[[], Any]
    rows: int
    weighted: bool = True


def fit_baselines(
    task: Task,
    X_train: pl.DataFrame | NDArray[Any],
    y_train: NDArray[Any],
    X_test: pl.DataFrame | NDArray[Any],
    *,
    roles: Mapping[str, str] | None = None,
    sample_weight: NDArray[Any] | None = None,
    random_state: int = 0,
) -> list[Baseline]:
    """Fit constant, linear or logistic, nearest-neighbour and boosted-tree models and predict the test rows.

    Where there are texts, a linear or logistic model of all their words comes last: the others see a hundred of them.

    Parameters
    ----------
    task : {"binary", "multiclass", "multilabel", "regression"}
        What is predicted.
    X_train, X_test : polars.DataFrame or ndarray (N, D)
        Rows as they are: text, dates and missing values are handled here, from the training rows only.
    y_train : ndarray
        (N,) classes or values; (N, L) of 0 and 1 for several labels; (N, T) for several targets.
    roles : mapping, optional
        Column → ``numeric``, ``categorical``, ``ordinal``, ``datetime`` or ``text``. Columns with another role are not
        used, nor are columns that are not named. Without it, the type of a column decides.
    sample_weight : ndarray (N,), optional
        Weights of the training rows. Nearest neighbours cannot use them; its note says so.
    random_state : int, default=0
        Seed for subsamples and trees.

    Returns
    -------
    list of Baseline
        In the order above; only the constant where there is no usable column or only one class. The model of words
        looks at texts alone.

    Raises
    ------
    InputError
        If the rows, targets and weights differ in length.
    """
    y = np.asarray(y_train)
    _check_lengths(len(X_train), y, sample_weight)
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    columns = BaselineColumns(roles)
    train = columns.fit_transform(X_train)
    test = columns.transform(X_test)
    models = _models(task, y, columns, len(test), derive(random_state, "baselines") % 2**31)
    settled = not columns.count or (task != "regression" and all(len(np.unique(one)) < 2 for one in _targets(y)))
    found = [_run(model, task, train, y, test, weight, random_state) for model in models[: 1 if settled else None]]
    if settled or roles is None or not isinstance(X_train, pl.DataFrame):
        return found
    texts = [name for name in X_train.columns if roles.get(name) == "text"]
    return [*found, *([_of_words(task, X_train, y, X_test, texts, weight, random_state)] if texts else [])]


def _of_words(
    task: Task, train: Any, y: NDArray[Any], test: Any, texts: list[str], weight: Any, random_state: int
) -> Baseline:
    parts = train.select(texts), test.select(texts)
    prediction, probability, seconds, notes = word_answers(task, parts[0], y, parts[1], weight, random_state)
    name = NAMES["regression" if task == "regression" else "classes"]
    return Baseline(name, prediction, probability, seconds, "; ".join(notes))


def _check_lengths(rows: int, y: NDArray[Any], weight: NDArray[Any] | None) -> None:
    if len(y) != rows or (weight is not None and len(weight) != rows):
        got = f"{rows} rows, {len(y)} targets" + ("" if weight is None else f", {len(weight)} weights")
        raise InputError("rows, targets and weights must be of one length", got)


def _targets(y: NDArray[Any]) -> list[NDArray[Any]]:
    return [y] if y.ndim == 1 else [y[:, i] for i in range(y.shape[1])]


def _models(task: Task, y: NDArray[Any], columns: BaselineColumns, test_rows: int, seed: int) -> list[_Model]:
    outputs = len(np.unique(y)) if task == "multiclass" else len(_targets(y))
    rounds = int(np.clip(_TREES // outputs, 10, 100))
    coded = columns.coded.tolist() or None
    near_rows = int(np.clip(_NEIGHBOUR_WORK / (max(test_rows, 1) * max(columns.width, 1)), 500, MAX_ROWS["neighbours"]))
    neighbours = min(15, len(y))
    if task == "regression":
        return [
            _Model("constant", DummyRegressor, len(y)),
            _Model("linear", lambda: _scaled(columns, Ridge(alpha=1.0)), MAX_ROWS["linear"]),
            _Model("nearest neighbours", lambda: _scaled(columns, KNeighborsRegressor(neighbours)), near_rows, False),
            _Model(
                "gradient boosting",
                lambda: HistGradientBoostingRegressor(
                    max_iter=rounds, categorical_features=coded, early_stopping=False, random_state=seed
                ),
                MAX_ROWS["boosting"],
            ),
        ]
    return [
        _Model("constant", lambda: DummyClassifier(strategy="prior"), len(y)),
        _Model("logistic", lambda: _scaled(columns, LogisticRegression(max_iter=300)), MAX_ROWS["linear"]),
        _Model("nearest neighbours", lambda: _scaled(columns, KNeighborsClassifier(neighbours)), near_rows, False),
        _Model(
            "gradient boosting",
            lambda: HistGradientBoostingClassifier(
                max_iter=rounds, categorical_features=coded, early_stopping=False, random_state=seed
            ),
            MAX_ROWS["boosting"],
        ),
    ]


def _scaled(columns: BaselineColumns, model: Any) -> Pipeline:
    """Put median imputation, scaling and one-hot encoding before a model that works with distances or weights."""
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=32, sparse_output=False)
    encode = ColumnTransformer(
        [("numbers", numbers, np.flatnonzero(~columns.coded)), ("codes", one_hot, np.flatnonzero(columns.coded))]
    )
    return Pipeline([("encode", encode), ("model", model)])


def _run(
    model: _Model,
    task: Task,
    train: NDArray[np.float64],
    y: NDArray[Any],
    test: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
    random_state: int,
) -> Baseline:
    started = time.perf_counter()
    notes = []
    if len(train) > model.rows:
        kept = np.sort(numpy_rng(random_state, "baseline rows", model.name).permutation(len(train))[: model.rows])
        train, y, weight = train[kept], y[kept], None if weight is None else weight[kept]
        notes.append(f"saw {model.rows:,} of the training rows")
    if weight is not None and not model.weighted:
        weight = None
        notes.append("rows weigh equally")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        prediction, probability = _answers(model, task, train, y, test, weight)
    if any(issubclass(one.category, ConvergenceWarning) for one in caught):
        notes.append("stopped before it had converged")
    for other in (one for one in caught if not issubclass(one.category, ConvergenceWarning)):
        warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    return Baseline(model.name, prediction, probability, time.perf_counter() - started, "; ".join(notes))


def _answers(
    model: _Model,
    task: Task,
    train: NDArray[np.float64],
    y: NDArray[Any],
    test: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
    """Fit one model per target and predict."""
    if task in ("binary", "multiclass"):
        classes, codes = np.unique(y, return_inverse=True)
        probability = _probability(model, train, codes, test, weight, len(classes))
        return classes[probability.argmax(axis=1)], probability
    if task == "multilabel":
        probability = np.column_stack(
            [_probability(model, train, label.astype(np.int64), test, weight, 2)[:, 1] for label in _targets(y)]
        )
        return (probability > 0.5).astype(y.dtype), probability
    values = np.column_stack([_fit(model, train, one, weight).predict(test) for one in _targets(y.astype(np.float64))])
    return values.reshape(len(test), *y.shape[1:]), None


def _probability(
    model: _Model,
    train: NDArray[np.float64],
    codes: NDArray[np.int64],
    test: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
    classes: int,
) -> NDArray[np.float64]:
    """Return (N, classes); a class that the model's own rows lack has probability 0."""
    probability = np.zeros((len(test), classes))
    present = np.unique(codes)
    if len(present) == 1:  # a subsample, or one label of many, may hold a single class: nothing is left to fit
        probability[:, present] = 1.0
    else:
        fitted = _fit(model, train, codes, weight)
        probability[:, fitted.classes_] = fitted.predict_proba(test)
    return probability


def _fit(model: _Model, train: NDArray[np.float64], y: NDArray[Any], weight: NDArray[np.float64] | None) -> Any:
    made = model.make()
    if weight is None:
        return made.fit(train, y)
    key = "model__sample_weight" if isinstance(made, Pipeline) else "sample_weight"
    return made.fit(train, y, **{key: weight})
