"""What every chart is made of: a frozen record, SVG elements as escaped text, scales, ticks and axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markupsafe import Markup, escape

from glia.report.words import clean, number, shorten

WIDTH = 400.0
"""Units across; a chart is shown 300 to 520 px wide, so a unit is nearly a pixel and text stays readable."""


@dataclass(frozen=True)
class Chart:
    """A figure of the report.

    Parameters
    ----------
    key : str
        Identifier, unique in the page.
    title : str
        The answer that the figure gives, as a sentence.
    description : str
        What is drawn, for those who cannot see it.
    svg : Markup
        The drawing: one ``<svg>`` element with ``<title>`` and ``<desc>``.
    columns, rows : tuple
        The numbers as a table.
    data : Any
        The numbers as plain JSON data.
    note : str
        How to read it, in a line below the drawing; may be empty.
    """

    key: str
    title: str
    description: str
    svg: Markup
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    data: Any
    note: str = ""


def el(name: str, *children: object, **attributes: object) -> Markup:
    """Return one SVG element; text and attribute values are escaped, ``class_`` and ``stroke_width`` are spelt out."""
    pairs = [f' {key.rstrip("_").replace("_", "-")}="{_value(v)}"' for key, v in attributes.items() if v is not None]
    inside = "".join(child if isinstance(child, Markup) else escape(clean(str(child))) for child in children)
    return Markup(f"<{name}{''.join(pairs)}>{inside}</{name}>" if inside else f"<{name}{''.join(pairs)}/>")


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(escape(clean(str(value))))


def text(x: float, y: float, content: object, class_: str = "tick", anchor: str = "start") -> Markup:
    """Return a line of text at ``(x, y)``."""
    return el("text", content, x=float(x), y=float(y), class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return el("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def tip(mark: Markup, words: str) -> Markup:
    """Return ``mark`` with words that show when it is pointed at."""
    return el("g", el("title", words), mark, class_="mark")


def drawing(key: str, title: str, description: str, height: float, parts: Sequence[Markup], class_: str = "") -> Markup:
    """Return the whole ``<svg>``: parts under a title and a description that a screen reader reads out."""
    return el(
        "svg",
        el("title", title, id=f"{key}-title"),
        el("desc", description, id=f"{key}-desc"),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
        class_=f"chart {class_}".strip(),
    )


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round numbers that span ``[low, high]``, about ``count`` of them, all inside."""
    if not high > low:
        return [low]
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return the powers of ten inside ``[low, high]``; with few of them also twice and five times each."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0)):
        found = [s * 10.0**p for p in powers for s in steps if low * 0.999 <= s * 10.0**p <= high * 1.001]
        if len(found) >= 3:
            break
    return found[:: math.ceil(len(found) / 7)] if len(found) > 7 else found


def tick_text(value: float, step: float) -> str:
    """Return a tick's number with just the decimals that its step needs."""
    if value == 0:
        return "0"
    if abs(value) >= 1e6 or abs(value) < 1e-4:
        return number(value, 2)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 2
    if step > 0 and abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:
        decimals += 1
    return f"{value:,.{decimals}f}".replace("-", "−")


@dataclass(frozen=True)
class Scale:
    """Maps values in ``[low, high]`` to positions in ``[start, end]``, evenly or by their logarithms."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the position of ``value``; values outside are put on the border."""
        low, high, inside = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, inside = math.log(low), math.log(high), math.log(inside)
        share = (inside - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """Return the ticks with their text."""
        if self.log:
            return [
                (value, number(value, 1).removeprefix("1\u00a0×\u00a0") if value < 1 else tick_text(value, value))
                for value in log_ticks(self.low, self.high)
            ]
        values = ticks(self.low, self.high, count)
        step = values[1] - values[0] if len(values) > 1 else abs(values[0]) if values else 0.0
        return [(value, tick_text(value, step)) for value in values]


@dataclass(frozen=True)
class Frame:
    """The plotting area of a chart with two axes."""

    x: Scale
    y: Scale
    x_label: str
    y_label: str

    def draw(self, x_ticks: int = 5, y_ticks: int = 5) -> list[Markup]:
        """Return the grid, the ticks and the names of the axes: the vertical one stands on top, to be read level."""
        left, right, bottom, top = self.x.start, self.x.end, self.y.start, self.y.end
        parts = [text(2, top - 12, shorten(self.y_label, 56), "axis")]
        for value, words in self.y.ticks(y_ticks):
            parts += [line(left, self.y(value), right, self.y(value), "grid")]
            parts += [text(left - 6, self.y(value) + 4, words, "tick", "end")]
        for value, words in self.x.ticks(x_ticks):
            parts += [line(self.x(value), bottom, self.x(value), bottom + 4, "rule")]
            parts += [text(self.x(value), bottom + 17, words, "tick", "middle")]
        parts += [line(left, bottom, right, bottom, "rule")]
        parts += [text((left + right) / 2, bottom + 34, shorten(self.x_label, 56), "axis", "middle")]
        return parts


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels apart so that neighbours are at least ``gap`` apart, keeping their order, inside ``[low, high]``."""
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    placed = [min(max(p, low), high) for p in positions]
    for before, after in pairwise(order):
        placed[after] = max(placed[after], placed[before] + gap)
    limit = high
    for i in reversed(order):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - gap
    return placed


def path(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """Return an open line through the points."""
    return el("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points), class_=class_)


def thin(rows: Sequence[tuple[Any, ...]], most: int = 60) -> tuple[tuple[Any, ...], ...]:
    """Return at most ``most`` of the rows, evenly spread, the first and the last among them."""
    if len(rows) <= most:
        return tuple(rows)
    return tuple(rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most))
