"""Labels over time: for every sequence a lane of what is right above one of what was predicted, in colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from glia.report.charts.base import WIDTH, Chart, Scale, drawing, el, line, text, tip
from glia.report.words import number, shorten

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
"""Of the classes (Okabe and Ito); all classes beyond these share a grey."""
OTHER = "#999999"
_LEFT, _RIGHT, _TALL, _GAP, _LEGEND = 96.0, WIDTH - 8, 9.0, 9.0, 16.0


@dataclass(frozen=True)
class Labelled:
    """One sequence: its name, and for each step the codes of what is right and of what was predicted, −1 for none."""

    name: str
    truth: Sequence[int]
    prediction: Sequence[int]


def label_strip_chart(
    key: str, title: str, strips: Sequence[Labelled], classes: Sequence[str], *, x_label: str = "step", note: str = ""
) -> Chart:
    """Draw labels over time.

    Parameters
    ----------
    key, title, x_label, note : str
        Words.
    strips : sequence of Labelled
        At least one.
    classes : sequence of str
        What the codes mean.

    Raises
    ------
    ValueError
        If there is no strip.
    """
    if not strips:
        raise ValueError("there must be at least one strip")
    used = sorted({code for one in strips for code in (*one.truth, *one.prediction) if code >= 0})
    parts, top = _legend([classes[code] for code in used])
    colours = {code: COLOURS[place] if place < len(COLOURS) else OTHER for place, code in enumerate(used)}
    axis = Scale(0.0, float(max(len(one.prediction) for one in strips)), _LEFT, _RIGHT)
    rows = []
    for one in strips:
        parts.append(text(_LEFT - 40, top + _TALL, shorten(one.name, 9), "tick", "end"))
        for lane, (name, codes) in enumerate((("truth", one.truth), ("said", one.prediction))):
            height = top + lane * (_TALL + 1)
            parts.append(text(_LEFT - 6, height + _TALL - 1, name, "tick", "end"))
            for start, end, code in runs(codes):
                if code < 0:
                    continue
                box = el(
                    "rect", x=axis(start), y=height, width=max(axis(end) - axis(start), 0.6), height=_TALL,
                    fill=colours[code],
                )  # fmt: skip
                parts.append(tip(box, f"{one.name}, {name}, {x_label} {start} to {end - 1}: {classes[code]}"))
                rows.append((one.name, name, start, end - 1, classes[code]))
        top += 2 * _TALL + 1 + _GAP
    parts += _axis(axis, top, x_label)
    description = (
        f"Two lanes for each of {len(strips)} sequences over {x_label}s: what is right, and what was predicted."
    )
    return Chart(
        key, title, description, drawing(key, title, description, top + 44, parts),
        ("sequence", "lane", "from", "to", "label"), tuple(rows[:200]),
        {"classes": list(classes), "strips": [[o.name, list(o.truth), list(o.prediction)] for o in strips]}, note,
    )  # fmt: skip


def runs(codes: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return stretches of equal codes: first step, step behind the last one, code."""
    array = np.asarray(codes)
    edges = [0, *(np.flatnonzero(np.diff(array)) + 1).tolist(), len(array)]
    return [(a, b, int(array[a])) for a, b in pairwise(edges) if b > a]


def _legend(names: Sequence[str]) -> tuple[list[Markup], float]:
    """Return a square and a name for each class, and where the drawing goes on below."""
    parts: list[Markup] = []
    x, y = 4.0, 14.0
    shown = [*zip(names[: len(COLOURS)], COLOURS, strict=False)]
    if len(names) > len(COLOURS):
        shown.append((f"{number(len(names) - len(COLOURS))} others", OTHER))
    for name, colour in shown:
        said = shorten(name, 16)
        wide = 22 + 6.6 * len(said)
        if x > 4.0 and x + wide > WIDTH:
            x, y = 4.0, y + _LEGEND
        parts += [el("rect", x=x, y=y - 9, width=10.0, height=10.0, fill=colour), text(x + 14, y, said, "tick")]
        x += wide
    return parts, y + 12


def _axis(axis: Scale, bottom: float, x_label: str) -> list[Markup]:
    parts = [line(axis.start, bottom, axis.end, bottom, "rule")]
    for value, words in axis.ticks():
        parts += [line(axis(value), bottom, axis(value), bottom + 4, "rule")]
        parts += [text(axis(value), bottom + 17, words, "tick", "middle")]
    parts.append(text((axis.start + axis.end) / 2, bottom + 34, x_label, "axis", "middle"))
    return parts
