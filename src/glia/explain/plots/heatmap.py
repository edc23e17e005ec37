"""Shares of an image's places as a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from glia.core.errors import InputError
from glia.explain.plots.look import DIVERGING, bare, new_axes, row_of, view

if TYPE_CHECKING:
    from glia.explain.attribution import AttributionResult


def draw_heatmap(result: AttributionResult, *, ax: Axes | None = None, row: int = 0, output: int | str = 0) -> Axes:
    """Draw what each place of an image adds: orange raises the output, blue lowers it; channels are summed.

    Raises
    ------
    InputError
        If rows are not images, (C, H, W) or (H, W).
    """
    seen = view(result, output)
    row = row_of(seen, row)
    shares = seen.values[row]
    if shares.ndim not in (2, 3):
        raise InputError("a heat map needs images", f"rows of shape {shares.shape}", "rows are (C, H, W) or (H, W)")
    places = shares.sum(axis=0) if shares.ndim == 3 else shares
    reach = float(np.quantile(np.abs(places), 0.995)) or float(np.abs(places).max()) or 1.0
    ax = new_axes(ax, 4.4, 5.2)
    drawn = ax.imshow(places, cmap=DIVERGING, vmin=-reach, vmax=reach, interpolation="nearest")
    bar = ax.figure.colorbar(drawn, ax=ax, aspect=30, pad=0.02)
    bar.set_label(f"{seen.label}, per place")
    bar.outline.set_visible(False)
    bare(ax, keep=())
    ax.grid(visible=False)
    ax.set_xticks([])
    ax.set_yticks([])
    top, left = np.unravel_index(int(np.abs(places).argmax()), places.shape)
    ax.set_title(f"Row {row}: strongest at line {top}, column {left}", loc="left")
    return ax
