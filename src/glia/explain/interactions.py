"""Friedman's H: how much of what two columns do together is more than what each does by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.results import Result, Table
from glia.core.seeds import numpy_rng
from glia.explain.global_methods import picture
from glia.explain.partial_dependence import dependence
from glia.explain.plots.look import POINT, QUIET, SHOWN, bare, new_axes, shorten
from glia.explain.subject import Floats
from glia.explain.table_model import TableModel, table_model

PARTS = 5
"""Parts of the background, each of which sees an interaction by itself."""
SHUFFLES = 200
MOST_COLUMNS = 8


@dataclass(frozen=True)
class Pair:
    """How two columns interact.

    Parameters
    ----------
    first, second : str
        The columns.
    strength : float
        H in [0, 1]: the share (root of the share of the variance) of their joint effect that is more than a sum.
    size : float
        Root mean square of the interaction, in the output's units.
    null : float
        What ``strength`` reaches by chance in 5 of 100 cases where nothing is shared.
    """

    first: str
    second: str
    strength: float
    size: float
    null: float

    @property
    def clear(self) -> bool:
        """Whether it is more than chance gives."""
        return self.strength > self.null and self.strength > 1e-4


@dataclass(frozen=True)
class InteractionsResult(Result):
    """Pairs of columns, the largest interaction first.

    Parameters
    ----------
    pairs : tuple of Pair
        By falling ``size``.
    columns : tuple of str
        Those that were looked at.
    unit : str
        Of the sizes.
    rows, parts, members : int
        Rows at which, parts of rows over which, and members whose effects were compared.
    warnings : tuple of str
        What was left out.
    """

    pairs: tuple[Pair, ...]
    columns: tuple[str, ...]
    unit: str
    rows: int
    parts: int
    members: int
    warnings: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return the strongest pair and how many are more than chance."""
        clear = [pair for pair in self.pairs if pair.clear]
        if not clear:
            return f"None of {len(self.pairs)} pairs of columns interacts by more than chance gives."
        first = clear[0]
        return (
            f"{first.first!r} and {first.second!r} interact most: H {first.strength:.2f} (by chance up to "
            f"{first.null:.2f}), {first.size:.3g} {self.unit}; {len(clear)} of {len(self.pairs)} pairs are clear."
        )

    def tables(self) -> list[Table]:
        """Return one row per pair."""
        rows = tuple((p.first, p.second, p.strength, p.null, p.size, "yes" if p.clear else "no") for p in self.pairs)
        heads = ("column", "and", "H", "by chance up to", f"size ({self.unit})", "clear")
        return [Table(f"Interactions, {self.rows} × {self.rows} rows", heads, rows)]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``strength``: H of each pair, and the level of chance."""
        return {"strength": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        shown = self.pairs[:SHOWN]
        heights = np.arange(len(shown))[::-1]
        ax = new_axes(ax, 1.2 + 0.3 * len(shown))
        colours = [POINT if pair.clear else QUIET for pair in shown]
        ax.barh(heights, [pair.strength for pair in shown], color=colours, height=0.7)
        ax.plot([pair.null for pair in shown], heights, "|", color="black", markersize=12, markeredgewidth=2)
        ax.set_yticks(heights, [f"{shorten(p.first, 16)} × {shorten(p.second, 16)}" for p in shown])
        ax.set_xlabel("H: share of the joint effect that is no sum (black: by chance)")
        clear = [pair for pair in shown if pair.clear]
        title = f"{shorten(clear[0].first, 20)} and {shorten(clear[0].second, 20)} interact most" if clear else ""
        ax.set_title(title or "No interaction beyond chance", loc="left")
        return bare(ax)


@picture("interactions")
def interactions(
    predictor: Predictor,
    X: Any,
    columns: Sequence[str | int] | None = None,
    *,
    output: int | str | Sequence[int | str] | None = None,
    space: str = "logit",
    rows: int = 60,
    random_state: int = 0,
) -> InteractionsResult:
    """Compare the joint effect of each pair of columns with the sum of the two effects.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        N rows of a table.
    columns : sequence, optional
        All pairs of these columns; by default of those with the largest effects, eight at most.
    output, space
        As in ``glia.explain.partial_dependence``; several outputs are taken together.
    rows : int
        Rows at which effects are compared, and over which they are averaged, at least 10: rows² runs of the network
        for each pair.
    random_state : int
        Seed of which rows, and of the shuffles.

    Returns
    -------
    InteractionsResult

    Raises
    ------
    InputError
        If there are fewer than two columns, or too few rows.

    Notes
    -----
    H² = Σ (F_jk − F_j − F_k)² / Σ F_jk², with centred partial dependence F at the rows: Friedman and Popescu, arXiv
    0811.1679. It is exactly 0 for sums of functions of single columns. The level of chance: the interaction is measured
    on five parts of the averaged rows, and for each member of a network by itself; then each of these is permuted among
    the rows before their mean is taken. What the parts and members do not share does not survive the mean, shuffled or
    not. It does not cover that training again on other rows could give another network.
    """
    if rows < 2 * PARTS:
        raise InputError(f"rows must be at least {2 * PARTS}", f"rows={rows}", "60 are usual")
    model = table_model(predictor, X, output=output, space=space, rows=rows, random_state=random_state)
    if len(model.names) < 2 or len(model.x) < 2 * PARTS:
        raise InputError("there must be two columns and ten rows", f"{len(model.names)} columns, {len(model.x)} rows")
    asked = range(len(model.names)) if columns is None else [model.place(column) for column in columns]
    single = {place: _effects(model, (place,)) for place in dict.fromkeys(asked)}
    warnings: tuple[str, ...] = ()
    if columns is None and len(single) > MOST_COLUMNS:
        order = sorted(single, key=lambda i: -float((single[i][0] ** 2).mean()))[:MOST_COLUMNS]
        warnings = (f"only the {MOST_COLUMNS} columns with the largest effects of {len(single)} were paired",)
        single = {place: single[place] for place in sorted(order)}
    if len(single) < 2:
        raise InputError("there must be two columns to compare", f"{len(single)}", "name at least two")
    rng = numpy_rng(random_state, "interactions")
    pairs = [_pair(model, j, k, single, rng) for j, k in combinations(single, 2)]
    pairs.sort(key=lambda pair: -pair.size)
    members = len(single[next(iter(single))][1]) // PARTS
    names = tuple(model.names[place] for place in single)
    return InteractionsResult(tuple(pairs), names, model.seen.unit, len(model.x), PARTS, members, warnings)


def _effects(model: TableModel, columns: Sequence[int]) -> tuple[Floats, Floats]:
    """Return centred partial dependence at the rows, (N, O), and by part and member, (K · parts, N, O)."""
    whole, members = dependence(model, columns, model.x, model.x)
    parts = np.array_split(np.arange(len(model.x)), PARTS)
    own = np.concatenate([members[:, :, part].mean(axis=2) for part in parts])
    mean = whole.mean(axis=1)
    return mean - mean.mean(axis=0), own - own.mean(axis=1, keepdims=True)


def _pair(
    model: TableModel, j: int, k: int, single: dict[int, tuple[Floats, Floats]], rng: np.random.Generator
) -> Pair:
    joint, by_part = _effects(model, (j, k))
    more = joint - single[j][0] - single[k][0]
    parts = by_part - single[j][1] - single[k][1]  # (P, N, O)
    whole = float((joint**2).sum())
    left = float((more**2).sum())
    if whole <= 0 or left <= 1e-12 * whole:
        return Pair(model.names[j], model.names[k], 0.0, 0.0, 0.0)
    sizes = []
    for _ in range(SHUFFLES):
        mean = np.mean([part[rng.permutation(len(part))] for part in parts], axis=0)
        sizes.append(float((mean**2).sum()))
    null = float(np.quantile(sizes, 0.95))
    strength, by_chance = min(1.0, np.sqrt(left / whole)), min(1.0, np.sqrt(null / whole))
    size = float(np.sqrt((more**2).mean()))
    return Pair(model.names[j], model.names[k], float(strength), size, float(by_chance))
