"""A run's record as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glia.core.results import jsonable
from glia.report import words
from glia.report.charts import miniature, network_chart
from glia.report.explanation import explanation_section
from glia.report.figures import (
    calibration_chart,
    groups_chart,
    importance_chart,
    learning_charts,
    mistakes_charts,
    models_charts,
)
from glia.report.page import Section, fill
from glia.report.step_figures import step_charts
from glia.report.verdict import advice, key_figures, outcome, remarks, verdict
from glia.report.word_explanation import words_section

_SEVERITIES = ("failure", "warning", "note")
MOST_COLUMNS = 30
"""Columns of the profile, and of a hard row, that are shown unfolded."""


def render(record: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> str:
    """Return the report of a run as one HTML file that needs nothing else.

    Parameters
    ----------
    record : mapping
        The run's record (``run.json``); any section may be absent or None.
    history : sequence of mappings
        One entry an epoch: ``epoch``, ``train/loss``, ``valid/loss``, other metrics, ``lr``, ``seconds``.

    Returns
    -------
    str
        HTML. All data are escaped, and the page's policy forbids every request and every script but its own.
    """
    data: dict[str, Any] = jsonable(dict(record))
    epochs: list[dict[str, Any]] = jsonable([dict(row) for row in history])
    return fill(
        "report.html.j2",
        r=Section(data),
        verdict=verdict(data),
        advice=advice(data),
        outcome=outcome(data),
        key_figures=key_figures(data),
        warnings=_warnings(data, epochs),
        models=models_charts(data),
        scores=_scores(data),
        mistakes=[*mistakes_charts(data), *step_charts(data)],
        groups=groups_chart(data),
        hardest=_hardest(data),
        calibration=calibration_chart(data),
        importance=importance_chart(data),
        explanation=explanation_section(data.get("explanation")) or words_section(data.get("words")),
        learning=learning_charts(data, epochs),
        architecture=network_chart(data.get("network") or {}),
        profile=_profile(data),
        most_columns=MOST_COLUMNS,
    )


def _warnings(data: Mapping[str, Any], epochs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    given = [dict(w) for w in (data.get("schema") or {}).get("warnings") or []]
    found = given + [dict(r) for r in remarks(data, epochs)]
    told = [
        {
            "severity": w.get("severity") if w.get("severity") in _SEVERITIES else "warning",
            "column": w.get("column"),
            "message": w.get("message") or w.get("code") or "",
        }
        for w in found
    ]
    return sorted(told, key=lambda w: _SEVERITIES.index(w["severity"]))


def _scores(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return every metric of every model as a table."""
    info = data.get("metric_info")
    metrics = data.get("metrics") or {}
    models = [("this network", metrics.get("test") or {}, data.get("training") or {})]
    models += [(str(b.get("name")), b.get("metrics") or {}, b) for b in data.get("baselines") or []]
    models = [model for model in models if model[1]]
    names = list(dict.fromkeys(name for _, found, _ in models for name in found))
    heads = [
        {
            "name": words.headed(words.label(name, info)),
            "more": words.greater_is_better(name, info),
            "primary": name == data.get("primary"),
            "description": str(((info or {}).get(name) or {}).get("description") or ""),
        }
        for name in names
    ]
    rows = [
        {
            "name": name,
            "network": place == 0 and bool(metrics.get("test")),
            "seconds": rest.get("seconds"),
            "cells": [
                {
                    "value": words.figure_text(m, found.get(m), info),
                    "range": words.range_text(m, found.get(m), info),
                    "raw": (found.get(m) or {}).get("value"),
                }
                for m in names
            ],
        }
        for place, (name, found, rest) in enumerate(models)
    ]
    return {"heads": heads, "rows": rows}


def _hardest(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hardest rows, with the columns that matter most first."""
    keys = ("row", "truth", "prediction", "confidence", "loss", "values", "picture")
    rows = [{key: row.get(key) for key in keys} for row in data.get("hardest") or []]
    order = [str(i.get("column")) for i in data.get("importance") or []]
    columns = list(dict.fromkeys(name for row in rows for name in (row["values"] or {})))
    target = data.get("target")
    columns = sorted((c for c in columns if c != target), key=lambda c: order.index(c) if c in order else len(order))
    sure = any(words.is_number(row["confidence"]) for row in rows)
    numeric = {
        c: all(v is None or words.is_number(v) for row in rows if (v := (row["values"] or {}).get(c, 0)) or 1)
        for c in columns[:8]
    }
    listed = (data.get("schema") or {}).get("columns") or []
    prose = [str(one.get("name")) for one in listed if one.get("role") == "text"]
    shown = {"columns": columns[:8], "numeric": numeric, "prose": prose, "left": max(0, len(columns) - 8)}
    return {"rows": rows, "sure": sure, **shown}


def _profile(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a line for each column: what the schema says, what the profile counted, and its miniature."""
    columns = {str(c.get("name")): dict(c) for c in (data.get("schema") or {}).get("columns") or []}
    for c in columns.values():
        c.setdefault("missing", None)
    # the schema counts missing values, the profile gives their share
    rows = (data.get("source") or {}).get("rows")
    for c in columns.values():
        if words.is_number(c["missing"]) and words.is_number(rows) and rows and isinstance(c["missing"], int):
            c["missing"] = c["missing"] / rows
    for entry in data.get("profile") or []:
        known = columns.setdefault(str(entry.get("name")), {})
        known.update({key: value for key, value in entry.items() if value not in (None, "")})
    lines = []
    for name, c in columns.items():
        line = {"name": name, "target": name == data.get("target"), "picture": None, "says": ""}
        line |= {key: c.get(key) for key in ("role", "dtype", "missing", "unique", "reason", "note", "top", "other")}
        counts, numbers = (c.get("histogram") or {}).get("counts"), c.get("numbers") or {}
        if counts:
            line["picture"] = miniature(counts, f"Distribution of {words.shorten(name, 60)}")
            low, middle, high = (words.number(numbers.get(key)) for key in ("min", "median", "max"))
            line["says"] = f"{low} … {middle} … {high}"
        lines.append(line)
    return lines
