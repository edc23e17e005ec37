"""Steps from a base to an output, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from glia.report.charts.base import WIDTH, Chart, Scale, drawing, el, line, text, tip
from glia.report.words import number, shorten

_ROW, _LEFT, _RIGHT, _TOP = 36.0, 6.0, WIDTH - 8, 26.0


@dataclass(frozen=True)
class Step:
    """One share: its label, size, and the standard error where there is one."""

    label: str
    share: float
    error: float | None = None

    def words(self) -> str:
        """Return the share with its sign, and the standard error."""
        sign = "+" if self.share > 0 else ""
        return f"{sign}{number(self.share)}" + ("" if self.error is None else f" ± {number(self.error, 2)}")


def waterfall_chart(key: str, title: str, steps: Sequence[Step], *, base: float, x_label: str, note: str = "") -> Chart:
    """Draw how steps, in order from the top, lead from the base to their sum.

    Raises
    ------
    ValueError
        If there is no step.
    """
    if not steps:
        raise ValueError("a waterfall needs at least one step")
    places = [base]
    for step in steps:
        places.append(places[-1] + step.share)
    pad = (max(places) - min(places)) * 0.03 or 1.0
    axis = Scale(min(places) - pad, max(places) + pad, _LEFT, _RIGHT)
    bottom = _TOP + len(steps) * _ROW + 4
    parts = []
    for value, words in axis.ticks(5):
        anchor = "start" if axis(value) < 20 else "end" if axis(value) > WIDTH - 20 else "middle"
        parts += [line(axis(value), _TOP - 8, axis(value), bottom, "grid")]
        parts += [text(axis(value), bottom + 16, words, "tick", anchor)]
    parts.append(line(axis(base), _TOP - 8, axis(base), bottom, "guide"))
    parts.append(_end(axis, base, f"base {number(base)}", 12.0))
    for i, (step, start, end) in enumerate(zip(steps, places[:-1], places[1:], strict=True)):
        y = _TOP + i * _ROW
        low, high = sorted((axis(start), axis(end)))
        kind = "warning" if step.share >= 0 else "valid"
        bar = el("rect", x=low, y=y + 14, width=max(high - low, 0.8), height=12.0, rx=1.5, class_=f"bar {kind}")
        room = int((WIDTH - 14 - 6.9 * len(step.words())) / 6.6)
        parts += [
            text(_LEFT, y + 9, shorten(step.label, max(8, room)), "label"),
            text(_RIGHT, y + 9, step.words(), "value", "end"),
            tip(bar, f"{step.label}: {step.words()}"),
            line(axis(end), y + 14, axis(end), y + 26 + (14 if i < len(steps) - 1 else 0), "rule"),
        ]
    parts.append(text(WIDTH / 2, bottom + 34, shorten(x_label, 56), "axis", "middle"))
    description = (
        f"From the base {number(base)} to {number(places[-1])}: "
        + "; ".join(f"{step.label} {step.words()}" for step in steps)
        + "."
    )
    rows = tuple((step.label, step.share, step.error) for step in steps)
    data = {"base": base, "steps": [{"label": s.label, "share": s.share, "error": s.error} for s in steps]}
    svg = drawing(key, title, description, bottom + 40, parts)
    return Chart(key, title, description, svg, ("feature", "share", "standard error"), rows, data, note)


def _end(axis: Scale, value: float, words: str, y: float) -> Markup:
    x = axis(value)
    anchor = "start" if x < WIDTH / 2 else "end"
    return text(x + (4 if anchor == "start" else -4), y, words, "note", anchor)
