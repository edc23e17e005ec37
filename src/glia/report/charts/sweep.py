"""A quantity at several levels of another: a dot for every seed, their mean as a line, its interval as a band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from scipy.special import stdtrit

from glia.report.charts.base import WIDTH, Chart, Frame, Scale, drawing, el, path, spread, text, tip
from glia.report.words import number, shorten

_TOP, _BOTTOM, _LEFT, _RIGHT, _HEIGHT = 34.0, 206.0, 46.0, WIDTH - 92, 248.0
_MOST_DOTS = 50

Floats = NDArray[np.float64]


def sweep_chart(
    key: str,
    title: str,
    x: Sequence[float],
    lines: Mapping[str, Floats],
    *,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    note: str = "Lines are means over seeds, bands their 95 % intervals, dots the seeds.",
) -> Chart:
    """Draw lines over levels.

    Parameters
    ----------
    key, title, x_label, y_label, note : str
        Words.
    x : sequence of float
        L levels.
    lines : mapping
        Name → ndarray (S, L), a row for each seed; NaN where there is no figure. At most six lines.
    log_x, log_y : bool
        Logarithmic axes, which is then said in words.

    Raises
    ------
    ValueError
        If no line has a figure.
    """
    shown = {name: np.atleast_2d(table) for name, table in lines.items()}
    values = np.concatenate([table[np.isfinite(table)] for table in shown.values()] or [np.zeros(0)])
    if log_y:
        values = values[values > 0]
    if not len(values):
        raise ValueError("a sweep needs at least one figure")
    frame = _frame(x, values, x_label, y_label, log_x, log_y)
    parts = frame.draw()
    means = {name: _summary(table) for name, table in shown.items()}
    for i, (name, (mean, low, high)) in enumerate(means.items(), 1):
        parts += _band(frame, x, low, high, i)
        parts += _dots(frame, x, shown[name], i)
        points = [(frame.x(a), frame.y(b)) for a, b in zip(x, mean, strict=True) if _drawn(b, log_y)]
        if points:
            parts.append(path(points, f"line s{i}"))
    parts += _names(frame, x, {name: mean for name, (mean, _, _) in means.items()}, log_y)
    columns = (x_label, *(f"{name} ({part})" for name in means for part in ("mean", "low", "high")))
    rows = tuple(
        (level, *(float(figure[j]) for three in means.values() for figure in three)) for j, level in enumerate(x)
    )
    words = "; ".join(f"{name} from {number(mean[0])} to {number(mean[-1])}" for name, (mean, _, _) in means.items())
    description = f"{y_label} over {x_label}: {words}."
    data = {"x": list(map(float, x)), "lines": {name: _plain(table) for name, table in shown.items()}}
    return Chart(key, title, description, drawing(key, title, description, _HEIGHT, parts), columns, rows, data, note)


def _summary(table: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean and 95 % interval at every level; NaN where there are too few figures."""
    found = []
    for column in table.T:
        known = column[np.isfinite(column)]
        mean = float(known.mean()) if len(known) else math.nan
        half = math.nan
        if len(known) > 1:
            half = float(stdtrit(len(known) - 1, 0.975) * known.std(ddof=1) / math.sqrt(len(known)))
        found.append((mean, mean - half, mean + half))
    mean, low, high = np.array(found).T
    return mean, low, high


def _frame(x: Sequence[float], values: Floats, x_label: str, y_label: str, log_x: bool, log_y: bool) -> Frame:
    low, high = float(values.min()), float(values.max())
    if log_y:
        low, high, y_label = low / 1.2, high * 1.2, f"{y_label} (logarithmic axis)"
    else:
        pad = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
        low, high = (0.0 if 0 <= low < 0.35 * high else low - pad), high + pad
    first, last = min(x), max(x)
    across = Scale(first, last if last > first else first + 1, _LEFT, _RIGHT, log_x)
    return Frame(across, Scale(low, high, _BOTTOM, _TOP, log_y), f"{x_label}{' (logarithmic axis)' * log_x}", y_label)


def _drawn(value: float, log: bool) -> bool:
    return math.isfinite(value) and (value > 0 or not log)


def _band(frame: Frame, x: Sequence[float], low: Floats, high: Floats, kind: int) -> list[Markup]:
    log = frame.y.log
    known = [(a, b, c) for a, b, c in zip(x, low, high, strict=True) if _drawn(c, log) and math.isfinite(b)]
    if len(known) < 2:
        return []
    top = [(frame.x(a), frame.y(c)) for a, _, c in known]
    bottom = [(frame.x(a), frame.y(b if _drawn(b, log) else frame.y.low)) for a, b, _ in reversed(known)]
    corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in (*top, *bottom))
    return [el("polygon", points=corners, class_=f"range s{kind}")]


def _dots(frame: Frame, x: Sequence[float], table: Floats, kind: int) -> list[Markup]:
    if len(table) > _MOST_DOTS:
        return []
    return [
        tip(
            el("circle", cx=frame.x(level), cy=frame.y(float(value)), r=1.8, class_=f"seed s{kind}"),
            f"seed {seed}: {number(float(value))}",
        )
        for seed, row in enumerate(table)
        for level, value in zip(x, row, strict=True)
        if _drawn(float(value), frame.y.log)
    ]


def _names(frame: Frame, x: Sequence[float], means: Mapping[str, Floats], log: bool) -> list[Markup]:
    ends = {}
    for name, mean in means.items():
        known = [float(value) for value in mean if _drawn(float(value), log)]
        if known:
            ends[name] = frame.y(known[-1])
    placed = spread(list(ends.values()), 15.0, _TOP + 4, _BOTTOM - 2)
    order = list(means)
    return [
        text(_RIGHT + 7, y + 4, shorten(name, 16), f"name s{order.index(name) + 1}")
        for name, y in zip(ends, placed, strict=True)
    ]


def _plain(table: Floats) -> list[list[float | None]]:
    return [[float(value) if math.isfinite(value) else None for value in row] for row in table]
