"""The strongest networks for tables, RealMLP-TD (arXiv 2407.04491) and TabM-D (arXiv 2410.24210) of pytabkit."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from sklearn.impute import SimpleImputer


def coded_frame(X: np.ndarray, where: np.ndarray) -> Any:
    """Return a pandas frame with the coded columns as text; missing is a category of its own, ``"nan"``."""
    import pandas as pd

    frame = pd.DataFrame(X)
    frame.columns = [str(name) for name in frame.columns]
    for i in where:
        frame[str(i)] = pd.Series([f"{code:g}" for code in X[:, i]], dtype=object)
    return frame


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Lightning's advice on devices and products, and the libraries' warnings to each other, off the screen."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


class _Pytabkit:
    """Hand pytabkit what it takes: it refuses missing numbers, so that its users have to fill them in.

    They become the median of the training rows, with a column that says where. Its split for validation, its stopping
    and everything else are its own.
    """

    kinds: ClassVar[tuple[str, str]]
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, classes: bool, coded: np.ndarray, seed: int, threads: int) -> None:
        import pytabkit

        self.coded = coded
        self.fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        kind = getattr(pytabkit, self.kinds[0 if classes else 1])
        options = self.options if classes else {}
        self.model = kind(device="cpu", random_state=seed, n_threads=threads, verbosity=0, **options)

    def _frame(self, X: np.ndarray, numbers: np.ndarray) -> Any:
        codes = X[:, self.coded]
        return coded_frame(np.hstack([codes, numbers]), np.arange(codes.shape[1]))

    def fit(self, X: np.ndarray, y: np.ndarray) -> None:
        numbers = X[:, ~self.coded]
        numbers = self.fill.fit_transform(numbers) if numbers.shape[1] else numbers
        with _silence():
            frame = self._frame(X, numbers)
            names = [str(i) for i in range(int(self.coded.sum()))]
            self.model.fit(frame, y, cat_col_names=names)

    def _given(self, X: np.ndarray) -> Any:
        numbers = X[:, ~self.coded]
        return self._frame(X, self.fill.transform(numbers) if numbers.shape[1] else numbers)

    def predict(self, X: np.ndarray) -> np.ndarray:
        with _silence():
            return np.asarray(self.model.predict(self._given(X)))

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        with _silence():
            return np.asarray(self.model.predict_proba(self._given(X)))


class RealMLP(_Pytabkit):
    """RealMLP-TD; its default smooths labels and picks the epoch by accuracy."""

    kinds: ClassVar[tuple[str, str]] = ("RealMLP_TD_Classifier", "RealMLP_TD_Regressor")


class RealMLPLogLoss(RealMLP):
    """RealMLP-TD as its documentation advises where log-loss or ROC area count; nothing else for regression."""

    options: ClassVar[dict[str, Any]] = {"val_metric_name": "cross_entropy", "use_ls": False}


class TabM(_Pytabkit):
    """TabM-D."""

    kinds: ClassVar[tuple[str, str]] = ("TabM_D_Classifier", "TabM_D_Regressor")
