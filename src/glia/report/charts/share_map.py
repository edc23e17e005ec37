"""A square map of shares: how much of each place comes from each other one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glia.report.charts.base import Chart, Scale, drawing, el, text, tip
from glia.report.words import number, percent

MOST = 32
"""Most cells along a side: longer ones are averaged."""
_LEFT, _TOP, _SIDE = 44.0, 26.0, 300.0
_INK = "#0072B2"


def share_map(
    key: str, title: str, shares: NDArray[np.float64], *, x_label: str, y_label: str, note: str = ""
) -> Chart:
    """Draw shares (T, T), whose lines add up to 1, as cells that are darker where they are larger.

    Neighbouring places are put together where there are more than 32: along a line shares are added, over lines
    averaged.
    """
    places = len(shares)
    edges = np.unique(np.linspace(0, places, min(places, MOST) + 1).round().astype(int))
    summed = np.add.reduceat(shares, edges[:-1], axis=1)
    cells = np.add.reduceat(summed, edges[:-1], axis=0) / np.diff(edges)[:, None]
    scale = Scale(0.0, float(places), _LEFT, _LEFT + _SIDE)
    down = Scale(0.0, float(places), _TOP, _TOP + _SIDE)
    most = float(cells.max()) or 1.0
    parts = [text(2, _TOP - 12, y_label, "axis")]
    parts.append(el("rect", x=_LEFT, y=_TOP, width=_SIDE, height=_SIDE, class_="empty"))
    for i, (top, bottom) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        for j, (left, right) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
            if cells[i, j] < 0.02 * most:
                continue
            box = el(
                "rect", x=scale(left), y=down(top), width=scale(right) - scale(left),
                height=down(bottom) - down(top), fill=_INK, fill_opacity=float(cells[i, j] / most),
            )  # fmt: skip
            parts.append(tip(box, f"{top} to {bottom - 1} from {left} to {right - 1}: {percent(float(cells[i, j]))}"))
    for value, words in scale.ticks():
        parts.append(text(scale(value), _TOP + _SIDE + 17, words, "tick", "middle"))
        parts.append(text(_LEFT - 6, down(value) + 4, words, "tick", "end"))
    parts.append(text(_LEFT + _SIDE / 2, _TOP + _SIDE + 34, x_label, "axis", "middle"))
    mean = cells.mean(axis=0)
    best = int(mean.argmax())
    description = f"Map of {places} by {places} places; most comes from {edges[best]} to {edges[best + 1] - 1}."
    rows = tuple((int(a), int(b) - 1, float(m)) for a, b, m in zip(edges[:-1], edges[1:], mean, strict=True))
    return Chart(
        key, title, description, drawing(key, title, description, _TOP + _SIDE + 44, parts),
        ("from", "to", "mean share"), rows, {"edges": edges.tolist(), "shares": cells.tolist()},
        note or f"Darkest: {number(most, 2)} of a line.",
    )  # fmt: skip
