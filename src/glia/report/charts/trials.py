"""Scores of configurations: one after the other, over a setting's values, and all settings side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from glia.report.charts.base import WIDTH, Chart, Frame, Scale, drawing, el, line, path, text, thin, tip
from glia.report.words import number, shorten

_TOP, _BOTTOM, _LEFT, _HEIGHT = 34.0, 206.0, 52.0, 248.0
_CUT = 0.9
"""Scores above this quantile may lie on the upper border: a few that went astray would hide all others."""


@dataclass(frozen=True)
class Dot:
    """One configuration: where it stands, its score, what to say of it, and whether it had all its epochs."""

    x: float
    score: float
    words: str
    whole: bool = True
    best: bool = False


def trials_chart(key: str, title: str, dots: Sequence[Dot], *, y_label: str, note: str = "") -> Chart:
    """Draw scores in the order of the trials, with the best so far as a line.

    Raises
    ------
    ValueError
        If there is no dot.
    """
    _check(dots)
    ordered = sorted(dots, key=lambda dot: dot.x)
    frame = _frame(ordered, "trial", y_label, log=False)
    best, steps, rows = math.inf, list[tuple[float, float]](), []
    for dot in ordered:
        if dot.score < best:
            steps += [] if math.isinf(best) else [(frame.x(dot.x), frame.y(best))]
            best = dot.score
        steps.append((frame.x(dot.x), frame.y(best)))
        rows.append((int(dot.x), dot.score, best))
    parts = [*frame.draw(), path(steps, "line"), *(_mark(frame, dot) for dot in ordered)]
    description = f"Scores of {len(dots)} trials; the best so far falls from {number(rows[0][2])} to {number(best)}."
    data = [{"trial": trial, "score": score, "best": least} for trial, score, least in rows]
    svg = drawing(key, title, description, _HEIGHT, parts)
    return Chart(key, title, description, svg, ("trial", "score", "best so far"), thin(rows), data, note)


def slice_chart(
    key: str, title: str, dots: Sequence[Dot], *, x_label: str, y_label: str, log: bool = False, note: str = ""
) -> Chart:
    """Draw scores over a setting that is a number.

    Raises
    ------
    ValueError
        If there is no dot.
    """
    _check(dots)
    frame = _frame(dots, x_label + (" (logarithmic axis)" if log else ""), y_label, log=log)
    parts = [*frame.draw(), *(_mark(frame, dot) for dot in sorted(dots, key=lambda dot: dot.best))]
    description = f"Scores of {len(dots)} trials over {x_label}; {_best_words(dots)}"
    rows = [(dot.x, dot.score) for dot in sorted(dots, key=lambda dot: dot.x)]
    svg = drawing(key, title, description, _HEIGHT, parts)
    return Chart(key, title, description, svg, (x_label, "score"), thin(rows), rows, note)


def strip_chart(
    key: str, title: str, groups: Sequence[tuple[str, Sequence[Dot]]], *, x_label: str, note: str = ""
) -> Chart:
    """Draw the scores of each of a setting's choices in a row of its own.

    Raises
    ------
    ValueError
        If there is no dot.
    """
    dots = [dot for _, own in groups for dot in own]
    _check(dots)
    low, high = _reach(dots)
    axis = Scale(low, high, 8.0, WIDTH - 12)
    parts: list[Markup] = []
    bottom = 20.0 + 40.0 * len(groups) - 8
    for value, words in axis.ticks(4):
        parts += [
            line(axis(value), 6, axis(value), bottom, "grid"),
            text(axis(value), bottom + 16, words, "tick", "middle"),
        ]
    for row, (label, own) in enumerate(groups):
        y = 20.0 + 40.0 * row
        least = min((dot.score for dot in own), default=math.nan)
        parts += [text(4, y, shorten(label, 40), "label"), text(WIDTH - 6, y, f"best {number(least)}", "value", "end")]
        parts += [_circle(axis(dot.score), y + 14.5, dot) for dot in sorted(own, key=lambda dot: dot.best)]
    parts.append(text(WIDTH / 2, bottom + 34, shorten(x_label, 60), "axis", "middle"))
    shown = "; ".join(f"{label}: {len(own)} trials, best {number(min(d.score for d in own))}" for label, own in groups)
    description = f"Scores by choice. {shown}."
    rows = tuple((label, len(own), min(d.score for d in own)) for label, own in groups)
    svg = drawing(key, title, description, bottom + 40, parts)
    return Chart(key, title, description, svg, ("choice", "trials", "best score"), rows, rows, note)


def parallel_chart(
    key: str,
    title: str,
    axes: Sequence[tuple[str, str, str]],
    lines: Sequence[tuple[Sequence[float], str, bool]],
    *,
    note: str = "",
) -> Chart:
    """Draw configurations as lines over upright axes, one for each setting and the last one for the score.

    Parameters
    ----------
    key, title, note : str
        Words.
    axes : sequence of (name, lower end, upper end)
        At least two.
    lines : sequence of (places, words, whether it stands out)
        Places in [0, 1], one on each axis.

    Raises
    ------
    ValueError
        If there is no line, or there are fewer than two axes.
    """
    if not lines or len(axes) < 2:
        raise ValueError("a chart of parallel axes needs two axes and a line")
    top, bottom = 50.0, 240.0
    at = [30.0 + i * (WIDTH - 60.0) / (len(axes) - 1) for i in range(len(axes))]
    parts: list[Markup] = []
    for places, words, strong in sorted(lines, key=lambda one: one[2]):
        points = [(x, bottom - place * (bottom - top)) for x, place in zip(at, places, strict=True)]
        parts.append(tip(path(points, "line valid" if strong else "line context"), words))
    for i, (x, (name, low, high)) in enumerate(zip(at, axes, strict=True)):
        parts += [
            line(x, top, x, bottom, "rule"),
            text(x, 14.0 if i % 2 else 28.0, shorten(name, 16), "axis", "middle"),
            text(x, top - 6, shorten(high, 8), "tick", "middle"),
            text(x, bottom + 15, shorten(low, 8), "tick", "middle"),
        ]
    names = tuple(name for name, _, _ in axes)
    strong_words = [words for _, words, strong in lines if strong]
    description = f"{len(lines)} configurations over {', '.join(names)}. Standing out: {'; '.join(strong_words[:5])}."
    rows = tuple((words, *(round(place, 3) for place in places)) for places, words, _ in lines)
    data = [{"words": words, "places": list(places), "stands out": strong} for places, words, strong in lines]
    svg = drawing(key, title, description, bottom + 26, parts)
    return Chart(key, title, description, svg, ("configuration", *names), thin(rows, 40), data, note)


def _check(dots: Sequence[Dot]) -> None:
    if not dots:
        raise ValueError("a chart of trials needs at least one")


def _reach(dots: Sequence[Dot]) -> tuple[float, float]:
    """Return the ends of the axis of scores; what lies above is drawn on its border."""
    scores = sorted(dot.score for dot in dots)
    low, most = scores[0], scores[-1]
    usual = scores[min(len(scores) - 1, math.ceil(_CUT * (len(scores) - 1)))]
    high = usual if most - low > 3 * (usual - low) > 0 else most
    pad = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    return low - pad, high + pad


def _frame(dots: Sequence[Dot], x_label: str, y_label: str, *, log: bool) -> Frame:
    low, high = _reach(dots)
    xs = [dot.x for dot in dots]
    first, last = min(xs), max(xs)
    if log and first > 0:
        ends = (first / 1.1, last * 1.1)
    else:
        log, pad = False, (last - first) * 0.03 or 1.0
        ends = (first - pad if first - pad > 0 or first < 0 else first, last + pad)
    x = Scale(*ends, _LEFT, WIDTH - 10, log)
    return Frame(x, Scale(low, high, _BOTTOM, _TOP), x_label, y_label)


def _mark(frame: Frame, dot: Dot) -> Markup:
    return _circle(frame.x(dot.x), frame.y(dot.score), dot)


def _circle(x: float, y: float, dot: Dot) -> Markup:
    kind = "point good" if dot.best else "point valid" if dot.whole else "point"
    return tip(el("circle", cx=x, cy=y, r=5.5 if dot.best else 4.0 if dot.whole else 3.0, class_=kind), dot.words)


def _best_words(dots: Sequence[Dot]) -> str:
    best = min(dots, key=lambda dot: dot.score)
    return f"the best, {number(best.score)}, is at {number(best.x)}."
