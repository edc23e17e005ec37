"""Predicted against true values: points while they can be told apart, hexagons coloured by density beyond."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup

from glia.report.charts.base import WIDTH, Chart, Frame, Scale, drawing, el, line, text, thin, tip
from glia.report.charts.colour import viridis
from glia.report.words import number

_MOST_POINTS = 500
_RADIUS = 7.0


def agreement_chart(
    key: str, title: str, true: Sequence[float], predicted: Sequence[float], *, unit: str = "", note: str = ""
) -> Chart:
    """Draw predicted against true values on equal axes; on the dashed line a prediction is exact.

    Raises
    ------
    ValueError
        If there are no points, or the lengths differ.
    """
    if not true or len(true) != len(predicted):
        raise ValueError("true and predicted must have equal lengths, at least one")
    low, high = min(*true, *predicted), max(*true, *predicted)
    pad = (high - low) * 0.03 or 1.0
    suffix = f" ({unit})" if unit else ""
    left, right, bottom, top = 52.0, WIDTH - 10, 330.0, 34.0
    frame = Frame(
        Scale(low - pad, high + pad, left, right),
        Scale(low - pad, high + pad, bottom, top),
        f"true value{suffix}",
        f"predicted value{suffix}",
    )
    parts = frame.draw(5, 5)
    points = [(frame.x(t), frame.y(p)) for t, p in zip(true, predicted, strict=True)]
    if len(points) > _MOST_POINTS:
        parts += _hexagons(points)
    else:
        for (x, y), t, p in zip(points, true, predicted, strict=True):
            parts.append(
                tip(el("circle", cx=x, cy=y, r=3.2, class_="cloud"), f"true {number(t)}, predicted {number(p)}")
            )
    parts.append(line(left, bottom, right, top, "guide"))
    parts.append(text(right - 30, top + 12, "exact", "note", "end"))
    errors = sorted(abs(t - p) for t, p in zip(true, predicted, strict=True))
    description = (
        f"{number(len(true))} predicted against true values from {number(low)} to {number(high)}; "
        f"half lie within {number(errors[len(errors) // 2])} of the truth."
    )
    return Chart(
        key,
        title,
        description,
        drawing(key, title, description, 368, parts),
        ("true", "predicted"),
        thin(list(zip(true, predicted, strict=True)), 40),
        {"true": list(true), "predicted": list(predicted)},
        note,
    )


def _hexagons(points: Sequence[tuple[float, float]]) -> list[Markup]:
    """Return a tiling by hexagons, those with points only: the nearer of two shifted rectangular lattices wins."""
    wide, tall = math.sqrt(3) * _RADIUS, 3 * _RADIUS
    counts: Counter[tuple[float, float]] = Counter()
    for x, y in points:
        even = (round(x / wide) * wide, round(y / tall) * tall)
        odd = ((math.floor(x / wide) + 0.5) * wide, (math.floor(y / tall) + 0.5) * tall)
        counts[min(even, odd, key=lambda c: (c[0] - x) ** 2 + (c[1] - y) ** 2)] += 1
    peak = max(counts.values())
    corners = [(_RADIUS * math.sin(math.pi * k / 3), _RADIUS * math.cos(math.pi * k / 3)) for k in range(6)]
    parts = []
    for (x, y), count in sorted(counts.items()):
        shape = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
        fill = viridis(math.log1p(count) / math.log1p(peak))
        parts.append(tip(el("polygon", points=shape, fill=fill), f"{count} rows"))
    return parts
