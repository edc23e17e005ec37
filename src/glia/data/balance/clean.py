"""Undersampling of rows that lie among another class: Tomek links and edited nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from glia.core.layout import Layout
from glia.core.optional import require
from glia.data.balance.base import Balance, Balanced, Codes, Prepared, as_drawn, balancers
from glia.data.balance.columns import Columns
from glia.data.balance.synthetic import EXTRA


@balancers.register("tomek")
def tomek(x: Prepared, y: Codes, layout: Layout, options: Balance, seed: int) -> Balanced:
    """Leave out rows of common classes that are each other's nearest neighbour with a row of another (Tomek 1976)."""
    return cleaned("TomekLinks", {}, "not minority", x, y, layout)


@balancers.register("enn")
def enn(x: Prepared, y: Codes, layout: Layout, options: Balance, seed: int) -> Balanced:
    """Leave out rows of common classes with a neighbour, of the three nearest, of another class (Wilson 1972)."""
    return cleaned("EditedNearestNeighbours", {"n_neighbors": 3}, "not minority", x, y, layout)


def cleaned(name: str, options: dict[str, Any], strategy: str, x: Prepared, y: Codes, layout: Layout) -> Balanced:
    """Return the rows that are left; a class of which none would be left stays whole."""
    way = getattr(require("imblearn.under_sampling", EXTRA), name)(sampling_strategy=strategy, **options)
    points, _ = Columns.of(x, layout).embed(x)
    way.fit_resample(points, y)
    kept = np.zeros(len(y), dtype=bool)
    kept[way.sample_indices_] = True
    kept |= ~np.isin(y, y[kept])
    return as_drawn(x, y, np.flatnonzero(kept).astype(np.intp))
