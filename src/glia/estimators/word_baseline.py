"""The classic model of texts: words and pairs of words by their weights, and a linear model on all of them."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

from glia.core.protocols import Task
from glia.core.seeds import numpy_rng

MOST_TERMS, MAX_ROWS, LONGEST = 20_000, 20_000, 20_000
"""Most terms, training rows, and characters of a text: the baseline must not take longer than the network."""
STRENGTHS = {"classes": (1.0, 10.0), "regression": (3.0, 1.0, 0.3)}
"""Inverse penalties of the logistic model, and penalties of the ridge, that are tried on a fifth of the rows."""
_LEAST_TO_TRY = 50
NAMES = {"classes": "logistic on words", "regression": "linear on words"}
NOTE = "TF-IDF of words and pairs of words"


def word_answers(
    task: Task,
    train: pl.DataFrame,
    y: NDArray[Any],
    test: pl.DataFrame,
    weight: NDArray[np.float64] | None,
    random_state: int,
) -> tuple[NDArray[Any], NDArray[np.float64] | None, float, list[str]]:
    """Fit on TF-IDF weights of words and pairs of words, and answer the test rows.

    Parameters
    ----------
    task : Task
        What is predicted.
    train, test : polars.DataFrame
        Columns of texts; missing ones are empty.
    y : ndarray (N,) or (N, T)
        Targets, as ``fit_baselines`` takes them.
    weight : ndarray (N,), optional
        Of the training rows.
    random_state : int
        Of subsamples, and of the fifth of the rows on which the strength of the penalty is chosen.

    Returns
    -------
    prediction, probability, seconds, notes
        As of ``Baseline``. Without a word in the training rows it predicts what is usual.
    """
    started, notes = time.perf_counter(), [NOTE]
    train, test = (part.select(pl.all().cast(pl.String)) for part in (train, test))
    rng = numpy_rng(random_state, "baseline of words")
    if train.height > MAX_ROWS:
        kept = np.sort(rng.permutation(train.height)[:MAX_ROWS])
        train, y, weight = train[kept], y[kept], None if weight is None else weight[kept]
        notes.append(f"saw {MAX_ROWS:,} of the training rows")
    if any((part[name].str.len_chars() > LONGEST).any() for part in (train, test) for name in part.columns):
        notes.append(f"saw the first {LONGEST:,} characters of a text")
    seen, asked = _weights(train, test)
    fold = rng.permutation(len(y)) % 5 == 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        columns = [_one(task, seen, column, asked, weight, fold) for column in _targets(task, y)]
    if any(issubclass(one.category, ConvergenceWarning) for one in caught):
        notes.append("stopped before it had converged")
    for other in (one for one in caught if not issubclass(one.category, ConvergenceWarning)):
        warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    seconds = time.perf_counter() - started
    if task == "regression":
        return np.column_stack(columns).reshape(test.height, *y.shape[1:]), None, seconds, notes
    if task == "multilabel":
        probability = np.column_stack([column[:, 1] for column in columns])
        return (probability > 0.5).astype(y.dtype), probability, seconds, notes
    classes = np.unique(y)
    return classes[columns[0].argmax(axis=1)], columns[0], seconds, notes


def _weights(train: pl.DataFrame, test: pl.DataFrame) -> tuple[Any, Any]:
    """Return sparse TF-IDF weights of all columns, (N, terms); a column without a word has none."""
    seen, asked = [], []
    for name in train.columns:
        texts, others = (part[name].fill_null("").str.head(LONGEST).to_list() for part in (train, test))
        least = 2 if len(texts) > 20 else 1  # a word of one text says nothing of others
        terms = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=least, max_features=MOST_TERMS)
        try:
            seen.append(terms.fit_transform(texts))
        except ValueError:  # no word is in enough texts
            continue
        asked.append(terms.transform(others))
    if not seen:
        return sparse.csr_matrix((train.height, 1)), sparse.csr_matrix((test.height, 1))
    return sparse.hstack(seen, format="csr"), sparse.hstack(asked, format="csr")


def _targets(task: Task, y: NDArray[Any]) -> list[NDArray[Any]]:
    columns = [y] if y.ndim == 1 else [y[:, i] for i in range(y.shape[1])]
    return [column.astype(np.float64) for column in columns] if task == "regression" else columns


def _one(
    task: Task, seen: Any, y: NDArray[Any], asked: Any, weight: NDArray[np.float64] | None, fold: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return values (M,), or probabilities of the sorted classes (M, C), by the penalty that did best on a fold."""
    kind = "regression" if task == "regression" else "classes"
    tried = STRENGTHS[kind]
    if kind == "classes" and task == "multilabel":
        y = (y == 1).astype(np.int64)
    classes = np.array([0, 1]) if task == "multilabel" else np.unique(y)
    if kind == "classes" and len(np.unique(y)) < 2:
        return np.tile((classes == y[0]).astype(np.float64), (asked.shape[0], 1))
    whole = kind == "classes" and len(np.unique(y[~fold])) < len(np.unique(y))
    best = tried[0]
    if len(y) >= _LEAST_TO_TRY and not whole:
        part = None if weight is None else weight[~fold]
        errors = [_error(_fit(kind, one, seen[~fold], y[~fold], part), seen[fold], y[fold]) for one in tried]
        best = tried[int(np.argmin(errors))]
    fitted = _fit(kind, best, seen, y, weight)
    return np.asarray(fitted.predict(asked) if kind == "regression" else fitted.predict_proba(asked))


def _fit(kind: str, strength: float, x: Any, y: NDArray[Any], weight: NDArray[np.float64] | None) -> Any:
    if kind == "regression":
        return Ridge(alpha=strength, solver="sparse_cg", tol=1e-4).fit(x, y, sample_weight=weight)
    return LogisticRegression(C=strength, tol=1e-3, max_iter=100).fit(x, y, sample_weight=weight)


def _error(fitted: Any, x: Any, y: NDArray[Any]) -> float:
    """Return the mean squared error, or the mean of −log of the probability of the truth."""
    if isinstance(fitted, Ridge):
        return float(np.mean((fitted.predict(x) - y) ** 2))
    found = fitted.predict_proba(x)[np.arange(len(y)), np.searchsorted(fitted.classes_, y)]
    return float(-np.log(np.clip(found, 1e-12, None)).mean())
