"""Lines over a common axis, named where they end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from glia.report.charts.base import (
    WIDTH,
    Chart,
    Frame,
    Scale,
    drawing,
    el,
    line,
    path,
    spread,
    text,
    thin,
    tip,
)
from glia.report.words import is_number, number, shorten

_TOP, _BOTTOM, _LEFT, _RIGHT, _HEIGHT = 34.0, 206.0, 46.0, 322.0, 248.0


@dataclass(frozen=True)
class Series:
    """One line: its name, its points, and the meaning that sets its colour and dash (``train``, ``valid``, …)."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    kind: str = "valid"

    def points(self) -> list[tuple[float, float]]:
        """Return the points that are there."""
        return [(float(x), float(y)) for x, y in zip(self.x, self.y, strict=True) if is_number(y)]


def line_chart(
    key: str,
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    mark: tuple[float, str] | None = None,
    note: str = "",
    log: bool | None = None,
) -> Chart:
    """Draw lines with their names at their ends.

    Parameters
    ----------
    key, title, x_label, y_label, note : str
        Words.
    series : sequence of Series
        The lines; fewer than fifty points are drawn as dots too.
    mark : tuple of (float, str), optional
        An x value to point out, and what to write beside it.
    log : bool, optional
        Whether the vertical axis is logarithmic, which is then said in words; by default it is where positive values
        span more than a factor of 50.

    Raises
    ------
    ValueError
        If no line has a point.
    """
    lines = [(s, s.points()) for s in series if s.points()]
    if not lines:
        raise ValueError("a line chart needs at least one point")
    frame = _frame([p for _, points in lines for p in points], x_label, y_label, log)
    parts = frame.draw()
    if mark:
        parts += _mark(frame, *mark)
    ends = spread([frame.y(points[-1][1]) for _, points in lines], 15.0, _TOP + 4, _BOTTOM - 2)
    for (one, points), end in zip(lines, ends, strict=True):
        parts.append(path([(frame.x(x), frame.y(y)) for x, y in points], f"line {one.kind}"))
        if len(points) < 50:
            parts += [el("circle", cx=frame.x(x), cy=frame.y(y), r=1.8, class_=f"dot {one.kind}") for x, y in points]
        last = frame.x(points[-1][0])
        parts.append(text(last + 7, end + 4, shorten(one.name, 14), f"name {one.kind}"))
    parts += _bands(frame, lines)
    xs = sorted({x for _, points in lines for x, _ in points})
    at = [dict(points) for _, points in lines]
    rows = [(x, *(values.get(x) for values in at)) for x in xs]
    words = "; ".join(f"{s.name} from {number(p[0][1])} to {number(p[-1][1])}" for s, p in lines)
    description = f"Lines of {y_label} over {x_label} {number(xs[0])} to {number(xs[-1])}: {words}."
    return Chart(
        key,
        title,
        description,
        drawing(key, title, description, _HEIGHT, parts),
        (x_label, *(s.name for s, _ in lines)),
        thin(rows),
        {"x": x_label, "y": y_label, "series": [{"name": s.name, "points": p} for s, p in lines]},
        note,
    )


def _frame(points: Sequence[tuple[float, float]], x_label: str, y_label: str, log: bool | None) -> Frame:
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    low, high = min(ys), max(ys)
    log = low > 0 and (high / low > 50 if log is None else log)
    if log:
        low, high, y_label = low / 1.15, high * 1.15, f"{y_label} (logarithmic axis)"
    else:
        pad = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
        low, high = (0.0 if 0 <= low < 0.35 * high else low - pad), high + pad
    right = WIDTH - 78
    x = Scale(min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1, _LEFT, right)
    return Frame(x, Scale(low, high, _BOTTOM, _TOP, log), x_label, y_label)


def _mark(frame: Frame, where: float, words: str) -> list[Markup]:
    x = frame.x(where)
    left_side = x > (_LEFT + _RIGHT) / 2
    return [
        line(x, _TOP, x, _BOTTOM, "guide"),
        text(x + (-6 if left_side else 6), _TOP + 10, words, "note", "end" if left_side else "start"),
    ]


def _bands(frame: Frame, lines: Sequence[tuple[Series, list[tuple[float, float]]]]) -> list[Markup]:
    """Return unseen columns, one to a step (at most 120), that say the values at that step when pointed at."""
    xs = sorted({x for _, points in lines for x, _ in points})
    xs = xs[:: math.ceil(len(xs) / 120)]
    at = [(s.name, dict(points)) for s, points in lines]
    width = (_RIGHT - _LEFT) / max(1, len(xs))
    parts = []
    for x in xs:
        words = ", ".join(f"{name} {number(values[x])}" for name, values in at if x in values)
        band = el("rect", x=frame.x(x) - width / 2, y=_TOP, width=width, height=_BOTTOM - _TOP, class_="band")
        parts.append(tip(band, f"{frame.x_label} {number(x)}: {words}"))
    return parts
