"""Which columns have gaps, and which go missing together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class MissingColumn:
    """Gaps of one column: their number and share."""

    column: str
    missing: int
    share: float


@dataclass(frozen=True)
class Pattern:
    """Rows in which the same columns are missing.

    Parameters
    ----------
    columns : tuple of str
        What is missing; empty for complete rows.
    rows : int
        How many rows look so.
    share : float
        Of all rows.
    """

    columns: tuple[str, ...]
    rows: int
    share: float


@dataclass(frozen=True)
class Pair:
    """Two columns with gaps, and how their gaps coincide.

    Parameters
    ----------
    first, second : str
        The columns.
    together : int
        Rows in which both are missing.
    expected : float
        Rows in which both would be missing if the gaps had nothing to do with each other.
    correlation : float
        Of the two indicators of missingness (phi), in [-1, 1].
    """

    first: str
    second: str
    together: int
    expected: float
    correlation: float


def columns_missing(missing: NDArray[np.bool_], names: Sequence[str]) -> tuple[MissingColumn, ...]:
    """Return the columns of ``missing`` (N, C) with gaps, the one with the most first."""
    counts = missing.sum(axis=0)
    rows = max(len(missing), 1)
    found = [MissingColumn(n, int(c), float(c) / rows) for n, c in zip(names, counts, strict=True) if c]
    return tuple(sorted(found, key=lambda one: -one.missing))


def patterns(missing: NDArray[np.bool_], names: Sequence[str]) -> tuple[Pattern, ...]:
    """Return every pattern of ``missing`` (N, C) that occurs, the most frequent first."""
    if not len(missing):
        return ()
    packed = np.packbits(missing, axis=1)
    _, first, counts = np.unique(packed, axis=0, return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))
    return tuple(
        Pattern(
            tuple(name for name, gone in zip(names, missing[first[i]], strict=True) if gone),
            int(counts[i]),
            float(counts[i]) / len(missing),
        )
        for i in order
    )


def pairs_missing(missing: NDArray[np.bool_], names: Sequence[str], most: int = 20) -> tuple[Pair, ...]:
    """Return the pairs of columns whose gaps are most strongly related, at most ``most`` of them."""
    gappy = np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0))
    if len(gappy) < 2:
        return ()
    own = missing[:, gappy].astype(np.float64)
    together = own.T @ own
    share = own.mean(axis=0)
    spread = np.sqrt(share * (1.0 - share))
    correlation = (together / len(own) - np.outer(share, share)) / np.outer(spread, spread)
    found = [
        Pair(
            names[gappy[a]],
            names[gappy[b]],
            round(together[a, b]),
            float(share[a] * share[b] * len(own)),
            float(np.clip(correlation[a, b], -1.0, 1.0)),
        )
        for a in range(len(gappy))
        for b in range(a + 1, len(gappy))
    ]
    return tuple(sorted(found, key=lambda pair: -abs(pair.correlation))[:most])
