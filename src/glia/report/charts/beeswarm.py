"""Every row's share of every feature as a point, coloured by the feature's value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from glia.report.charts.base import WIDTH, Chart, Scale, drawing, el, line, text, tip
from glia.report.charts.colour import viridis
from glia.report.words import number, shorten

_ROW, _LEFT, _RIGHT, _TOP = 27.0, 118.0, WIDTH - 8, 30.0
_STEP = 3.6
"""Width of a column of points, and about the distance of points in it."""


@dataclass(frozen=True)
class Swarm:
    """One feature: its name, each row's share, and each row's rank by the feature's value, 0 to 1, where it has one."""

    label: str
    shares: Sequence[float]
    ranks: Sequence[float | None]


def beeswarm_chart(key: str, title: str, swarms: Sequence[Swarm], *, x_label: str, note: str = "") -> Chart:
    """Draw one line of points a feature, in the given order from the top.

    Raises
    ------
    ValueError
        If there is no feature or no row.
    """
    if not swarms or not swarms[0].shares:
        raise ValueError("a beeswarm needs at least one feature and one row")
    every = [share for swarm in swarms for share in swarm.shares]
    pad = (max(every) - min(every)) * 0.03 or 1.0
    axis = Scale(min(0.0, *every) - pad, max(0.0, *every) + pad, _LEFT, _RIGHT)
    bottom = _TOP + len(swarms) * _ROW
    parts = _key(swarms)
    for value, words in axis.ticks(5):
        parts += [line(axis(value), _TOP - 8, axis(value), bottom, "grid")]
        parts += [text(axis(value), bottom + 16, words, "tick", "middle")]
    parts.append(line(axis(0.0), _TOP - 8, axis(0.0), bottom, "rule"))
    for i, swarm in enumerate(swarms):
        middle = _TOP + i * _ROW + _ROW / 2 - 3
        parts.append(text(_LEFT - 10, middle + 4, shorten(swarm.label, 17), "label", "end"))
        parts.append(tip(el("g", *_points(axis, swarm, middle)), _range(swarm)))
    parts.append(text((_LEFT + _RIGHT) / 2, bottom + 34, shorten(x_label, 56), "axis", "middle"))
    description = f"Points of {x_label}: " + "; ".join(_range(swarm) for swarm in swarms[:12]) + "."
    rows = tuple((s.label, min(s.shares), sum(s.shares) / len(s.shares), max(s.shares)) for s in swarms)
    data = [{"label": s.label, "shares": list(s.shares), "ranks": list(s.ranks)} for s in swarms]
    svg = drawing(key, title, description, bottom + 40, parts)
    return Chart(key, title, description, svg, ("feature", "least", "mean", "most"), rows, data, note)


def _points(axis: Scale, swarm: Swarm, middle: float) -> list[Markup]:
    """Return the points of one feature, stacked away from the middle where they would cover each other."""
    columns: dict[int, int] = {}
    crowd = max(_counts(axis, swarm).values())
    gap = min(_STEP, (_ROW - 8) / crowd)
    found = []
    for share, rank in zip(swarm.shares, swarm.ranks, strict=True):
        x = axis(share)
        place = columns[round(x / _STEP)] = columns.get(round(x / _STEP), -1) + 1
        y = middle + gap * ((place + 1) // 2) * (1 if place % 2 else -1)
        if rank is None:
            found.append(el("circle", cx=x, cy=y, r=2.4, class_="bar"))
        else:
            found.append(el("circle", cx=x, cy=y, r=2.4, fill=viridis(rank)))
    return found


def _counts(axis: Scale, swarm: Swarm) -> dict[int, int]:
    counts: dict[int, int] = {}
    for share in swarm.shares:
        column = round(axis(share) / _STEP)
        counts[column] = counts.get(column, 0) + 1
    return counts


def _key(swarms: Sequence[Swarm]) -> list[Markup]:
    """Return the key of the colours, where there are any."""
    if all(rank is None for swarm in swarms for rank in swarm.ranks):
        return []
    start, steps, wide = _LEFT + 92, 24, 4.0
    ramp = [
        el("rect", x=start + i * wide, y=4.0, width=wide + 0.3, height=8.0, fill=viridis(i / (steps - 1)))
        for i in range(steps)
    ]
    end = start + steps * wide
    return [text(start - 6, 12, "value of the feature: low", "tick", "end"), *ramp, text(end + 6, 12, "high", "tick")]


def _range(swarm: Swarm) -> str:
    return f"{swarm.label}: {number(min(swarm.shares))} to {number(max(swarm.shares))}"
