"""How rows are drawn for the parts of a split: at random, whole groups, or the latest."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from glia.core.errors import InputError

Ints = NDArray[np.int64]
_TRIES = 20


def at_random(total: int, classes: Ints | None, counts: tuple[int, int], seed: int) -> tuple[Ints, Ints]:
    """Draw the rows of the test and of the validation part, evenly over classes where there are any."""
    left = np.arange(total)
    chosen: list[Ints] = []
    for i, count in enumerate(counts):
        part = _draw(left, None if classes is None else classes[left], count, seed + i)
        left = np.setdiff1d(left, part)
        chosen.append(part)
    return chosen[0], chosen[1]


def _draw(left: Ints, classes: Ints | None, count: int, seed: int) -> Ints:
    """Draw ``count`` rows, evenly over classes. A class of one row stays behind, to be trained on."""
    if count == 0:
        return np.zeros(0, np.int64)
    labels, pool = classes, left
    if classes is not None:
        sizes = np.bincount(classes)[classes]
        pool = left[sizes > 1] if count < int((sizes > 1).sum()) else left
        labels = classes[sizes > 1] if len(pool) < len(left) else classes
        groups, smallest = len(np.unique(labels)), int(np.bincount(labels)[labels].min())
        if smallest < 2 or groups > min(count, len(pool) - count):
            labels = None  # more classes than rows to draw: chance must do
    drawn, _ = train_test_split(pool, train_size=count, random_state=seed % 2**32, stratify=labels)
    return np.asarray(drawn, dtype=np.int64)


def group_codes(groups: pl.Series) -> Ints:
    """Return a number per group; rows without one are groups of their own."""
    codes = groups.rank("dense").cast(pl.Int64).fill_null(-1).to_numpy().copy()
    missing = codes < 0
    codes[missing] = codes.max(initial=0) + 1 + np.arange(int(missing.sum()))
    return codes.astype(np.int64)


def by_group(keys: Ints, fractions: tuple[float, float], seed: int, parts: int) -> tuple[Ints, Ints]:
    """Draw whole groups for both parts so that their numbers of rows come near the fractions."""
    distinct = len(np.unique(keys))
    if distinct < parts:
        got = f"{distinct} group{'s' * (distinct != 1)}"
        raise InputError(
            f"a split by group into {parts} parts needs at least {parts} groups", got, "use method='random'"
        )
    left = np.arange(len(keys))
    chosen: list[Ints] = []
    for i, fraction in enumerate(fractions):
        part = np.zeros(0, np.int64)
        if fraction > 0:
            # the last part drawn must leave a group behind, the first one for every later part
            keep = 1 + sum(later > 0 for later in fractions[i + 1 :])
            here = len(np.unique(keys[left]))
            wanted = fraction * len(keys)
            number = min(max(1, math.floor(here * wanted / len(left) + 0.5)), here - keep)
            splitter = GroupShuffleSplit(_TRIES, test_size=number, random_state=seed + i)
            draws = [drawn for _, drawn in splitter.split(left, groups=keys[left])]
            part = left[min(draws, key=lambda drawn: abs(len(drawn) - wanted))]
        chosen.append(part)
        left = np.setdiff1d(left, part)
    return chosen[0], chosen[1]


def by_time(times: pl.Series, counts: tuple[int, int]) -> tuple[Ints, Ints]:
    """Cut the rows in the order of time; rows of one moment stay together where that leaves no part empty."""
    ranks = times.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()  # unknown times count as the oldest
    parts = 1 + sum(count > 0 for count in counts)
    distinct = len(np.unique(ranks))
    if distinct < parts:
        got = f"{distinct} different time{'s' * (distinct != 1)}"
        raise InputError(
            f"a split by time into {parts} parts needs at least {parts} points in time", got, "use method='random'"
        )
    order = np.argsort(ranks, kind="stable").astype(np.int64)
    moments = ranks[order]
    edges = np.flatnonzero(np.diff(moments)) + 1  # positions where a new moment begins
    end = len(order)
    chosen: list[Ints] = []
    for i, count in enumerate(counts):
        if count == 0:
            chosen.append(np.zeros(0, np.int64))
            continue
        needed = sum(later > 0 for later in counts[i + 1 :])
        usable = edges[edges < end][needed:]
        start = int(usable[np.argmin(np.abs(usable - (end - count)))])
        chosen.append(order[start:end])
        end = start
    return chosen[0], chosen[1]
