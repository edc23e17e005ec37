"""A series, its forecast, and the interval in which it will lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from glia.report.charts.base import WIDTH, Chart, Frame, Scale, drawing, el, line, path, text, thin, tip
from glia.report.words import is_number, number, percent

_TOP, _BOTTOM, _LEFT, _RIGHT, _HEIGHT = 34.0, 206.0, 46.0, WIDTH - 12, 248.0


def forecast_chart(
    key: str,
    title: str,
    past: Sequence[float],
    forecast: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    *,
    y_label: str,
    step: str,
    level: float,
    note: str = "",
) -> Chart:
    """Draw the last values of a series and what is to come; the origin is at 0.

    Parameters
    ----------
    key, title, y_label, note : str
        Words.
    past : sequence of float
        At least one value.
    forecast, low, high : sequence of float
        H values each.
    step : str
        What a step is called.
    level : float
        Of the interval.

    Raises
    ------
    ValueError
        If there is no value or no forecast.
    """
    if not len(past) or not len(forecast):
        raise ValueError("a forecast needs a past and a future")
    before = [(float(i - len(past) + 1), float(v)) for i, v in enumerate(past)]
    after = [before[-1], *((float(h + 1), float(v)) for h, v in enumerate(forecast))]
    values = [v for v in (*past, *forecast, *low, *high) if is_number(v)]
    pad = (max(values) - min(values)) * 0.06 or abs(max(values)) * 0.1 or 1.0
    x = Scale(before[0][0], float(len(forecast)), _LEFT, _RIGHT)
    y = Scale(min(values) - pad, max(values) + pad, _BOTTOM, _TOP)
    label = "step" if step.startswith("step") else step
    frame = Frame(x, y, f"{label}s from now" if " " not in label else f"steps of {label} from now", y_label)
    around = [before[-1], *((float(h + 1), float(v)) for h, v in enumerate(high))]
    around += [(float(h + 1), float(low[h])) for h in range(len(low) - 1, -1, -1)]
    outline = "M" + "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in around) + "Z"
    parts: list[Markup] = [*frame.draw(), el("path", d=outline, class_="between")]
    parts.append(line(x(0.0), _TOP, x(0.0), _BOTTOM, "guide"))
    parts.append(text(x(0.0) - 6, _TOP + 10, "now", "note", "end"))
    parts.append(path([(x(a), y(b)) for a, b in before], "line context"))
    parts.append(path([(x(a), y(b)) for a, b in after], "line valid"))
    width = (_RIGHT - x(0.0)) / len(forecast)
    for h, value in enumerate(forecast):
        words = f"{h + 1} ahead: {number(value)} ({number(low[h])} to {number(high[h])})"
        band = el("rect", x=x(h + 1.0) - width / 2, y=_TOP, width=width, height=_BOTTOM - _TOP, class_="band")
        parts.append(tip(band, words))
    rows: list[tuple[Any, ...]] = [(int(a), b, None, None) for a, b in before]
    rows += [(h + 1, forecast[h], low[h], high[h]) for h in range(len(forecast))]
    said = f"The last value is {number(past[-1])}; after {len(forecast)} steps {number(forecast[-1])} is forecast"
    description = f"{said}, within {number(low[-1])} to {number(high[-1])}."
    data = {"past": list(past), "forecast": list(forecast), "low": list(low), "high": list(high)}
    shown = note or f"The band is to hold {percent(level, 0)} of what comes."
    columns = ("steps from now", y_label, "low", "high")
    svg = drawing(key, title, description, _HEIGHT, parts)
    return Chart(key, title, description, svg, columns, thin(rows, 120), data, shown)
