"""Prepared columns as resamplers need them: numbers, and categories that must stay valid ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.data.balance.base import Prepared

Floats = NDArray[np.float64]
MOST_VALUES = 100_000_000
"""Rows × columns that distances are computed on at once, at most."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a prepared table are numbers and which together make a category.

    Attributes
    ----------
    numbers : tuple of int
        Positions of numeric columns.
    onehots : tuple of tuple of int
        Positions of the columns of each one-hot group, of which at most one is 1 in a row.
    singles : tuple of int
        Positions of columns that are a category by themselves: codes and indicators.
    filled : tuple of (int, int)
        (indicator of a missing value, numeric column of the same source).
    """

    numbers: tuple[int, ...]
    onehots: tuple[tuple[int, ...], ...]
    singles: tuple[int, ...]
    filled: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, x: Prepared, layout: Layout) -> Columns:
        """Read them from a layout.

        Raises
        ------
        InputError
            If rows are not those of a table.
        """
        if x.ndim != 2:
            raise InputError(
                "synthetic rows and neighbours need a table", f"rows of shape {x.shape[1:]}", "use oversample"
            )
        if not layout.features:
            return cls(tuple(range(x.shape[1])), (), (), ())
        onehots, singles = [], list(layout.indices("code", "indicator"))
        grouped: dict[str, list[int]] = {}
        for i in layout.indices("onehot"):
            grouped.setdefault(layout.features[i].source, []).append(i)
        for group in grouped.values():
            if np.all(x[:, group].sum(axis=1) <= 1):
                onehots.append(tuple(group))
            else:  # several of them may be 1 at once: each is a category of its own
                singles += group
        numbers = layout.indices("numeric")
        source = [feature.source for feature in layout.features]
        filled = tuple((i, n) for i in layout.indices("indicator") for n in numbers if source[i] == source[n])
        return cls(numbers, tuple(onehots), tuple(sorted(singles)), filled)

    @property
    def categories(self) -> int:
        """How many categories a row has."""
        return len(self.onehots) + len(self.singles)

    def compact(self, x: Prepared) -> Floats:
        """Return numbers first, then one whole number per category, (N, numbers + categories)."""
        codes = [self._code(x, group) for group in self.onehots] + [x[:, i] for i in self.singles]
        return np.column_stack([x[:, list(self.numbers)], *codes]).astype(np.float64)

    @staticmethod
    def _code(x: Prepared, group: tuple[int, ...]) -> NDArray[np.intp]:
        part = x[:, list(group)]
        return np.where(part.any(axis=1), part.argmax(axis=1), len(group)).astype(np.intp)

    def expand(self, compact: Floats, width: int) -> Prepared:
        """Return prepared rows, (M, width), from what ``compact`` made."""
        x = np.zeros((len(compact), width), dtype=np.float32)
        first = len(self.numbers)
        x[:, list(self.numbers)] = compact[:, :first]
        for group, code in zip(self.onehots, compact[:, first:].T, strict=False):
            known = code < len(group)
            x[np.flatnonzero(known), np.asarray(group)[code[known].astype(np.intp)]] = 1.0
        for i, code in zip(self.singles, compact[:, first + len(self.onehots) :].T, strict=True):
            x[:, i] = code
        return x

    def embed(self, x: Prepared) -> tuple[Floats, list[tuple[Floats, slice]]]:
        """Return rows whose Euclidean distances count categories, and where each category stands.

        Two rows that differ in a category are as far apart in it as the median standard deviation of the numbers
        (Chawla et al. 2002, "SMOTE", section 6.1).

        Returns
        -------
        embedded : ndarray (N, E)
            Numbers, then for each category a column per value that occurs.
        places : list of (values, slice)
            Values of each category and its columns.
        """
        compact = self.compact(x)
        first = len(self.numbers)
        numbers = compact[:, :first]
        unit = float(np.median(numbers.std(axis=0))) / np.sqrt(2.0) if first else 1.0
        blocks, places, at = [numbers], [], first
        for column in compact[:, first:].T:
            values, code = np.unique(column, return_inverse=True)
            if len(x) * (at + len(values)) > MOST_VALUES:
                raise InputError(
                    "categories must be few enough to measure distances",
                    f"{at + len(values):,} columns of {len(x):,} rows",
                    "use smote, oversample or undersample",
                )
            blocks.append(np.eye(len(values))[code] * (unit or 1.0))
            places.append((values, slice(at, at + len(values))))
            at += len(values)
        return np.concatenate(blocks, axis=1), places

    def unembed(self, embedded: Floats, places: list[tuple[Floats, slice]], width: int) -> Prepared:
        """Return prepared rows from points between embedded ones: each category is that of the nearer end."""
        codes = [values[embedded[:, where].argmax(axis=1)] for values, where in places]
        return self.expand(np.column_stack([embedded[:, : len(self.numbers)], *codes]), width)

    def mend(self, made: Prepared, x: Prepared) -> Prepared:
        """Give synthetic rows in which a value is said to be missing the value that stands for missing ones."""
        for indicator, number in self.filled:
            standing = np.unique(x[x[:, indicator] == 1, number])
            if len(standing) == 1:
                made[made[:, indicator] == 1, number] = standing[0]
        return made
