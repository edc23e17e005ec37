"""One row's shares as steps from the base to the output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from glia.explain.plots.look import (
    DOWN,
    INK,
    SHOWN,
    UP,
    Floats,
    View,
    bare,
    new_axes,
    row_of,
    shorten,
    shown,
    signed,
    view,
)

if TYPE_CHECKING:
    from glia.explain.attribution import AttributionResult


def draw_waterfall(
    result: AttributionResult, *, ax: Axes | None = None, row: int = 0, output: int | str = 0, most: int = 12
) -> Axes:
    """Draw how the shares of one row lead from the base at the bottom to its output on top.

    The largest ``most`` shares (at most 20) have a step each, the rest one together. Whiskers are 95 % intervals where
    the method has standard errors.
    """
    seen = view(result, output)
    row = row_of(seen, row)
    names, steps, errors = steps_of(seen, row, min(most, SHOWN))
    base = 0.0 if seen.base is None else float(seen.base[row])
    ends = base + np.cumsum(steps)
    starts = ends - steps
    ax = new_axes(ax, 1.5 + 0.34 * len(steps))
    heights = np.arange(len(steps), dtype=np.float64)
    ax.barh(heights, steps, left=starts, height=0.62, color=[UP if step >= 0 else DOWN for step in steps])
    if errors is not None:
        ax.errorbar(ends, heights, xerr=1.96 * errors, fmt="none", ecolor=INK, capsize=2.5, lw=1)
    for end, height in zip(ends[:-1], heights[:-1], strict=True):
        ax.plot([end, end], [height, height + 1], color="#999999", lw=0.8)
    span = float(np.ptp(np.concatenate([starts, ends]))) or 1.0
    for start, end, height in zip(starts, ends, heights, strict=True):
        text = signed(end - start)
        ax.text(max(start, end) + 0.015 * span, height, text, va="center", ha="left", fontsize="small", color=INK)
    ax.set_xlim(right=max(starts.max(), ends.max()) + 0.14 * span)
    ax.axvline(base, color="#5A626B", lw=0.8, ls=(0, (4, 4)))
    ax.set_yticks(heights, names)
    ax.set_xlabel(f"from the base {base:.4g} to {ends[-1]:.4g}, in {seen.unit} (dashed: base)".replace("-", "−"))
    first = int(np.abs(seen.values[row]).argmax())
    moves = "raises" if seen.values[row, first] >= 0 else "lowers"
    ax.set_title(f"Row {row}: {shorten(seen.names[first])} {moves} it most{seen.title}", loc="left")
    return bare(ax)


def steps_of(seen: View, row: int, most: int) -> tuple[list[str], Floats, Floats | None]:
    """Return labels, shares and standard errors of the steps from the base upwards, the largest last."""
    shares = seen.values[row]
    order = np.argsort(-np.abs(shares), kind="stable")
    kept, rest = (order, order[:0]) if len(order) <= most else (order[: most - 1], order[most - 1 :])
    names = [_named(seen, row, i) for i in kept]
    steps, errors = shares[kept], None if seen.error is None else seen.error[row, kept]
    if len(rest):
        names.append(f"{len(rest)} others")
        steps = np.append(steps, shares[rest].sum())
        errors = (
            None if errors is None or seen.error is None else np.append(errors, np.hypot.reduce(seen.error[row, rest]))
        )
    return names[::-1], steps[::-1], None if errors is None else errors[::-1]


def _named(seen: View, row: int, feature: int) -> str:
    name = shorten(seen.names[feature], 22)
    return name if seen.data is None else f"{name} = {shown(seen.data[row, feature])}"
