"""Differences between pairs, one dot for each seed, with their mean, its interval and the line of no effect."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from glia.report.charts.base import WIDTH, Chart, Scale, drawing, el, line, text, tip
from glia.report.words import number, shorten

_LEFT, _RIGHT, _TOP, _DOTS, _AXIS, _HEIGHT = 8.0, WIDTH - 8, 26.0, 62.0, 98.0, 136.0
_KINDS = {"supported": "good", "refuted": "failure", "undecided": "baseline"}


def difference_chart(
    key: str,
    title: str,
    pairs: Sequence[tuple[float, float]],
    *,
    names: tuple[str, str],
    mean: float,
    low: float,
    high: float,
    unit: str,
    predicted: int,
    verdict: str,
    note: str = "",
) -> Chart:
    """Draw the differences of pairs along one axis.

    Parameters
    ----------
    key, title, unit, note : str
        Words.
    pairs : sequence of (float, float)
        The two figures of every seed.
    names : (str, str)
        What the two are called.
    mean, low, high : float
        Of the differences, first minus second.
    predicted : {1, -1}
        On which side of nothing the claim lies.
    verdict : {"supported", "refuted", "undecided"}
        Sets the colour.

    Raises
    ------
    ValueError
        If there is no pair.
    """
    if not pairs:
        raise ValueError("there must be at least one pair")
    differences = [first - second for first, second in pairs]
    reach = [0.0, *differences, *(end for end in (low, high) if math.isfinite(end))]
    least, most = min(reach), max(reach)
    pad = (most - least) * 0.06 or 1.0
    x = Scale(least - pad, most + pad, _LEFT, _RIGHT)
    parts = _ground(x, predicted, unit)
    for i, (difference, (first, second)) in enumerate(zip(differences, pairs, strict=True)):
        # a small zigzag keeps equal differences apart
        dot = el("circle", cx=x(difference), cy=_DOTS + 4.0 * (i % 3 - 1) + 12, r=3.2, class_="cloud")
        words = f"{names[0]} {number(first)}, {names[1]} {number(second)}: {number(difference)}"
        parts.append(tip(dot, f"seed {i}: {words}"))
    if math.isfinite(low) and math.isfinite(high):
        parts += [
            line(x(low), _DOTS - 14, x(high), _DOTS - 14, "whisker"),
            *(line(x(end), _DOTS - 19, x(end), _DOTS - 9, "whisker") for end in (low, high)),
        ]
    parts.append(el("circle", cx=x(mean), cy=_DOTS - 14, r=5.5, class_=f"point {_KINDS.get(verdict, 'baseline')}"))
    description = (
        f"{len(pairs)} differences between pairs in {unit}; mean {number(mean)}, 95 % interval {number(low)} to "
        f"{number(high)}. The claim predicts {'more' if predicted > 0 else 'less'} than 0."
    )
    rows = tuple((i, first, second, first - second) for i, (first, second) in enumerate(pairs))
    data = {"mean": mean, "interval": [low, high], "unit": unit, "differences": differences}
    return Chart(
        key, title, description, drawing(key, title, description, _HEIGHT, parts), ("seed", *names, "difference"), rows,
        data, note,
    )  # fmt: skip


def _ground(x: Scale, predicted: int, unit: str) -> list[Markup]:
    """Return the side that the claim predicts, the line of no effect and the axis."""
    zero = x(0.0)
    start, end = (zero, _RIGHT) if predicted > 0 else (_LEFT, zero)
    parts = [el("rect", x=start, y=_TOP, width=max(end - start, 0.0), height=_AXIS - _TOP, class_="empty")]
    parts.append(
        text(end if predicted > 0 else start, _TOP - 8, "as claimed", "note", "end" if predicted > 0 else "start")
    )
    parts += [line(zero, _TOP - 4, zero, _AXIS, "guide"), line(_LEFT, _AXIS, _RIGHT, _AXIS, "rule")]
    for value, words in x.ticks(5):
        parts += [
            line(x(value), _AXIS, x(value), _AXIS + 4, "rule"),
            text(x(value), _AXIS + 17, words, "tick", "middle"),
        ]
    parts.append(text((_LEFT + _RIGHT) / 2, _AXIS + 34, shorten(f"difference in {unit}", 60), "axis", "middle"))
    return parts
