"""Synthetic rows of rare classes between neighbours of the same class: SMOTE and its relatives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.core.optional import require
from glia.core.seeds import derive, numpy_rng
from glia.data.balance.base import Balance, Balanced, Codes, Prepared, balancers, wanted_more
from glia.data.balance.columns import Columns

EXTRA = "imbalance"


@balancers.register("smote")
def smote(x: Prepared, y: Codes, layout: Layout, options: Balance, seed: int) -> Balanced:
    """Put rows between a row of a rare class and one of its nearest neighbours of that class (arXiv 1106.1813).

    Where there are categories, a synthetic row has the most frequent one among the neighbours (SMOTE-NC; SMOTE-N where
    there are no numbers), so that it is always one that occurs.
    """
    columns = Columns.of(x, layout)
    ways = require("imblearn.over_sampling", EXTRA)
    state = derive(seed, "smote") % 2**32
    compact = columns.compact(x)
    varying = bool(columns.numbers) and bool(np.ptp(compact[:, : len(columns.numbers)], axis=0).any())

    def make(counts: dict[int, int], neighbours: int) -> Any:
        common = {"sampling_strategy": counts, "k_neighbors": neighbours, "random_state": state}
        if not columns.categories:
            return ways.SMOTE(**common)
        if not varying:
            return ways.SMOTEN(**common)
        return ways.SMOTENC(list(range(len(columns.numbers), compact.shape[1])), **common)

    made, codes, copies = _synthesise(compact, y, options, seed, make)
    return _joined(x, y, columns.mend(columns.expand(made, x.shape[1]), x), codes, copies)


@balancers.register("borderline_smote")
def borderline_smote(x: Prepared, y: Codes, layout: Layout, options: Balance, seed: int) -> Balanced:
    """Do as SMOTE, but only from rows that lie among rows of other classes (Han, Wang and Mao 2005)."""
    return _embedded(
        "BorderlineSMOTE", {"m_neighbors": 2 * options.neighbours}, "k_neighbors", x, y, layout, options, seed
    )


@balancers.register("adasyn")
def adasyn(x: Prepared, y: Codes, layout: Layout, options: Balance, seed: int) -> Balanced:
    """Make the more rows from a row, the more of its neighbours are of other classes (He et al. 2008)."""
    return _embedded("ADASYN", {}, "n_neighbors", x, y, layout, options, seed)


def _embedded(
    name: str, extra: dict[str, Any], key: str, x: Prepared, y: Codes, layout: Layout, options: Balance, seed: int
) -> Balanced:
    """Run a way for numbers alone on an embedding, in which a category goes to the nearer end."""
    columns = Columns.of(x, layout)
    way = getattr(require("imblearn.over_sampling", EXTRA), name)
    state = derive(seed, name) % 2**32
    points, places = columns.embed(x)

    def make(counts: dict[int, int], neighbours: int) -> Any:
        return way(sampling_strategy=counts, random_state=state, **{key: neighbours}, **extra)

    made, codes, copies = _synthesise(points, y, options, seed, make)
    return _joined(x, y, columns.mend(columns.unembed(made, places, x.shape[1]), x), codes, copies)


def _synthesise(
    points: NDArray[np.float64], y: Codes, options: Balance, seed: int, make: Any
) -> tuple[NDArray[np.float64], Codes, Codes]:
    """Return synthetic points and their classes, and rows to be copied, of classes of one row.

    Such a class has no neighbours. For the others there are as many as the smallest has.
    """
    wanted = wanted_more(y, options.ratio)
    counts = np.bincount(y)
    rng = numpy_rng(seed, "single rows")
    lone = [np.repeat(np.flatnonzero(y == c), n - 1) for c, n in wanted.items() if counts[c] == 1]
    copies = rng.permutation(np.concatenate(lone)) if lone else np.zeros(0, dtype=np.intp)
    able = {c: n for c, n in wanted.items() if counts[c] > 1}
    if not able:
        return points[:0], y[:0], copies.astype(np.intp)
    neighbours = min(int(options.neighbours), *(int(counts[c]) - 1 for c in able))
    try:
        all_points, all_codes = make(able, neighbours).fit_resample(points, y)
    except (ValueError, RuntimeError) as error:
        detail = " ".join(str(error).split())
        raise InputError(
            f"rare rows must have neighbours to make others from ({options.method})", detail, "use smote or oversample"
        ) from error
    made = np.asarray(all_points[len(y) :], dtype=np.float64)
    return made, np.asarray(all_codes[len(y) :], dtype=np.intp), copies.astype(np.intp)


def _joined(x: Prepared, y: Codes, made: Prepared, codes: Codes, copies: Codes) -> Balanced:
    return Balanced(
        np.ascontiguousarray(np.concatenate([x, x[copies], made])),
        np.concatenate([y, y[copies], codes]),
        np.concatenate([np.arange(len(y)), copies, np.full(len(codes), -1)]).astype(np.intp),
    )
