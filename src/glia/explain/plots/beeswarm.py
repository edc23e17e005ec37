"""Every row's share of every feature as a point, coloured by the feature's value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from glia.explain.plots.look import QUIET, Floats, bare, new_axes, numbers, shorten, view

if TYPE_CHECKING:
    from glia.explain.attribution import AttributionResult

MOST_POINTS = 2000
"""Rows that are drawn; more are thinned evenly."""
_BINS = 60


def draw_beeswarm(result: AttributionResult, *, ax: Axes | None = None, output: int | str = 0) -> Axes:
    """Draw where the rows' shares lie, feature by feature, the most important on top.

    Colour is the feature's rank among the rows, from low (dark) to high (light); words, and features whose values are
    unknown, are grey.
    """
    seen = view(result, output)
    order = seen.order()
    ax = new_axes(ax, 1.4 + 0.34 * len(order))
    rows = np.unique(np.linspace(0, len(seen.values) - 1, min(MOST_POINTS, len(seen.values))).astype(int))
    span = float(np.ptp(seen.values[rows])) or 1.0
    drawn = None
    for height, feature in zip(range(len(order))[::-1], order, strict=True):
        share = seen.values[rows, feature]
        at = height + spread(share, span)
        column = None if seen.data is None else numbers(seen.data[rows, feature])
        if column is None:
            ax.scatter(share, at, s=14, color=QUIET, alpha=0.8, linewidths=0)
            continue
        known = np.isfinite(column)
        ax.scatter(share[~known], at[~known], s=14, color=QUIET, marker="x", linewidths=0.8)
        rank = _ranks(column[known])
        drawn = ax.scatter(share[known], at[known], s=14, c=rank, cmap="viridis", vmin=0, vmax=1, linewidths=0)
    ax.axvline(0, color="#5A626B", linewidth=0.8)
    ax.set_yticks(range(len(order))[::-1], [shorten(seen.names[i]) for i in order])
    ax.set_ylim(-0.6, len(order) - 0.4)
    ax.set_xlabel(f"{seen.label} (each point is a row)")
    if drawn is not None:
        bar = ax.figure.colorbar(drawn, ax=ax, ticks=[0, 1], aspect=40, pad=0.02)
        bar.ax.set_yticklabels(["low", "high"])
        bar.set_label("value of the feature", labelpad=-12)
        bar.outline.set_visible(False)
    ax.set_title(f"{shorten(seen.names[order[0]])} matters most" if len(order) else "No features", loc="left")
    return bare(ax)


def spread(share: Floats, span: float, width: float = 0.76) -> Floats:
    """Return offsets around 0 that keep points with like shares apart, within ± width / 2."""
    bins = np.floor((share - share.min()) / span * _BINS).astype(int)
    offsets, most = np.zeros(len(share)), 1
    for one in np.unique(bins):
        where = np.flatnonzero(bins == one)
        place = np.arange(len(where))
        offsets[where] = np.where(place % 2, (place + 1) // 2, -(place // 2))
        most = max(most, len(where))
    return np.asarray(offsets * min(0.12, width / most))


def _ranks(values: Floats) -> Floats:
    """Return ranks in [0, 1], equal for equal values; 0.5 where all are equal."""
    _, place = np.unique(values, return_inverse=True)
    return np.full(len(values), 0.5) if place.max(initial=0) == 0 else np.asarray(place / place.max())
