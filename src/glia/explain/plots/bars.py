"""Mean sizes of shares as bars from zero, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from glia.explain.plots.look import INK, NORMAL_95, POINT, SHOWN, bare, new_axes, shorten

if TYPE_CHECKING:
    from glia.explain.attribution import AttributionResult


def draw_bars(result: AttributionResult, *, ax: Axes | None = None) -> Axes:
    """Draw the mean size of each feature's share, largest first.

    The whiskers are 95 % intervals of the mean over rows like these; for a single row, of the share itself where the
    method draws samples. Several outputs are averaged.
    """
    sizes = result.importance()
    order = np.argsort(-sizes, kind="stable")[:SHOWN]
    ax = new_axes(ax, 1.2 + 0.3 * len(order))
    heights = np.arange(len(order))[::-1]
    ax.barh(heights, sizes[order], color=POINT, height=0.7)
    reach = _reach(result)
    if reach is not None:
        low = np.minimum(reach, sizes)
        ax.errorbar(sizes[order], heights, xerr=[low[order], reach[order]], fmt="none", ecolor=INK, capsize=2.5, lw=1)
    ax.set_yticks(heights, [shorten(result.feature_names[i]) for i in order])
    whiskers = "" if reach is None else ", 95 % interval"
    ax.set_xlabel(f"mean size of the share ({result.unit}{whiskers})")
    ax.set_title(f"{shorten(result.feature_names[order[0]])} matters most" if len(order) else "No features", loc="left")
    return bare(ax)


def _reach(result: AttributionResult) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None:
    """Return half the width of the interval of each feature, (C,)."""
    sizes = np.abs(result.values)
    sizes = sizes.mean(axis=-1) if result.several else sizes  # (N, C)
    if len(sizes) > 1:
        return np.asarray(NORMAL_95 * sizes.std(axis=0, ddof=1) / np.sqrt(len(sizes)))
    if result.standard_error is None:
        return None
    error = result.standard_error.mean(axis=-1) if result.several else result.standard_error
    return np.asarray(NORMAL_95 * error[0])
