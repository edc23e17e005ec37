"""Counts over bins: a full chart, and a miniature for one line of a table."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from glia.report.charts.base import WIDTH, Chart, Frame, Scale, drawing, el, line, text, tip
from glia.report.words import number


def histogram_chart(
    key: str,
    title: str,
    edges: Sequence[float],
    counts: Sequence[int],
    *,
    x_label: str,
    mark: tuple[float, str] | None = None,
    note: str = "",
) -> Chart:
    """Draw the number of rows in each bin, with one value pointed out.

    Raises
    ------
    ValueError
        If there is not exactly one edge more than counts, or no count.
    """
    if not counts or len(edges) != len(counts) + 1:
        raise ValueError("a histogram needs counts and one edge more than counts")
    left, right, bottom, top = 46.0, WIDTH - 10, 206.0, 34.0
    frame = Frame(
        Scale(edges[0], edges[-1], left, right), Scale(0, max(*counts, 1) * 1.05, bottom, top), x_label, "rows"
    )
    parts = frame.draw()
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        x, y = frame.x(low), frame.y(count)
        bar = el("rect", x=x + 0.5, y=y, width=max(0.6, frame.x(high) - x - 1), height=bottom - y, class_="bar test")
        parts.append(tip(bar, f"{number(low)} to {number(high)}: {number(count)} rows"))
    if mark:
        x = frame.x(mark[0])
        parts += [line(x, top, x, bottom, "guide"), text(x + 5, top + 10, mark[1], "note")]
    peak = max(range(len(counts)), key=lambda i: counts[i])
    description = (
        f"Histogram of {x_label} over {len(counts)} bins from {number(edges[0])} to {number(edges[-1])}; "
        f"the fullest bin, {number(edges[peak])} to {number(edges[peak + 1])}, has {number(counts[peak])} rows."
    )
    rows = tuple(zip(edges, edges[1:], counts, strict=False))
    data = {"edges": list(edges), "counts": list(counts)}
    svg = drawing(key, title, description, 248, parts)
    return Chart(key, title, description, svg, ("from", "to", "rows"), rows, data, note)


def miniature(counts: Sequence[float], words: str) -> Markup:
    """Return a histogram of 120 × 26 units without axes, one path, with ``words`` for those who cannot see it."""
    peak = max([float(c) for c in counts], default=0.0) or 1.0
    step = 120 / max(1, len(counts))
    shape = "".join(
        f"M{i * step:.1f} 26V{26 - 25 * c / peak:.1f}h{max(0.8, step - 0.8):.1f}V26z" for i, c in enumerate(counts) if c
    )
    return el(
        "svg",
        el("title", words),
        el("desc", f"Counts in {len(counts)} bins: {', '.join(number(float(c)) for c in counts)}"),
        el("path", d=shape or "M0 26h120", class_="bar mini"),
        xmlns="http://www.w3.org/2000/svg",
        viewBox="0 0 120 26",
        preserveAspectRatio="xMinYMid meet",
        role="img",
        class_="miniature",
    )
