"""What a network looks at: the record of an explanation, its section of a report, and its page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from glia.core.errors import InputError
from glia.core.results import jsonable
from glia.explain.attribution import AttributionResult
from glia.explain.plots.look import View, numbers, shown, view
from glia.report import words
from glia.report.charts import Bar, Chart, bar_chart
from glia.report.charts.beeswarm import Swarm, beeswarm_chart
from glia.report.charts.waterfall import Step, waterfall_chart
from glia.report.effects import effect_chart
from glia.report.page import Section, environment, fill

MOST_FEATURES, MOST_POINTS, MOST_STEPS = 20, 200, 8
ROUNDING = 1e-6
NAMES = {"shap": "Shapley values", "lime": "LIME", "lrp": "Layer-wise relevance", "deeplift": "DeepLIFT"}


def explanation_record(result: AttributionResult, *, rows: int = 3, output: int | str = 0) -> dict[str, Any]:
    """Return what the report keeps of an explanation of a table, as plain JSON data.

    Parameters
    ----------
    result : AttributionResult
        Of a table.
    rows : int
        How many rows are shown one by one: those with the lowest and the highest output, and in between.
    output : int or str
        The output of which points and rows are shown.

    Raises
    ------
    InputError
        If rows have no columns, or there is no such output.
    """
    if not result.feature_names:
        raise InputError("a section on columns needs a table", f"rows of shape {result.values.shape[1:]}")
    seen = view(result, output)
    order = seen.order()[:MOST_FEATURES]
    sizes = np.abs(seen.values)
    reach = 1.96 * sizes.std(axis=0, ddof=1) / np.sqrt(len(sizes)) if len(sizes) > 1 else None
    thin = np.unique(np.linspace(0, len(sizes) - 1, min(MOST_POINTS, len(sizes))).astype(int))
    by_output = np.argsort(seen.outputs, kind="stable")
    picked = by_output[np.unique(np.linspace(0, len(by_output) - 1, min(rows, len(by_output))).astype(int))]
    record = {
        "method": result.method,
        "unit": seen.unit,
        "output": seen.title.removeprefix(", "),
        "rows": len(sizes),
        "columns": len(result.feature_names),
        "summary": result.summary(),
        "warnings": list(result.warnings),
        "checks": dict(result.checks),
        "settings": dict(result.settings),
        "evaluations": result.evaluations,
        "seconds": result.seconds,
        "features": [
            {
                "name": seen.names[i],
                "size": float(sizes[:, i].mean()),
                "low": None if reach is None else max(0.0, float(sizes[:, i].mean() - reach[i])),
                "high": None if reach is None else float(sizes[:, i].mean() + reach[i]),
                "shares": seen.values[thin, i].tolist(),
                "ranks": _ranks(seen, i, thin),
            }
            for i in order
        ],
        "shown": [_row(seen, int(i)) for i in picked],
    }
    return dict(jsonable(record))


def _ranks(seen: View, feature: int, rows: Any) -> list[float | None]:
    column = None if seen.data is None else numbers(seen.data[rows, feature])
    if column is None:
        return [None] * len(rows)
    known = np.isfinite(column)
    _, place = np.unique(column[known], return_inverse=True)
    found = np.full(len(column), np.nan)
    found[known] = place / place.max() if place.max(initial=0) else 0.5
    return [None if np.isnan(rank) else float(rank) for rank in found]


def _row(seen: View, row: int) -> dict[str, Any]:
    """Return one row: its base, output, and its shares by size with the columns' values."""
    order = np.argsort(-np.abs(seen.values[row]), kind="stable")
    return {
        "row": row,
        "base": 0.0 if seen.base is None else float(seen.base[row]),
        "output": float(seen.outputs[row]),
        "shares": [
            {
                "name": seen.names[i],
                "value": None if seen.data is None else shown(seen.data[row, i]),
                "share": float(seen.values[row, i]),
                "error": None if seen.error is None else float(seen.error[row, i]),
            }
            for i in order
        ],
    }


def explanation_section(record: Mapping[str, Any] | None) -> Markup:
    """Return the section of a report, or nothing where there is no record."""
    if not record:
        return Markup("")
    section = environment().get_template("explanation.html.j2").render(**_parts(record))
    return Markup(section)  # the template escapes what it is given


def render_explanation(record: Mapping[str, Any]) -> str:
    """Return the page of an explanation as one HTML file that needs nothing else.

    Parameters
    ----------
    record : mapping
        What ``explanation_record`` gave, and ``name``, ``files``, ``command`` and ``effects`` (what ``leading_effects``
        gave) where they are known.
    """
    return fill("explain.html.j2", verdict=_verdict(record), keys=_keys(record), **_parts(record))


def _parts(record: Mapping[str, Any]) -> dict[str, Any]:
    data = dict(jsonable(dict(record)))
    return {
        "e": Section(data),
        "title": NAMES.get(str(data["method"]), str(data["method"]).replace("_", " ").capitalize()),
        "charts": [chart for chart in (_bars(data), _swarm(data)) if chart is not None],
        "effects": [effect_chart(one, f"effect-{i}") for i, one in enumerate(data.get("effects") or [])],
        "falls": [_waterfall(data, one) for one in data["shown"]],
        "checks": tuple((name, figure) for name, figure in data["checks"].items()),
    }


