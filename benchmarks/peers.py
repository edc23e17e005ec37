"""Other models with their default settings, on the same rows, behind one call."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import polars as pl
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from glia.estimators.baseline_columns import BaselineColumns
from peers_networks import RealMLP, RealMLPLogLoss, TabM, coded_frame

Answer = np.ndarray
"""Probabilities (N, C) in the order of the sorted classes, or values (N,)."""

Answerer = Callable[[pl.DataFrame], Answer]

REVISION = 2
"""Raised when a peer is handed its data in another way, so that cells measured before are not used."""


def _scaled(coded: np.ndarray, model: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=32, sparse_output=False)
    encode = ColumnTransformer([("n", numbers, np.flatnonzero(~coded)), ("c", one_hot, np.flatnonzero(coded))])
    return make_pipeline(encode, model)


def _centred(model: Any) -> Any:
    """Scale the target as well: sklearn's network is not made for targets in the thousands."""
    return TransformedTargetRegressor(model, transformer=StandardScaler())


def _linear(classes: bool, coded: np.ndarray, seed: int, threads: int) -> Any:
    return _scaled(coded, LogisticRegression(max_iter=500) if classes else Ridge())


def _neighbours(classes: bool, coded: np.ndarray, seed: int, threads: int) -> Any:
    return _scaled(coded, KNeighborsClassifier(15) if classes else KNeighborsRegressor(15))


def _network(classes: bool, coded: np.ndarray, seed: int, threads: int) -> Any:
    options = {"early_stopping": True, "max_iter": 200, "random_state": seed}
    return _scaled(coded, MLPClassifier(**options)) if classes else _centred(_scaled(coded, MLPRegressor(**options)))


def _forest(classes: bool, coded: np.ndarray, seed: int, threads: int) -> Any:
    return (RandomForestClassifier if classes else RandomForestRegressor)(random_state=seed, n_jobs=threads)


def _boosting(classes: bool, coded: np.ndarray, seed: int, threads: int) -> Any:
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    return kind(categorical_features=np.flatnonzero(coded).tolist() or None, random_state=seed)


class _LightGBM:
    """LightGBM is told of categories when it is fitted."""

    def __init__(self, classes: bool, coded: np.ndarray, seed: int, threads: int) -> None:
        import lightgbm

        self.where = np.flatnonzero(coded).tolist()
        kind = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
        self.model = kind(random_state=seed, verbose=-1, n_jobs=threads)

    def fit(self, X: np.ndarray, y: np.ndarray) -> None:
        self.model.fit(X, y, categorical_feature=self.where)

    def predict(self, X: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it names columns of arrays itself, and then misses the names
            return self.model.predict(X)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.model.predict_proba(X)


def _xgboost(classes: bool, coded: np.ndarray, seed: int, threads: int) -> Any:
    import xgboost

    kind = xgboost.XGBClassifier if classes else xgboost.XGBRegressor
    types = ["c" if one else "q" for one in coded]
    return kind(random_state=seed, enable_categorical=True, feature_types=types, n_jobs=threads)


class _CatBoost:
    """CatBoost takes categories as text in a frame: this turns the codes into it."""

    def __init__(self, classes: bool, coded: np.ndarray, seed: int, threads: int) -> None:
        import catboost

        self.where = np.flatnonzero(coded)
        kind = catboost.CatBoostClassifier if classes else catboost.CatBoostRegressor
        options = {"random_seed": seed, "verbose": False, "allow_writing_files": False, "thread_count": threads}
        self.model = kind(cat_features=self.where.tolist(), **options)

    def _frame(self, X: np.ndarray) -> Any:
        return coded_frame(X, self.where)

    def fit(self, X: np.ndarray, y: np.ndarray) -> None:
        self.model.fit(self._frame(X), y)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.model.predict(self._frame(X))

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(self._frame(X))


_Maker = Callable[[bool, np.ndarray, int, int], Any]
_MAKERS: dict[str, tuple[str, _Maker]] = {  # the cheapest first: they are measured in this order
    "linear": ("scikit-learn", _linear),
    "neighbours": ("scikit-learn", _neighbours),
    "xgboost": ("xgboost", _xgboost),
    "lightgbm": ("lightgbm", _LightGBM),
    "sklearn network": ("scikit-learn", _network),
    "random forest": ("scikit-learn", _forest),
    "hist boosting": ("scikit-learn", _boosting),
    "catboost": ("catboost", _CatBoost),
    "realmlp": ("pytabkit", RealMLP),
    "realmlp, log-loss": ("pytabkit", RealMLPLogLoss),
    "tabm": ("pytabkit", TabM),
}
ASIDE = ("neighbours", "random forest", "realmlp, log-loss")
"""Measured only if they are asked for by name."""


def names(aside: bool = True) -> list[str]:
    """Return the peers whose package is installed, the cheapest first; without those that have to be asked for."""
    here = [name for name, (package, _) in _MAKERS.items() if package == "scikit-learn" or find_spec(package)]
    return [name for name in here if aside or name not in ASIDE]


def package_version(name: str) -> str:
    """Return ``package version`` of a peer."""
    package = _MAKERS[name][0]
    return f"{package} {version(package)}"


def fit(name: str, task: str, X: pl.DataFrame, y: np.ndarray, seed: int, threads: int) -> Answerer:
    """Fit a peer with its defaults; the result answers rows."""
    columns = BaselineColumns()
    train = columns.fit_transform(X)
    classes = task != "regression"
    model = _MAKERS[name][1](classes, columns.coded, seed, threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its defaults, as they are
        model.fit(train, np.unique(y, return_inverse=True)[1] if classes else y.astype(np.float64))

    def answer(rows: pl.DataFrame) -> Answer:
        matrix = columns.transform(rows)
        if not classes:
            return np.asarray(model.predict(matrix), dtype=np.float64).reshape(-1)
        probability = np.asarray(model.predict_proba(matrix), dtype=np.float64)
        return probability / probability.sum(axis=1, keepdims=True)  # float32 sums to one only nearly

    return answer
