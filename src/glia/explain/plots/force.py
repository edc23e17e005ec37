"""One row's shares side by side: what pushes the output up from the left, what pushes it down from the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from glia.explain.plots.look import DOWN, INK, UP, bare, new_axes, row_of, shorten, shown, view

if TYPE_CHECKING:
    from glia.explain.attribution import AttributionResult

_NAMED = 0.11
"""Pieces narrower than this part of the whole go without a name: names would cover each other."""


def draw_force(result: AttributionResult, *, ax: Axes | None = None, row: int = 0, output: int | str = 0) -> Axes:
    """Draw raising shares (left, above) and lowering shares (right, below) that meet at the row's output."""
    seen = view(result, output)
    row = row_of(seen, row)
    shares = seen.values[row]
    base = 0.0 if seen.base is None else float(seen.base[row])
    meet = base + float(shares.sum())
    ax = new_axes(ax, 2.6)
    whole = float(np.abs(shares).sum()) or 1.0
    for sign, colour, level in ((1, UP, 1), (-1, DOWN, -1)):
        at = meet
        side = np.flatnonzero(shares * sign > 0)
        for feature in side[np.argsort(-np.abs(shares[side]), kind="stable")]:
            size = abs(float(shares[feature]))
            left = at - size if sign > 0 else at
            ax.barh(0, size, left=left, height=0.5, color=colour, edgecolor="white", linewidth=0.8)
            if size / whole >= _NAMED:
                name = shorten(seen.names[feature], 18)
                name += "" if seen.data is None else f"\n{shown(seen.data[row, feature])}"
                ax.text(left + size / 2, 0.36 * level, name, ha="center", va="bottom" if level > 0 else "top",
                        fontsize="small", color=INK)  # fmt: skip
            at -= sign * size
    ax.plot([meet, meet], [-0.3, 0.3], color="black", lw=1.6)
    ax.plot([base, base], [-0.3, 0.3], color="#5A626B", lw=1, ls=(0, (3, 3)))
    ax.set_ylim(-0.95, 0.95)
    ax.set_yticks([])
    ax.set_xlabel(f"{seen.unit}: base {base:.4g} (dashed), output {meet:.4g} (black)".replace("-", "−"))
    up, down = shares[shares > 0].sum(), shares[shares < 0].sum()
    ax.set_title(
        f"Row {row}: {up:+.3g} from raising and {down:+.3g} from lowering shares{seen.title}".replace("-", "−"),
        loc="left",
    )
    return bare(ax)
