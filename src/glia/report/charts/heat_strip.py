"""A series or a wave with a strip of cells below it, one line for each channel, coloured by what they add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from glia.report.charts.base import WIDTH, Chart, Scale, drawing, el, line, path, text, thin, tip
from glia.report.words import number, shorten

UP, DOWN = "#E69F00", "#0072B2"
"""Colours of what speaks for the output and against it."""
_LEFT, _RIGHT, _TOP, _WAVE = 78.0, WIDTH - 8, 26.0, 64.0
_MOST_TALL, _FAINT, _MOST_POINTS = 16.0, 0.03, 400


@dataclass(frozen=True)
class Cell:
    """What one stretch of one channel adds: where it begins and ends, the line of its channel, its share."""

    start: float
    end: float
    row: int
    share: float


Line = tuple[Sequence[float], Sequence[float]]
"""Places and values of the drawn line."""


def heat_strip_chart(
    key: str,
    title: str,
    drawn: Line | None,
    cells: Sequence[Cell],
    rows: Sequence[str],
    *,
    x_label: str,
    y_label: str = "",
    share_label: str = "share",
    note: str = "",
    mark: float | None = None,
) -> Chart:
    """Draw a line and, below it on the same axis, cells: orange above 0, blue below, stronger where larger.

    Parameters
    ----------
    key, title, x_label, y_label, note : str
        Words; ``y_label`` says what the line is.
    drawn : (places, values), optional
        The line.
    cells : sequence of Cell
        At least one.
    rows : sequence of str
        Names of the lines of cells, from above.
    share_label : str
        What shares are called in the table.
    mark : float, optional
        Where a dashed line stands across the drawing.

    Raises
    ------
    ValueError
        If there is no cell.
    """
    if not cells:
        raise ValueError("a strip needs at least one cell")
    axis = Scale(min(c.start for c in cells), max(c.end for c in cells), _LEFT, _RIGHT)
    reach = max(abs(c.share) for c in cells) or 1.0
    parts = [] if drawn is None else _line(*drawn, axis, y_label)
    top = _TOP + (0 if drawn is None else _WAVE + 10)
    tall = max(7.0, min(_MOST_TALL, 130.0 / len(rows)))
    bottom = top + tall * len(rows)
    skip = max(1, round(12.0 / tall))  # names that would stand on each other are left out
    for place, name in enumerate(rows):
        if place % skip == 0:
            parts.append(text(_LEFT - 6, top + tall * place + tall / 2 + 4, shorten(name, 13), "tick", "end"))
    parts.append(el("rect", x=_LEFT, y=top, width=_RIGHT - _LEFT, height=bottom - top, class_="empty"))
    for cell in cells:
        strength = abs(cell.share) / reach
        if strength < _FAINT:
            continue
        start, end = axis(cell.start), axis(cell.end)
        box = el(
            "rect", x=start, y=top + tall * cell.row, width=max(end - start, 0.8), height=tall,
            fill=UP if cell.share > 0 else DOWN, fill_opacity=float(strength),
        )  # fmt: skip
        where = f"{rows[cell.row]}, {number(cell.start)} to {number(cell.end)}"
        parts.append(tip(box, f"{where}: {number(cell.share)}"))
    if mark is not None:
        parts.append(line(axis(mark), _TOP - 6, axis(mark), bottom, "guide"))
    parts += _axis(axis, bottom, x_label)
    ordered = sorted(cells, key=lambda c: -abs(c.share))
    first = ordered[0]
    description = (
        f"Cells over {x_label}, {len(rows)} lines of channels; the strongest is {rows[first.row]} from "
        f"{number(first.start)} to {number(first.end)} with {number(first.share)}."
    )
    listed = tuple((c.start, c.end, rows[c.row], c.share) for c in ordered)
    return Chart(
        key, title, description, drawing(key, title, description, bottom + 44, parts),
        ("from", "to", "channel", share_label), listed[:60],
        {"x": x_label, "rows": list(rows), "cells": [[c.start, c.end, c.row, c.share] for c in cells]}, note,
    )  # fmt: skip


def _line(xs: Sequence[float], values: Sequence[float], axis: Scale, label: str) -> list[Markup]:
    known = [v for v in values if v == v]
    low, high = min(known, default=0.0), max(known, default=1.0)
    scale = Scale(low, high if high > low else low + 1.0, _TOP + _WAVE, _TOP)
    parts = [text(2, _TOP - 10, shorten(label, 40), "axis")]
    parts += [text(_LEFT - 6, scale(v) + 4, number(v, 2), "tick", "end") for v in (low, high)]
    points = [(axis(x), scale(v)) for x, v in thin(list(zip(xs, values, strict=True)), _MOST_POINTS) if v == v]
    if len(points) > 1:
        parts.append(path(points, "line thin"))
    elif points:
        parts.append(el("circle", cx=points[0][0], cy=points[0][1], r=2.0, class_="dot"))
    return parts


def _axis(axis: Scale, bottom: float, x_label: str) -> list[Markup]:
    parts = [line(axis.start, bottom, axis.end, bottom, "rule")]
    for value, words in axis.ticks():
        parts += [line(axis(value), bottom, axis(value), bottom + 4, "rule")]
        parts += [text(axis(value), bottom + 17, words, "tick", "middle")]
    parts.append(text((axis.start + axis.end) / 2, bottom + 34, shorten(x_label, 56), "axis", "middle"))
    return parts
