"""Columns that say much the same: rank correlation of columns of every kind, and groups of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from glia.core.errors import InputError
from glia.explain.column_grid import as_numbers
from glia.explain.subject import Floats


def relation(columns: Sequence[NDArray[Any]]) -> Floats:
    """Return how closely C columns of N values are related, (C, C), from 0 to 1.

    Two columns of numbers: the size of Spearman's correlation. Where a column holds categories: the correlation ratio
    √η² of the other's ranks given the category, less what chance alone gives; of two columns of categories the larger
    of both ways round, with the categories ranked by their frequency.
    """
    ranks: list[Floats] = []
    kinds: list[NDArray[np.int64] | None] = []
    for column in columns:
        values = as_numbers(column)
        if values is None:
            _, place, count = np.unique(column.astype(str), return_inverse=True, return_counts=True)
            ranks.append(_centred(count[place].astype(np.float64) + place * 1e-6))
            kinds.append(place)
        else:
            known = np.where(np.isfinite(values), values, np.nanmedian(values))
            ranks.append(_centred(known))
            kinds.append(None)
    size = len(columns)
    found = np.eye(size)
    for i in range(size):
        for j in range(i):
            one, two = kinds[i], kinds[j]
            if one is None and two is None:
                value = abs(_correlation(ranks[i], ranks[j]))
            else:
                ways = [_ratio(k, r) for k, r in ((one, ranks[j]), (two, ranks[i])) if k is not None]
                value = max(ways)
            found[i, j] = found[j, i] = value
    return found


def groups_of(names: Sequence[str], related: Floats, threshold: float = 0.7) -> dict[str, list[str]]:
    """Return groups of at least two columns, name → members: clusters by average linkage.

    Parameters
    ----------
    names : sequence of str
        Of the C columns.
    related : ndarray of shape (C, C)
        As ``relation`` gives it.
    threshold : float
        In (0, 1]: columns whose mean relation is at least this are one group.

    Raises
    ------
    InputError
        If the threshold is out of its range.
    """
    if not 0 < threshold <= 1:
        raise InputError("threshold must lie above 0 and be at most 1", f"threshold={threshold}", "0.7 is usual")
    if len(names) < 2:
        return {}
    apart = 1 - np.clip(related, 0, 1)
    np.fill_diagonal(apart, 0.0)
    cluster = fcluster(linkage(squareform(apart, checks=False), "average"), 1 - threshold, "distance")
    found = {}
    for number in dict.fromkeys(cluster.tolist()):
        members = [name for name, own in zip(names, cluster, strict=True) if own == number]
        if len(members) > 1:
            found[" + ".join(members)] = members
    return found


def _centred(values: Floats) -> Floats:
    ranks = rankdata(values)
    return np.asarray(ranks - ranks.mean())


def _correlation(a: Floats, b: Floats) -> float:
    power = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / power if power > 0 else 0.0


def _ratio(place: NDArray[np.int64], ranks: Floats) -> float:
    count = np.bincount(place)
    means = np.bincount(place, ranks) / np.maximum(count, 1)
    whole = float(ranks @ ranks)
    if whole <= 0 or len(ranks) <= len(count):
        return 0.0
    share = float(count @ means**2) / whole
    free = (len(ranks) - 1) / (len(ranks) - len(count))
    return float(np.sqrt(max(0.0, 1 - (1 - share) * free)))  # adjusted: categories alone explain nothing
