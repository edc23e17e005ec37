"""Columns of a table as the classic models take them: one float matrix of numbers and category codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

MAX_CATEGORIES = 254
"""Codes per column: histogram boosting has 255 bins, and the last code holds all rarer categories."""

MAX_WORDS = 100
"""Columns made from one text column."""


class BaselineColumns:
    """Turn a table into a matrix (N, D) of float64, missing as NaN, fitted on the training rows.

    Kept apart from the network's own preparation on purpose: a flaw there must not hurt the baselines as well.

    Parameters
    ----------
    roles : mapping, optional
        Column → role; see ``fit_baselines``. Columns with another role are left out.

    Attributes
    ----------
    coded : ndarray of bool (D,)
        Which columns of the matrix hold category codes.
    """

    def __init__(self, roles: Mapping[str, str] | None = None) -> None:
        self.roles = roles

    def fit_transform(self, X: pl.DataFrame | NDArray[Any]) -> NDArray[np.float64]:
        """Learn categories and words from the training rows, and turn them into a matrix."""
        frame = _frame(X)
        roles = {name: _role_of(frame[name]) for name in frame.columns} if self.roles is None else self.roles
        self._parts = [
            part for name in frame.columns if (part := _fit_column(frame[name], roles.get(name, ""))) is not None
        ]
        self.coded = np.array([part.codes > 0 for part in self._parts for _ in range(part.width)], dtype=bool)
        return self.transform(frame)

    def transform(self, X: pl.DataFrame | NDArray[Any]) -> NDArray[np.float64]:
        """Turn rows into a matrix; categories never seen are NaN."""
        frame = _frame(X)
        out = np.empty((frame.height, len(self.coded)))
        start = 0
        for part in self._parts:
            out[:, start : start + part.width] = part(frame[part.name])
            start += part.width
        return out

    @property
    def count(self) -> int:
        """Number of columns of the matrix."""
        return len(self.coded)

    @property
    def width(self) -> int:
        """Number of columns after one-hot encoding, at most."""
        return sum(min(part.codes + 1, 32) if part.codes else part.width for part in self._parts)


class _Numbers:
    """A number, or the parts of a date that a linear model or a tree can use."""

    codes = 0

    def __init__(self, name: str, dated: bool) -> None:
        self.name, self.dated, self.width = name, dated, 4 if dated else 1

    def __call__(self, column: pl.Series) -> NDArray[np.float64]:
        if not self.dated:
            return _floats(column).reshape(-1, 1)
        moment = _moments(column)
        parts = (moment.dt.epoch("s"), moment.dt.month(), moment.dt.weekday(), moment.dt.hour())
        return np.column_stack([_floats(part) for part in parts])


class _Codes:
    """The place of a category among the training rows' most frequent ones."""

    width = 1

    def __init__(self, column: pl.Series) -> None:
        self.name = column.name
        counts = column.cast(pl.String).drop_nulls().value_counts(sort=True)
        known = counts.sort("count", column.name, descending=[True, False])[column.name].to_list()
        # Beyond the limit categories share the last code; below it every category has its own.
        self.places = {category: min(place, MAX_CATEGORIES - 1) for place, category in enumerate(known)}
        self.codes = max(1, min(len(known), MAX_CATEGORIES))

    def __call__(self, column: pl.Series) -> NDArray[np.float64]:
        text = column.cast(pl.String)
        codes = text.replace_strict(self.places, default=None, return_dtype=pl.Float64)
        return _floats(codes).reshape(-1, 1)


class _Words:
    """Length and the most frequent words of a text, weighted by rarity (tf-idf)."""

    codes = 0

    def __init__(self, column: pl.Series) -> None:
        self.name = column.name
        self.words: TfidfVectorizer | None = TfidfVectorizer(max_features=MAX_WORDS, sublinear_tf=True)
        try:
            self.words.fit(self._texts(column))
        except ValueError:  # not one word in the training rows
            self.words = None
        self.width = 1 + (0 if self.words is None else len(self.words.vocabulary_))

    @staticmethod
    def _texts(column: pl.Series) -> list[str]:
        return column.cast(pl.String).fill_null("").to_list()

    def __call__(self, column: pl.Series) -> NDArray[np.float64]:
        length = _floats(column.cast(pl.String).str.len_chars()).reshape(-1, 1)
        if self.words is None:
            return length
        return np.hstack([length, self.words.transform(self._texts(column)).toarray()])


def _fit_column(column: pl.Series, role: str) -> _Numbers | _Codes | _Words | None:
    if role == "datetime":
        return _Numbers(column.name, dated=True)
    if role == "numeric" or (role == "ordinal" and column.dtype.is_numeric()):
        return _Numbers(column.name, dated=False)
    if role in ("categorical", "ordinal"):
        return _Codes(column)
    return _Words(column) if role == "text" else None


def _role_of(column: pl.Series) -> str:
    if column.dtype.is_numeric():
        return "numeric"
    return "datetime" if column.dtype in (pl.Date, pl.Datetime) else "categorical"


def _frame(X: pl.DataFrame | NDArray[Any]) -> pl.DataFrame:
    if isinstance(X, pl.DataFrame):
        return X
    array = np.asarray(X)
    if array.dtype == object:
        return pl.DataFrame({f"x{i}": pl.Series(array[:, i].tolist(), strict=False) for i in range(array.shape[1])})
    return pl.DataFrame(array, schema=[f"x{i}" for i in range(array.shape[1])])


def _floats(column: pl.Series) -> NDArray[np.float64]:
    values: NDArray[np.float64] = column.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    np.clip(values, -1e100, 1e100, out=values)  # so that a variance does not overflow
    return values


def _moments(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        try:
            return column.str.to_datetime(strict=False)
        except pl.exceptions.ComputeError:  # no format fits any value
            return pl.Series(column.name, [None] * len(column), dtype=pl.Datetime("us"))
    return column.cast(pl.Datetime("us"), strict=False)
