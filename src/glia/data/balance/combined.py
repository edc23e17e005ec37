"""Synthetic rows first, then a cleaning of the border (Batista, Prati and Monard 2004)."""

from __future__ import annotations

from typing import Any

import numpy as np

from glia.core.layout import Layout
from glia.data.balance.base import Balance, Balanced, Codes, Prepared, balancers
from glia.data.balance.clean import cleaned
from glia.data.balance.synthetic import smote


@balancers.register("smote_tomek")
def smote_tomek(x: Prepared, y: Codes, layout: Layout, options: Balance, seed: int) -> Balanced:
    """Do as SMOTE, then leave out both rows of every Tomek link."""
    return _then("TomekLinks", {}, smote(x, y, layout, options, seed), layout)


@balancers.register("smote_enn")
def smote_enn(x: Prepared, y: Codes, layout: Layout, options: Balance, seed: int) -> Balanced:
    """Do as SMOTE, then leave out rows of any class with a neighbour, of the three nearest, of another."""
    return _then("EditedNearestNeighbours", {"n_neighbors": 3}, smote(x, y, layout, options, seed), layout)


def _then(name: str, options: dict[str, Any], found: Balanced, layout: Layout) -> Balanced:
    left = cleaned(name, options, "all", found.x, found.y, layout)
    return Balanced(left.x, left.y, np.asarray(found.source[left.source], dtype=np.intp))
