"""Figures of labels of steps: how well each class is found, and the hardest sequences over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glia.report.charts import Bar, Chart, interval_chart
from glia.report.charts.label_strip import Labelled, label_strip_chart
from glia.report.words import is_number, percent, shorten

MOST_CLASSES = 20


def step_charts(record: Mapping[str, Any]) -> list[Chart]:
    """Return the figures; none where steps have no labels."""
    told = record.get("steps") or {}
    charts = []
    classes = [one for one in told.get("classes") or [] if is_number((one.get("recall") or {}).get("value"))]
    if len(classes) > 1:
        charts.append(_recall(classes))
    strips = [Labelled(str(one["name"]), one["truth"], one["prediction"]) for one in told.get("strips") or []]
    if strips:
        worst = told["strips"][0]
        title = (
            f"{shorten(worst['name'], 30)} is the hardest sequence: {percent(worst['wrong'])} of its steps are wrong"
        )
        note = "The sequences with the highest loss a step, of the test part. Above what is right, below what was said."
        cut = any(one.get("cut") for one in told["strips"])
        note += " Of long sequences the first steps." if cut else ""
        names = [str(name) for name in record.get("classes") or []]
        charts.append(label_strip_chart("labels-over-time", title, strips, names, note=note))
    return charts


def _recall(classes: list[Mapping[str, Any]]) -> Chart:
    bars = []
    for one in sorted(classes, key=lambda c: float(c["recall"]["value"]))[:MOST_CLASSES]:
        found = one["recall"]
        low, high = (found[key] if is_number(found.get(key)) else None for key in ("low", "high"))
        bars.append(Bar(f"{shorten(one['class'], 24)} · {one['steps']:,} steps", float(found["value"]), low, high))
    title = f"'{shorten(least_found(classes), 30)}' is found least: {percent(bars[0].value)} of its steps"
    note = "Intervals resample whole sequences."
    return interval_chart("recall", title, bars, x_label="Found (% of the steps of a class)", scale=100.0, note=note)


def least_found(classes: list[Mapping[str, Any]]) -> str:
    """Return the class of which the smallest share is found."""
    return str(min(classes, key=lambda c: float(c["recall"]["value"]))["class"])