def _label(data: Mapping[str, Any]) -> str:
    what = "predicted value" if data["unit"] == "target" else data["unit"]
    return f"share of the {what}" + (f", {words.shorten(data['output'], 24)}" if data["output"] else "")


def _bars(data: Mapping[str, Any]) -> Chart:
    first = data["features"][0]
    whole = sum(feature["size"] for feature in data["features"])
    part = f": {words.percent(first['size'] / whole, 0)} of all shares" if whole else ""
    bars = [Bar(f["name"], f["size"], f["low"], f["high"], "valid") for f in data["features"]]
    left = data["columns"] - len(bars)
    note = "Whiskers: 95 % intervals over rows like these." if first["low"] is not None else ""
    note += f" {left} columns with smaller shares are left out." if left else ""
    title = f"{words.headed(words.shorten(first['name'], 40))} matters most{part}"
    return bar_chart("sizes", title, bars, x_label=f"mean size of the {_label(data)}", note=note.strip())


def _swarm(data: Mapping[str, Any]) -> Chart | None:
    if len(data["features"][0]["shares"]) < 2:
        return None
    swarms = [Swarm(f["name"], f["shares"], f["ranks"]) for f in data["features"]]
    widest = max(swarms, key=lambda swarm: max(swarm.shares) - min(swarm.shares))
    title = f"{words.headed(words.shorten(widest.label, 40))} moves rows furthest apart"
    note = "Each point is a row; grey where the feature is no number."
    if data["rows"] > len(swarms[0].shares):
        note += f" {len(swarms[0].shares)} of {words.number(data['rows'])} rows are drawn."
    return beeswarm_chart("swarm", title, swarms, x_label=_label(data), note=note)


def _waterfall(data: Mapping[str, Any], row: Mapping[str, Any]) -> Chart:
    shares = row["shares"]
    kept = shares if len(shares) <= MOST_STEPS else shares[: MOST_STEPS - 1]
    steps = [
        Step(s["name"] if s["value"] is None else f"{s['name']} = {s['value']}", s["share"], s["error"]) for s in kept
    ]
    if rest := shares[len(kept) :]:
        known = [s["error"] for s in rest if s["error"] is not None]
        error = float(np.sqrt(np.sum(np.square(known)))) if known else None
        steps.append(Step(f"{len(rest)} other columns", sum(s["share"] for s in rest), error))
    first = shares[0]
    moves = "raises" if first["share"] >= 0 else "lowers"
    title = f"Row {row['row']}, {words.number(row['output'])}: {words.shorten(first['name'], 30)} {moves} it most"
    note = "Orange raises, blue lowers." + (" ± is one standard error." if steps[0].error is not None else "")
    label = f"{data['unit'] if data['unit'] != 'target' else 'predicted value'}, from the base to the output"
    return waterfall_chart(f"row-{row['row']}", title, steps, base=row["base"], x_label=label, note=note)


def _verdict(record: Mapping[str, Any]) -> dict[str, str]:
    features = record["features"]
    whole = sum(feature["size"] for feature in features) or 1.0
    names = [words.shorten(feature["name"], 40) for feature in features[:3]]
    part = sum(feature["size"] for feature in features[:3]) / whole
    listed = f"{', '.join(names[:-1])} and {names[-1]} carry" if len(names) > 1 else f"{names[0]} carries"
    doubt = bool(record["warnings"])
    return {
        "tone": "tie" if doubt else "better",
        "icon": "warning" if doubt else "good",
        "head": "Do not rely on it" if doubt else "What the network looks at",
        "answer": f"{words.headed(listed)} {words.percent(part, 0)} of the shares.",
    }


def _keys(record: Mapping[str, Any]) -> list[dict[str, str]]:
    found = [
        {"label": "Explained", "value": words.number(record["rows"]), "note": f"rows of {record['columns']} columns"}
    ]
    checks = record["checks"]
    gap = checks.get("largest gap to the output")
    if gap is not None:
        found.append(
            {
                "label": "Gap to the output",
                "value": "none" if gap < ROUNDING else words.number(gap, 2),
                "note": "shares add up" + (", up to rounding" if gap < ROUNDING else " to within this"),
            }
        )
    error = checks.get("largest standard error")
    if error is not None:
        unit = "of the prediction" if record["unit"] == "target" else record["unit"]
        found.append({"label": "Largest standard error", "value": words.number(error, 2), "note": unit})
    if "local R², mean" in checks:
        found.append(
            {"label": "Local fit", "value": words.percent(checks["local R², mean"], 0), "note": "R², mean over rows"}
        )
        agree = checks["rank agreement between repeats, mean"]
        found.append({"label": "Stability", "value": words.number(agree, 2), "note": "rank agreement between repeats"})
    return found
