"""Reliability: how often what was called likely did happen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from glia.report.charts.base import WIDTH, Chart, Frame, Scale, drawing, el, line, path, text, tip
from glia.report.words import number, percent


def wilson(share: float, count: float, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's interval of a share seen in ``count`` rows (95 % by default), within [0, 1]."""
    if count <= 0:
        return 0.0, 1.0
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def reliability_chart(key: str, title: str, bins: Sequence[Mapping[str, Any]], *, note: str = "") -> Chart:
    """Draw the frequency seen against the probability stated, bin by bin, over the number of rows in each bin.

    Parameters
    ----------
    key, title, note : str
        Words.
    bins : sequence of mappings
        ``low``, ``high`` (edges), ``confidence`` (mean stated), ``frequency`` (seen) and ``count``.

    Raises
    ------
    ValueError
        If no bin has rows.
    """
    filled = [b for b in bins if b.get("count") and b.get("frequency") is not None and b.get("confidence") is not None]
    if not filled:
        raise ValueError("at least one bin must have rows")
    left, right, bottom, top = 46.0, WIDTH - 10, 284.0, 34.0
    frame = Frame(Scale(0, 1, left, right), Scale(0, 1, bottom, top), "probability stated", "frequency seen")
    parts = [*frame.draw(), line(frame.x(0), frame.y(0), frame.x(1), frame.y(1), "guide")]
    parts.append(text(frame.x(0.3) - 8, frame.y(0.3) - 12, "as stated", "note", "end"))
    most = max(float(b["count"]) for b in filled)
    rows = []
    for b in filled:
        x0, x1 = frame.x(float(b["low"])) + 1, frame.x(float(b["high"])) - 1
        tall = max(1.0, 40 * float(b["count"]) / most)
        parts.append(el("rect", x=x0, y=bottom - tall, width=max(1.0, x1 - x0), height=tall, class_="rows"))
        rows.append((*(float(b[k]) for k in ("confidence", "frequency")), *wilson(b["frequency"], b["count"])))
    points = [(frame.x(r[0]), frame.y(r[1])) for r in rows]
    parts.append(path(points, "line valid thin"))
    for (x, y), r, b in zip(points, rows, filled, strict=True):
        bar = line(x, frame.y(r[2]), x, frame.y(r[3]), "whisker")
        dot = el("circle", cx=x, cy=y, r=4.5, class_="point valid")
        words = f"stated {percent(r[0])}, seen {percent(r[1])}, {number(b['count'])} rows"
        parts += [bar, tip(dot, words)]
    parts.append(text(frame.x(1) - 2, bottom - 46, "grey: rows in each bin", "note", "end"))
    description = "Frequency seen against probability stated: " + "; ".join(
        f"stated {percent(r[0])}, seen {percent(r[1])} of {number(b['count'])} rows"
        for r, b in zip(rows, filled, strict=True)
    )
    table = tuple((*r, b["count"]) for r, b in zip(rows, filled, strict=True))
    svg = drawing(key, title, description + ".", 322, parts)
    return Chart(
        key,
        title,
        description + ".",
        svg,
        ("stated", "seen", "low", "high", "rows"),
        table,
        [dict(b) for b in bins],
        note,
    )
