"""Original columns as numbers that a tree can split, and what a split says in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng
from glia.explain.column_grid import MOST_CATEGORIES, as_numbers, number_words
from glia.explain.plots.look import shorten
from glia.explain.subject import Floats
from glia.explain.table_model import TableModel


@dataclass(frozen=True)
class TreeColumn:
    """One number made from an original column.

    Parameters
    ----------
    column : str
        The original column.
    kind : {"number", "date", "level", "missing"}
        The number itself, days since 1970, whether it is one category, or whether it is missing.
    level : str
        The category.
    """

    column: str
    kind: str
    level: str = ""

    def says(self, low: float, high: float) -> str:
        """Return in words that low < value ≤ high; either may be infinite."""
        if self.kind in ("level", "missing"):
            yes = low >= 0
            if self.kind == "missing":
                return f"{self.column} is {'missing' if yes else 'known'}"
            return f"{self.column} is {'' if yes else 'not '}{self.level}"
        if np.isinf(low):
            return f"{self.column} ≤ {self._value(high)}"
        if np.isinf(high):
            return f"{self.column} > {self._value(low)}"
        return f"{self._value(low)} < {self.column} ≤ {self._value(high)}"

    def _value(self, value: float) -> str:
        if self.kind == "date":
            return (date(1970, 1, 1) + timedelta(days=int(np.floor(value)))).isoformat()
        return number_words(value)


def tree_columns(names: Sequence[str], columns: Sequence[NDArray[Any]]) -> tuple[tuple[TreeColumn, ...], Floats]:
    """Return what each of F numbers is, and the numbers, (N, F), for C original columns of N values.

    Missing numbers take the median and are marked by a number of their own; of categories the most frequent have one
    each.
    """
    made: list[TreeColumn] = []
    values: list[Floats] = []
    for name, column in zip(names, columns, strict=True):
        known = as_numbers(column)
        if known is None:
            words = np.array(["missing" if v is None else shorten(v, 40) for v in column.tolist()], dtype=object)
            kinds, count = np.unique(words.astype(str), return_counts=True)
            for i in np.argsort(-count, kind="stable")[:MOST_CATEGORIES]:
                made.append(TreeColumn(name, "level", str(kinds[i])))
                values.append((words == kinds[i]).astype(np.float64))
            continue
        lacking = ~np.isfinite(known)
        kind = "date" if any(isinstance(v, date) for v in column.tolist()) else "number"
        made.append(TreeColumn(name, kind))
        values.append(np.where(lacking, np.median(known[~lacking]), known))
        if lacking.any():
            made.append(TreeColumn(name, "missing"))
            values.append(lacking.astype(np.float64))
    return tuple(made), np.stack(values, axis=1)


@dataclass(frozen=True)
class Answers:
    """What a model says of rows.

    Parameters
    ----------
    values : ndarray
        Names of classes, (N,) of str, or outputs, (N, O).
    classes : bool
        Which of the two.
    """

    values: NDArray[Any]
    classes: bool


def answers(model: TableModel, X: Any) -> Answers:
    """Return the predicted classes, or the outputs of regressions and of several labels."""
    predictor = model.predictor
    if predictor.task_ in ("binary", "multiclass"):
        return Answers(np.asarray(predictor.predict(X)).astype(str), True)
    return Answers(model.score(model.x)[0], False)


def split(count: int, shares: Sequence[float], random_state: int, *names: str) -> list[NDArray[np.int64]]:
    """Return positions of rows in parts of these shares, dealt out by chance."""
    order = numpy_rng(random_state, *names).permutation(count)
    ends = np.round(np.cumsum(shares)[:-1] * count).astype(int)
    return [np.sort(part) for part in np.split(order, ends)]
