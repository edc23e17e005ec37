"""Imputers inside a preparation: they complete the prepared numbers with the help of the other prepared columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.layout import Feature
from glia.data.impute.base import Array, Block, MatrixImputer, State, imputer_from_state, make_imputer
from glia.data.impute.interpolation import Interpolation


@dataclass(frozen=True)
class Completer:
    """A fitted imputer and the prepared columns that it works on.

    Parameters
    ----------
    imputer : MatrixImputer
        Fitted on the training rows in prepared units.
    columns : ndarray of shape (E,)
        Positions of the prepared columns that it sees: numbers (ranks and years are such) and one-hot columns.
    fill : ndarray of shape (K,)
        What numbers without a known training value get, in prepared units.
    """

    imputer: MatrixImputer
    columns: NDArray[np.int64]
    fill: Array

    @classmethod
    def fit(
        cls,
        name: str,
        options: Mapping[str, Any] | None,
        prepared: NDArray[np.float32],
        features: Sequence[Feature],
        fill: Array,
        position: Array | None,
    ) -> Completer:
        """Learn from prepared training rows (N, D), whose first K columns, numbers, are NaN where missing."""
        columns, blocks = visible(features, len(fill))
        x = prepared[:, columns].astype(np.float64)
        imputer = make_imputer(name, options).fit(x, blocks, position)
        return cls(imputer, columns, np.asarray(fill, dtype=np.float64))

    @property
    def by(self) -> str | None:
        """The column that says where rows lie, for interpolation along one."""
        return self.imputer.by if isinstance(self.imputer, Interpolation) else None

    def complete(self, out: NDArray[np.float32], position: Array | None) -> None:
        """Fill the gaps of prepared rows (N, D) in place."""
        count = len(self.fill)
        missing = np.isnan(out[:, :count])
        rows = np.flatnonzero(missing.any(axis=1)) if self.imputer.by_row else np.arange(len(out))
        if not missing.any():
            return
        x = out[np.ix_(rows, self.columns)].astype(np.float64)
        found = self.imputer.transform(x, None if position is None else position[rows])[:, :count]
        empty = np.isin(np.arange(count), self.imputer.empty)
        found = np.where(empty, self.fill, found)
        out[rows, :count] = np.where(missing[rows], found, out[rows, :count])

    def to_state(self) -> State:
        """Return plain data and arrays."""
        state, arrays = self.imputer.to_state()
        return state, {"columns": self.columns, "fill": self.fill, **{f"imputer.{k}": v for k, v in arrays.items()}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], width: int) -> Completer:
        """Rebuild what ``to_state`` gave, for prepared rows of ``width`` columns.

        Raises
        ------
        ValueError
            If the parts do not fit together.
        """
        own = {k.removeprefix("imputer."): v for k, v in arrays.items() if k.startswith("imputer.")}
        imputer = imputer_from_state(state, own)
        columns = np.array(arrays["columns"], dtype=np.int64)
        fill = np.array(arrays["fill"], dtype=np.float64)
        count = len(fill)
        placed = not len(columns) or (columns.min() >= 0 and columns.max() < width)
        if columns.shape != imputer.standard.center.shape or not placed or (columns[:count] != np.arange(count)).any():
            raise ValueError("the imputer does not fit the prepared columns")
        return cls(imputer, columns, fill)


def visible(features: Sequence[Feature], numbers: int) -> tuple[NDArray[np.int64], tuple[Block, ...]]:
    """Return which prepared columns an imputer sees, and as which blocks: the first ``numbers`` are what it completes.

    Codes to be embedded, indicators, cyclic parts of dates and words are left out.
    """
    columns = [j for j, f in enumerate(features) if j < numbers or f.kind == "onehot"]
    blocks: list[Block] = []
    for place, j in enumerate(columns):
        last = blocks[-1] if blocks else None
        same = j > numbers and last is not None and features[columns[place - 1]].source == features[j].source
        if j >= numbers and same and last is not None and last.kind == "category":
            blocks[-1] = Block(last.start, place + 1, "category")
        else:
            blocks.append(Block(place, place + 1, "numeric" if j < numbers else "category"))
    return np.array(columns, dtype=np.int64), tuple(blocks)
