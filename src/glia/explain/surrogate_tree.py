"""A decision tree that answers like the model, on original columns, and how often it does on rows it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.results import Interval, Result, Table
from glia.explain.agreeing import agreement_with
from glia.explain.column_grid import number_words
from glia.explain.global_methods import picture
from glia.explain.plots.look import INK, POINT, new_axes, shorten
from glia.explain.subject import Floats
from glia.explain.table_model import table_model
from glia.explain.tree_columns import TreeColumn, answers, split, tree_columns

CLOSE = 0.01
"""A smaller tree is taken where the best is better by no more than this."""
BELIEVED = 0.8
"""Least fidelity to rely on."""


@dataclass(frozen=True)
class Node:
    """One place of a tree.

    Parameters
    ----------
    text : str
        The question, or the answer at a leaf.
    yes, no : int
        Positions of the nodes below; −1 at leaves.
    share : float
        Of the rows that come here.
    fidelity : float
        At a leaf of classes: the share of its rows for which the model gives this answer; else NaN.
    """

    text: str
    yes: int
    no: int
    share: float
    fidelity: float


@dataclass(frozen=True)
class SurrogateTreeResult(Result):
    """A tree that imitates a model.

    Parameters
    ----------
    nodes : tuple of Node
        The root first.
    depth : int
        Questions until the last answer.
    tried : tuple of (int, float)
        Depth and fidelity on the rows that chose it.
    fidelity : Interval
        On rows that neither fitted nor chose it: share of equal answers, or R².
    plain : float
        Fidelity of always giving the same answer.
    measure : {"accuracy", "R²"}
        What fidelity is.
    unseen : int
        Rows on which it was measured.
    warnings : tuple of str
        Why it should not be relied upon.
    """

    nodes: tuple[Node, ...]
    depth: int
    tried: tuple[tuple[int, float], ...]
    fidelity: Interval
    plain: float
    measure: str
    unseen: int
    warnings: tuple[str, ...] = ()

    @property
    def leaves(self) -> int:
        """Number of answers."""
        return sum(node.yes < 0 for node in self.nodes)

    def summary(self) -> str:
        """Return the size and the fidelity, and whether to rely on it."""
        what = "answers as the model does for" if self.measure == "accuracy" else "explains (R²)"
        of = "unseen rows" if self.measure == "accuracy" else "how its outputs differ on unseen rows"
        said = (
            f"A tree of depth {self.depth} with {self.leaves} leaves {what} {self.fidelity.value:.1%} "
            f"({self.fidelity.low:.1%} to {self.fidelity.high:.1%}) of {of}; one answer for all gives {self.plain:.1%}."
        ).replace("%", " %")
        return said + (f" Do not rely on it: {'; '.join(self.warnings)}." if self.warnings else "")

    def text(self) -> str:
        """Return the tree as indented lines."""
        return "\n".join(self._lines(0, 0))

    def _lines(self, place: int, level: int) -> list[str]:
        node, pad = self.nodes[place], "    " * level
        if node.yes < 0:
            sure = "" if np.isnan(node.fidelity) else f", {node.fidelity:.0%} of them"
            return [f"{pad}→ {node.text} ({node.share:.0%} of rows{sure})".replace("%", " %")]
        yes, no = self._lines(node.yes, level + 1), self._lines(node.no, level + 1)
        return [f"{pad}if {node.text}:", *yes, f"{pad}otherwise:", *no]

    def tables(self) -> list[Table]:
        """Return the tree as lines, and fidelity by depth."""
        lines = tuple((line.replace("    ", "│  "),) for line in self.text().split("\n"))
        return [Table("The tree", ("",), lines), Table("Depth", ("depth", self.measure), self.tried)]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figures ``tree`` and ``depth``."""
        return {"tree": self._draw, "depth": self._draw_depth}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        ax = new_axes(ax, 1.2 + 0.9 * (self.depth + 1), max(7.0, 1.3 * self.leaves))
        self._place(ax, 0, 0, [0])
        ax.set_xlim(-0.7, self.leaves - 0.3)
        ax.set_ylim(-self.depth - 0.5, 0.5)
        ax.set_axis_off()
        ax.set_title(f"{self.leaves} answers give {self.fidelity.value:.0%} fidelity".replace("%", " %"), loc="left")
        return ax

    def _place(self, ax: Axes, place: int, level: int, taken: list[int]) -> float:
        node = self.nodes[place]
        if node.yes < 0:
            x = float(taken[0])
            taken[0] += 1
        else:
            below = [self._place(ax, child, level + 1, taken) for child in (node.yes, node.no)]
            x = sum(below) / 2
            for at, word in zip(below, ("yes", "no"), strict=True):
                ax.plot([x, at], [-level, -level - 1], color="#999999", linewidth=1, zorder=0)
                ax.text((x + at) / 2, -level - 0.5, word, fontsize="x-small", color=INK, ha="center")
        colour = POINT if node.yes < 0 else "#FFFFFF"
        ink = "#FFFFFF" if node.yes < 0 else INK
        words = shorten(node.text, 22) + (f"\n{node.share:.0%} of rows".replace("%", " %") if node.yes < 0 else "")
        box = {"boxstyle": "round,pad=0.3", "facecolor": colour, "edgecolor": "#999999", "linewidth": 0.8}
        ax.text(x, -level, words, ha="center", va="center", fontsize="small", color=ink, bbox=box)
        return x

    def _draw_depth(self, *, ax: Axes | None = None) -> Axes:
        ax = new_axes(ax, 3.4)
        ax.plot([d for d, _ in self.tried], [f for _, f in self.tried], color=POINT, marker="o")
        ax.axvline(self.depth, color="#999999", linewidth=1)
        ax.set_xlabel("depth")
        ax.set_ylabel(f"fidelity ({self.measure})")
        ax.set_title(f"Depth {self.depth} is enough", loc="left")
        return ax


