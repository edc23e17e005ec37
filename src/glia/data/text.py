"""Free text as TF-IDF weights of the words that occur in most texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.layout import Feature
from glia.core.seeds import numpy_rng
from glia.data.casting import text_expr

_WORD = r"\w\w+"
_SAMPLE = 100_000
_CELLS = 2**22


def _words(column: str, dtype: pl.DataType) -> pl.Expr:
    """Return the expression of the list of words of each text: lower case, two characters or more."""
    return text_expr(column, dtype).str.to_lowercase().str.extract_all(_WORD)


@dataclass(frozen=True)
class Vocabulary:
    """The words of one column.

    Parameters
    ----------
    column : str
        The column's name.
    terms : tuple of str
        The words, sorted.
    idf : ndarray of shape (T,)
        ln((1 + n) / (1 + df)) + 1 for n texts of which df contain the word.
    """

    column: str
    terms: tuple[str, ...]
    idf: NDArray[np.float64]

    def features(self) -> list[Feature]:
        """Return the columns of the tensor."""
        return [Feature(f"{self.column}: {term}", self.column, "numeric") for term in self.terms]

    def write(self, frame: pl.DataFrame, out: NDArray[np.float32]) -> None:
        """Write rows (N, T): word counts times ``idf``, each row scaled to length 1; zeros where no word is known."""
        step = max(64, _CELLS // max(len(self.terms), 1))
        for start in range(0, len(frame), step):
            out[start : start + step] = self._weights(frame[start : start + step])

    def _weights(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        n, t = len(frame), len(self.terms)
        words = _words(self.column, frame.schema[self.column])
        found = (
            frame.select(words.alias("term"), pl.int_range(pl.len()).alias("row"))
            .explode("term", empty_as_null=True, keep_nulls=True)
            .select(pl.col("row"), pl.col("term").cast(pl.Enum(self.terms), strict=False).to_physical().cast(pl.Int64))
            .drop_nulls()
        )
        cells = found["row"].to_numpy() * t + found["term"].to_numpy()
        weight = np.bincount(cells, minlength=n * t).reshape(n, t) * self.idf
        length = np.sqrt((weight**2).sum(axis=1, keepdims=True))
        return np.asarray(weight / np.where(length > 0, length, 1.0))


def fit_vocabulary(series: pl.Series, most: int) -> Vocabulary:
    """Learn the ``most`` words that occur in the largest number of texts (of 100,000 at most, drawn by a fixed seed).

    Words of a single text are left out once there are more than 20 texts. Ties go by the alphabet.
    """
    texts = series.drop_nulls()
    if len(texts) > _SAMPLE:
        chosen = numpy_rng(0, "vocabulary", len(texts)).choice(len(texts), _SAMPLE, replace=False)
        texts = texts.gather(np.sort(chosen))
    n = len(texts)
    counted = (
        texts.to_frame()
        .select(_words(series.name, series.dtype).list.unique().alias("term"))
        .explode("term", empty_as_null=True, keep_nulls=True)
        .drop_nulls()
        .group_by("term")
        .len("texts")
        .filter(pl.col("texts") >= (2 if n > 20 else 1))
        .sort(["texts", "term"], descending=[True, False])
        .head(most)
        .sort("term")
    )
    frequency = counted["texts"].to_numpy().astype(np.float64)
    return Vocabulary(series.name, tuple(counted["term"].to_list()), np.log((1 + n) / (1 + frequency)) + 1)


@dataclass(frozen=True)
class TextPart:
    """All columns of free text."""

    columns: tuple[Vocabulary, ...]

    @classmethod
    def fit(cls, frame: pl.DataFrame, columns: list[str], most: int) -> TextPart:
        """Learn the vocabularies of ``columns``."""
        return cls(tuple(fit_vocabulary(frame[name], most) for name in columns))

    def features(self) -> list[Feature]:
        """Return the columns of the tensor."""
        return [feature for column in self.columns for feature in column.features()]

    def write(self, frame: pl.DataFrame, out: NDArray[np.float32]) -> None:
        """Write the columns for the rows of ``frame``, (N, D)."""
        start = 0
        for column in self.columns:
            column.write(frame, out[:, start : start + len(column.terms)])
            start += len(column.terms)

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return plain data and arrays."""
        arrays = {f"idf.{i}": column.idf for i, column in enumerate(self.columns)}
        return {"columns": [[c.column, list(c.terms)] for c in self.columns]}, arrays

    @classmethod
    def from_state(cls, state: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> TextPart:
        """Rebuild what ``to_state`` gave."""
        columns = (
            Vocabulary(str(name), tuple(map(str, terms)), np.asarray(arrays[f"idf.{i}"], dtype=np.float64))
            for i, (name, terms) in enumerate(state["columns"])
        )
        found = cls(tuple(columns))
        if any(column.idf.shape != (len(set(column.terms)),) for column in found.columns):
            raise ValueError("the weights of the words do not fit their number")
        return found
