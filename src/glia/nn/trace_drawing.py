"""A drawing of one row's way through a network: values forwards, gradients backwards, the strongest path in front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from matplotlib.figure import Figure

from glia.nn.trace_path import Stage, Step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_UP, _DOWN, _GREY, _INK = "#0072B2", "#D55E00", "#BBBBBB", "#222222"


class Drawn(Protocol):
    """A trace with gradients."""

    def stages(self) -> tuple[Stage, ...]:
        """Return its columns."""

    def path(self, row: int = 0) -> tuple[Step, ...]:
        """Return the unit on the path in each of them."""


def draw_path(trace: Drawn, ax: Axes | None = None, *, row: int = 0, units: int = 5) -> Any:
    """Draw the units of each layer through which most flows, and the strongest path through them.

    Parameters
    ----------
    trace : TraceResult
        With gradients.
    ax : Axes, optional
        Where to draw.
    row : int
        Of the batch.
    units : int
        Most units drawn of a layer, at least 1.
    """
    columns, path = trace.stages(), trace.path(row)
    chosen = [_chosen(stage, row, step.unit, max(1, units)) for stage, step in zip(columns, path, strict=True)]
    tallest = max(len(one) for one in chosen)
    if ax is None:
        size = (max(6.0, 1.9 * len(columns)), 1.2 + 0.95 * tallest)
        ax = Figure(figsize=size, layout="constrained").subplots()
    places = [_places(len(one), tallest) for one in chosen]
    for x in range(1, len(columns)):
        _edges(ax, x, columns[x - 1 : x + 1], chosen[x - 1 : x + 1], places[x - 1 : x + 1], row)
    for x, (stage, step, own, heights) in enumerate(zip(columns, path, chosen, places, strict=True)):
        for unit, y in zip(own, heights, strict=True):
            _node(ax, (x, y), stage, row, unit, unit == step.unit)
        hidden = stage.activation.shape[1] - len(own)
        more = f"\n{hidden:,} more" if hidden else ""
        ax.text(x, tallest - 0.35, f"{stage.name}{more}", ha="center", va="bottom", fontsize=8, color=_INK)
    line = [heights[own.index(s.unit)] for s, own, heights in zip(path, chosen, places, strict=True)]
    ax.plot(range(len(columns)), line, color=_INK, linewidth=2.2, zorder=2)
    ax.set_xlim(-0.6, len(columns) - 0.4)
    ax.set_ylim(-0.8, tallest + 0.35)
    ax.set_axis_off()
    ax.set_title("z pre-activation · a activation · f′ local derivative · g gradient", loc="left", fontsize=9)
    return ax


def _chosen(stage: Stage, row: int, unit: int, units: int) -> list[int]:
    """Return the units to draw, the one on the path among them, in their order."""
    sizes = np.nan_to_num(np.abs(stage.gradient[row] * stage.activation[row]))
    first = [int(i) for i in np.argsort(-sizes, kind="stable")[:units]]
    return sorted(first if unit in first else [*first[: units - 1], unit])


def _places(count: int, tallest: int) -> list[float]:
    return [(tallest - 1) / 2 + (count - 1) / 2 - i for i in range(count)]


def _edges(
    ax: Any, x: int, pair: Sequence[Stage], chosen: Sequence[list[int]], places: Sequence[list[float]], row: int
) -> None:
    before, stage = pair
    if stage.weight is None:
        return
    flows = stage.weight[np.ix_(chosen[1], chosen[0])] * before.activation[row][chosen[0]]
    most = float(np.abs(flows).max()) or 1.0
    for i, y in enumerate(places[1]):
        for j, start in enumerate(places[0]):
            flow = float(flows[i, j])
            width = 0.3 + 2.2 * abs(flow) / most
            ax.plot((x - 1, x), (start, y), color=_UP if flow > 0 else _DOWN, linewidth=width, alpha=0.35, zorder=1)


def _node(ax: Any, at: tuple[float, float], stage: Stage, row: int, unit: int, on_path: bool) -> None:
    value = float(stage.activation[row, unit])
    colour = _UP if value > 0 else _DOWN if value < 0 else _GREY
    edge, width = (_INK, 2.0) if on_path else ("white", 1.0)
    ax.scatter(*at, s=190, color=colour, edgecolors=edge, linewidths=width, zorder=3)
    ax.text(
        *at, str(unit), ha="center", va="center", fontsize=6.5, color="black" if colour == _GREY else "white", zorder=4
    )
    words = [f"a {value:.3g}", f"g {float(stage.gradient[row, unit]):.2g}"]
    if stage.derivative is not None:
        before, slope = float(stage.pre_activation[row, unit]), float(stage.derivative[row, unit])
        words = [f"z {before:.3g}", words[0], f"f′ {slope:.2g}", words[1]]
    back = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
    ax.text(at[0], at[1] - 0.2, "\n".join(words), ha="center", va="top", fontsize=6.5, color=_INK, bbox=back, zorder=4)
