"""Horizontal bars from zero with their intervals, and the same figures seen closer as points with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from glia.report.charts.base import WIDTH, Chart, Scale, drawing, el, line, text, tip
from glia.report.words import decimals_of, fixed, is_number, shorten

_ROW, _LEFT, _RIGHT = 40.0, 4.0, WIDTH - 6


@dataclass(frozen=True)
class Bar:
    """One figure: its label, value, interval, and the meaning that sets its colour (``test``, ``baseline``, …)."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    kind: str = "baseline"

    def decimals(self, scale: float = 1.0) -> int:
        """Return how many decimals the figure deserves."""
        return decimals_of({"value": self.value, "low": self.low, "high": self.high}, scale)

    def words(self, scale: float = 1.0, places: int | None = None) -> str:
        """Return the figure and its interval."""
        places = self.decimals(scale) if places is None else places
        if self.low is None or self.high is None:
            return fixed(self.value * scale, places)
        return (
            f"{fixed(self.value * scale, places)} "
            f"({fixed(self.low * scale, places)} to {fixed(self.high * scale, places)})"
        )

    def reach(self) -> tuple[float, float]:
        """Return the smallest and the largest of value and interval."""
        known = [v for v in (self.value, self.low, self.high) if is_number(v)]
        return min(known), max(known)


def bar_chart(key: str, title: str, bars: Sequence[Bar], *, x_label: str, scale: float = 1.0, note: str = "") -> Chart:
    """Draw bars from zero; labels stand above their bars so that long ones fit a narrow page.

    Parameters
    ----------
    key, title, x_label, note : str
        Words.
    bars : sequence of Bar
        At least one, in the order of drawing.
    scale : float, default=1.0
        Factor for display: 100 shows shares as per cent.

    Raises
    ------
    ValueError
        If there is no bar.
    """
    _check(bars)
    axis = Scale(
        min(0.0, *(b.reach()[0] for b in bars)), max(0.0, *(b.reach()[1] for b in bars)) or 1.0, _LEFT, _RIGHT - 6
    )
    parts, places = _ticks(axis, len(bars), scale), _common(bars, scale)
    for i, bar in enumerate(bars):
        y = 20 + i * _ROW
        start, end = sorted((axis(0.0), axis(bar.value)))
        shape = el("rect", x=start, y=y + 8, width=max(end - start, 0.8), height=13.0, rx=1.5, class_=f"bar {bar.kind}")
        parts += [
            _heads(bar, y, scale, places),
            line(axis(0.0), y + 6, axis(0.0), y + 23, "rule"),
            tip(shape, f"{bar.label}: {bar.words(scale)}"),
            *_whisker(axis, bar, y + 14.5),
        ]
    return _chart(key, title, bars, parts, x_label, scale, note, "Bars from zero")


def interval_chart(
    key: str,
    title: str,
    bars: Sequence[Bar],
    *,
    x_label: str,
    scale: float = 1.0,
    zero: float | None = None,
    note: str = "",
) -> Chart:
    """Draw the figures as points with their intervals on an axis that need not begin at zero.

    ``zero`` is a value to compare with, drawn as a dashed line; the other parameters are those of ``bar_chart``.

    Raises
    ------
    ValueError
        If there is no figure.
    """
    _check(bars)
    marks = [zero] if zero is not None else []
    low, high = min([*(b.reach()[0] for b in bars), *marks]), max([*(b.reach()[1] for b in bars), *marks])
    pad = (high - low) * 0.04 or abs(high) * 0.05 or 1.0
    axis = Scale(low - pad, high + pad, _LEFT + 4, _RIGHT - 6)
    parts, places = _ticks(axis, len(bars), scale), _common(bars, scale)
    if zero is not None:
        parts.append(line(axis(zero), 6, axis(zero), 20 + len(bars) * _ROW - 8, "guide"))
    for i, bar in enumerate(bars):
        y = 20 + i * _ROW
        dot = el("circle", cx=axis(bar.value), cy=y + 14.5, r=5.0, class_=f"point {bar.kind}")
        parts += [
            _heads(bar, y, scale, places),
            *_whisker(axis, bar, y + 14.5),
            tip(dot, f"{bar.label}: {bar.words(scale)}"),
        ]
    return _chart(key, title, bars, parts, x_label, scale, note, "Points with intervals")


def _check(bars: Sequence[Bar]) -> None:
    if not bars:
        raise ValueError("a bar chart needs at least one bar")


def _common(bars: Sequence[Bar], scale: float) -> int:
    """Return the decimals that suit most of the bars, so that the column of figures reads evenly."""
    return sorted(bar.decimals(scale) for bar in bars)[len(bars) // 2]


def _heads(bar: Bar, y: float, scale: float, places: int) -> Markup:
    words = bar.words(scale, places)
    room = int((WIDTH - 14 - 6.9 * len(words)) / 7.3)
    strong = " strong" if bar.kind == "test" else ""
    return el(
        "g",
        text(_LEFT, y, shorten(bar.label, max(8, room)), f"label{strong}"),
        text(_RIGHT, y, words, f"value{strong}", "end"),
    )


def _whisker(axis: Scale, bar: Bar, y: float) -> list[Markup]:
    if bar.low is None or bar.high is None:
        return []
    low, high = axis(bar.low), axis(bar.high)
    stroke = f"M{low:.1f} {y - 4:.1f}V{y + 4:.1f}M{low:.1f} {y:.1f}H{high:.1f}M{high:.1f} {y - 4:.1f}V{y + 4:.1f}"
    return [el("path", d=stroke, class_="halo"), el("path", d=stroke, class_="whisker")]


def _ticks(axis: Scale, rows: int, scale: float) -> list[Markup]:
    bottom = 20 + rows * _ROW - 8
    shown = Scale(axis.low * scale, axis.high * scale, axis.start, axis.end)
    parts = []
    for value, words in shown.ticks(5):
        x = shown(value)
        anchor = "start" if x < 20 else "end" if x > WIDTH - 20 else "middle"
        parts += [line(x, 6, x, bottom, "grid"), text(x, bottom + 16, words, "tick", anchor)]
    return parts


def _chart(
    key: str,
    title: str,
    bars: Sequence[Bar],
    parts: list[Markup],
    x_label: str,
    scale: float,
    note: str,
    kind: str,
) -> Chart:
    height = 20 + len(bars) * _ROW + 30
    parts.append(text(WIDTH / 2, height - 4, shorten(x_label, 60), "axis", "middle"))
    description = f"{kind} of {x_label}: " + "; ".join(f"{b.label} {b.words(scale)}" for b in bars[:12]) + "."
    data = [{"label": b.label, "value": b.value, "low": b.low, "high": b.high} for b in bars]
    rows = tuple((b.label, b.value, b.low, b.high) for b in bars)
    svg = drawing(key, title, description, height, parts)
    return Chart(key, title, description, svg, ("", x_label, "low", "high"), rows, data, note)
