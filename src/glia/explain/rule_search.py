"""The search for rules: boxes proposed by shallow trees, made simpler, and chosen one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from glia.core.seeds import derive, numpy_rng
from glia.explain.subject import Floats

TREES = 40
WRONG = 2.0
"""A wrong answer costs as much as so many right ones."""


@dataclass(frozen=True)
class Box:
    """A rule over numbers.

    Parameters
    ----------
    bounds : dict
        Position of a number → (low, high): low < value ≤ high.
    answer : str
        What holds inside.
    sure : float
        Share of the rows inside for which it holds.
    """

    bounds: dict[int, tuple[float, float]]
    answer: str
    sure: float

    def applies(self, matrix: Floats) -> NDArray[np.bool_]:
        """Return for which rows (N, F) all conditions hold, (N,)."""
        return inside(self.bounds, matrix)


@dataclass(frozen=True)
class Found:
    """Rules, the surest first, and the answer where none applies."""

    boxes: tuple[Box, ...]
    default: str


def inside(bounds: dict[int, tuple[float, float]], matrix: Floats) -> NDArray[np.bool_]:
    """Return which rows (N, F) lie within all bounds, (N,)."""
    kept = np.ones(len(matrix), dtype=bool)
    for f, (low, high) in bounds.items():
        kept &= (matrix[:, f] > low) & (matrix[:, f] <= high)
    return kept


def search(
    matrix: Floats, labels: NDArray[Any], *, fidelity: float, most: int, depth: int, least: int, random_state: int
) -> Found:
    """Return rules for labels (N,) of rows (N, F).

    Parameters
    ----------
    matrix, labels
        Rows and what the model says of them.
    fidelity : float
        Least share of right answers of a rule.
    most, depth, least : int
        Most rules; most conditions of a rule; least rows of one.
    random_state : int
        Seed of the trees.
    """
    pool: dict[tuple[Any, ...], Box] = {}
    rng = numpy_rng(random_state, "rules", "trees")
    for number in range(TREES):
        rows = rng.integers(len(matrix), size=len(matrix)) if number else np.arange(len(matrix))
        tree = DecisionTreeClassifier(
            max_depth=depth, min_samples_leaf=least, max_features=None if number % 2 == 0 else 0.5,
            random_state=derive(random_state, "rules", number) % 2**32,
        ).fit(matrix[rows], labels[rows])  # fmt: skip
        for bounds in _branches(tree.tree_):
            box = _simple(bounds, matrix, labels, fidelity, least)
            if box is not None:
                pool[(*sorted(box.bounds.items()), box.answer)] = box
    return _chosen(list(pool.values()), matrix, labels, most, least)


def _branches(tree: Any) -> list[dict[int, tuple[float, float]]]:
    """Return the bounds of every node below the root."""
    found: list[dict[int, tuple[float, float]]] = []

    def go(i: int, bounds: dict[int, tuple[float, float]]) -> None:
        if bounds:
            found.append(bounds)
        if tree.children_left[i] < 0:
            return
        f, at = int(tree.feature[i]), float(tree.threshold[i])
        low, high = bounds.get(f, (-np.inf, np.inf))
        go(tree.children_left[i], {**bounds, f: (low, min(high, at))})
        go(tree.children_right[i], {**bounds, f: (max(low, at), high)})

    go(0, {})
    return found


def _simple(
    bounds: dict[int, tuple[float, float]], matrix: Floats, labels: NDArray[Any], fidelity: float, least: int
) -> Box | None:
    """Return a rule without needless conditions, or ``None`` where it is not sure enough."""
    kept = inside(bounds, matrix)
    if kept.sum() < least:
        return None
    kinds, count = np.unique(labels[kept], return_counts=True)
    answer, sure = str(kinds[count.argmax()]), float(count.max() / count.sum())
    if sure < fidelity:
        return None
    bounds, right = dict(bounds), labels == answer
    for f in list(bounds):
        low, high = bounds[f]
        for looser in ({}, {f: (-np.inf, high)}, {f: (low, np.inf)}):
            if looser == {f: (low, high)}:
                continue
            rest = {**{k: v for k, v in bounds.items() if k != f}, **looser}
            if not rest:
                continue
            wider = float(right[inside(rest, matrix)].mean())
            if wider >= sure - 0.002:
                bounds, sure = rest, wider
                break
    return Box(bounds, answer, sure)


def _chosen(pool: list[Box], matrix: Floats, labels: NDArray[Any], most: int, least: int) -> Found:
    """Take the rule that newly answers most rows rightly, again and again, while that is worth a rule."""
    masks = [box.applies(matrix) for box in pool]
    worth = [np.where(labels == box.answer, 1.0, -WRONG) for box in pool]
    open_ = np.ones(len(labels), dtype=bool)
    taken: list[Box] = []
    while pool and len(taken) < most:
        gains = [float(w[m & open_].sum()) - 0.001 * len(b.bounds) for w, m, b in zip(worth, masks, pool, strict=True)]
        best = int(np.argmax(gains))
        if gains[best] < least:
            break
        taken.append(pool[best])
        open_ &= ~masks[best]
    rest = labels[open_] if open_.any() else labels
    kinds, count = np.unique(rest, return_counts=True)
    return Found(tuple(sorted(taken, key=lambda box: -box.sure)), str(kinds[count.argmax()]))