@picture("tree", "surrogate_tree")
def surrogate_tree(
    predictor: Predictor,
    X: Any,
    *,
    output: int | str | Sequence[int | str] | None = None,
    max_depth: int = 5,
    min_rows: int = 5,
    random_state: int = 0,
) -> SurrogateTreeResult:
    """Fit a small tree to a model's answers.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        N rows of a table, at least 30; no truth is needed, so that any rows of the kind will do.
    output : int, str or sequence of them, optional
        Of regressions and of several labels.
    max_depth : int
        Depths tried are 1 to this.
    min_rows : int
        Least rows of a leaf.
    random_state : int
        Seed of the split into rows that fit (60 %), choose the depth (20 %) and measure the fidelity (20 %).

    Returns
    -------
    SurrogateTreeResult

    Raises
    ------
    InputError
        If rows are no table or too few, or the model gives the same answer for all.

    Notes
    -----
    Craven and Shavlik (1996). The smallest depth is taken whose fidelity is within 0.01 of the best. A tree speaks of
    the model, not of the world, and only as far as its fidelity goes: below 0.8 the result says so.
    """
    if max_depth < 1 or min_rows < 1:
        raise InputError("max_depth and min_rows must be at least 1", f"max_depth={max_depth}, min_rows={min_rows}")
    model = table_model(predictor, X, output=output)
    if len(model.x) < 30:
        raise InputError("there must be at least 30 rows", f"{len(model.x)}", "some hundred are usual")
    made, matrix = tree_columns(model.names, [model.column(i) for i in range(len(model.names))])
    told = answers(model, X)
    values = told.values if told.classes else told.values.astype(np.float64)
    if len(np.unique(values, axis=0)) < 2:
        raise InputError("the model must give different answers", "one answer for all rows", "hand in other rows")
    fit, choose, test = split(len(matrix), (0.6, 0.2, 0.2), random_state, "surrogate tree")

    def grown(rows: NDArray[np.int64], depth: int) -> Any:
        kind = DecisionTreeClassifier if told.classes else DecisionTreeRegressor
        target = values[rows] if told.classes or values.shape[1] > 1 else values[rows, 0]
        return kind(max_depth=depth, min_samples_leaf=min_rows, random_state=0).fit(matrix[rows], target)

    def fidelity(tree: Any, rows: NDArray[np.int64]) -> Interval:
        guess = tree.predict(matrix[rows])
        return agreement_with(values[rows], guess if told.classes else guess.reshape(len(rows), -1), told.classes)

    tried = tuple((depth, fidelity(grown(fit, depth), choose).value) for depth in range(1, max_depth + 1))
    best = max(value for _, value in tried)
    depth = next(depth for depth, value in tried if value >= best - CLOSE)
    tree = grown(np.concatenate([fit, choose]), depth)
    found = fidelity(tree, test)
    same = _same(values[np.concatenate([fit, choose])], told.classes)
    plain = agreement_with(values[test], np.repeat(same, len(test), axis=0), told.classes).value
    nodes = _nodes(tree, made, model.seen.output_names, told.classes)
    said = f"it answers otherwise than the model too often (fidelity {found.value:.2f}, less than {BELIEVED})"
    measure = "accuracy" if told.classes else "R²"
    warnings = (said,) * (not found.value >= BELIEVED)
    return SurrogateTreeResult(nodes, _depth(nodes, 0), tried, found, plain, measure, len(test), warnings)


def _same(values: NDArray[Any], classes: bool) -> NDArray[Any]:
    if not classes:
        return np.asarray(values.mean(axis=0, keepdims=True))
    kinds, count = np.unique(values, return_counts=True)
    return np.asarray(kinds[[count.argmax()]])


def _nodes(tree: Any, made: Sequence[TreeColumn], outputs: Sequence[str], classes: bool) -> tuple[Node, ...]:
    """Return the tree's nodes; leaves side by side that give the same class become one."""
    t = tree.tree_
    nodes: list[Node] = []

    def answer(i: int) -> tuple[str, float]:
        value: Floats = np.asarray(t.value[i])
        if classes:
            shares = value[0] / value[0].sum()
            return str(tree.classes_[int(shares.argmax())]), float(shares.max())
        found = [number_words(float(v)) for v in value[:, 0]]
        said = [f"{n} {v}" for n, v in zip(outputs, found, strict=True)] if len(found) > 1 else found
        return ", ".join(said), float("nan")

    def only(i: int) -> set[str]:
        if t.children_left[i] < 0:
            return {answer(i)[0]}
        return only(t.children_left[i]) | only(t.children_right[i])

    def add(i: int) -> int:
        place, share = len(nodes), float(t.n_node_samples[i] / t.n_node_samples[0])
        if t.children_left[i] < 0 or (classes and len(only(i)) == 1):
            text, sure = answer(i)
            nodes.append(Node(text, -1, -1, share, sure))
            return place
        column, at = made[t.feature[i]], float(t.threshold[i])
        level = column.kind in ("level", "missing")  # asked for what is so, not for what is not
        text = column.says(at, np.inf) if level else column.says(-np.inf, at)
        nodes.append(Node(text, 0, 0, share, float("nan")))
        below = (t.children_right[i], t.children_left[i]) if level else (t.children_left[i], t.children_right[i])
        yes, no = add(below[0]), add(below[1])
        nodes[place] = Node(text, yes, no, share, float("nan"))
        return place

    add(0)
    return tuple(nodes)


def _depth(nodes: tuple[Node, ...], place: int) -> int:
    node = nodes[place]
    return 0 if node.yes < 0 else 1 + max(_depth(nodes, node.yes), _depth(nodes, node.no))
