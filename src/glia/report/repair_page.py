"""The page of a repair: what is missing, what it depends on, and how far each remedy is off on these data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glia.core.results import jsonable
from glia.repair.downstream import METRICS
from glia.repair.remedies import find_remedy
from glia.repair.result import UNSEEN
from glia.report import words
from glia.report.charts import Bar, Chart, bar_chart, interval_chart
from glia.report.page import Section, fill

MECHANISMS = {
    "mcar": "completely at random",
    "mar": "because of other columns",
    "mnar": "because of the value itself",
}
MOST_BARS = 12
_KINDS = {True: "warning", False: "baseline"}


def render_repair(record: Mapping[str, Any]) -> str:
    """Return the report of a repair as one HTML file that needs nothing else.

    Parameters
    ----------
    record : mapping
        ``RepairResult.to_dict()``, and ``summary``, ``remedy``, ``files`` and ``command`` where they are known.
    """
    data: dict[str, Any] = jsonable(dict(record))
    charts = [chart for mechanism in MECHANISMS if (chart := _errors(data, mechanism)) is not None]
    return fill(
        "repair.html.j2",
        r=Section(data),
        recommended=find_remedy(str(data["recommended"])).title,
        unseen=UNSEEN,
        keys=_keys(data),
        gaps=_gaps(data),
        pattern_rows=_patterns(data),
        pair_rows=_pairs(data),
        depends=_depends(data),
        errors=charts,
        numbers=_numbers(data),
        downstream=_downstream(data),
        downstream_rows=_downstream_rows(data),
    )


def _keys(data: Mapping[str, Any]) -> list[dict[str, str]]:
    cells, gone = data["cells"], data["missing"]
    return [
        {
            "label": "Missing values",
            "value": words.percent(gone / max(cells, 1)),
            "note": f"{words.number(gone)} of {words.number(cells)} cells that can be filled in",
        },
        {
            "label": "Complete rows",
            "value": words.percent(data["complete_rows"] / max(data["rows"], 1)),
            "note": f"{words.number(data['complete_rows'])} of {words.number(data['rows'])} rows",
        },
        {
            "label": "Error of the remedy",
            "value": words.percent(_mean_score(data, data["recommended"]), 0),
            "note": "of what one constant per column costs, over all masks",
        },
    ]


def _mean_score(data: Mapping[str, Any], name: str) -> float | None:
    own = [error["score"]["value"] for error in data["errors"] if error["remedy"] == name]
    return sum(own) / len(own) if own else None


def _gaps(data: Mapping[str, Any]) -> Chart | None:
    columns = data["columns"][:MOST_BARS]
    if not columns:
        return None
    first = columns[0]
    title = f"{words.shorten(first['column'], 40)} has the most gaps: {words.percent(first['share'])}"
    bars = [Bar(c["column"], c["share"], kind="warning" if c["share"] > 0.2 else "baseline") for c in columns]
    rest = len(data["columns"]) - len(columns)
    note = f"{rest} more columns have gaps." if rest else ""
    return bar_chart("gaps", title, bars, x_label="missing, per cent of the rows", scale=100.0, note=note)


def _depends(data: Mapping[str, Any]) -> Chart | None:
    found = data["predictable"][:MOST_BARS]
    if not found:
        return None
    count = sum(one["depends"] for one in data["predictable"])
    of = len(data["predictable"])
    title = (
        f"The gaps of {count} of {of} columns can be told from the other columns"
        if count
        else "No column's gaps can be told from the other columns"
    )
    bars = [
        Bar(
            one["column"],
            one["auc"]["value"],
            one["auc"]["low"],
            one["auc"]["high"],
            "warning" if one["depends"] else "",
        )
        for one in found
    ]
    note = "0.5 is chance, 1 is certainty; logistic regression, cross-validated, intervals widened for many columns."
    return interval_chart("depends", title, bars, x_label="area under the ROC curve", zero=0.5, note=note)


def _errors(data: Mapping[str, Any], mechanism: str) -> Chart | None:
    own = sorted((e for e in data["errors"] if e["mechanism"] == mechanism), key=lambda e: e["score"]["value"])
    if not own:
        return None
    best = find_remedy(own[0]["remedy"]).title.capitalize()
    title = f"Values missing {MECHANISMS[mechanism]}: the least error has “{best}”"
    bars = [
        Bar(
            find_remedy(e["remedy"]).title,
            e["score"]["value"],
            e["score"]["low"],
            e["score"]["high"],
            "test" if e["remedy"] == data["recommended"] else "baseline",
        )
        for e in own
    ]
    note = "Of what one constant per column costs: 100 is no better than that. The recommended remedy stands out."
    label = f"error, per cent ({mechanism.upper()} masks)"
    return bar_chart(f"errors-{mechanism}", title, bars, x_label=label, scale=100.0, note=note)


def _downstream(data: Mapping[str, Any]) -> Chart | None:
    own = sorted((d for d in data["downstream"] if not d["indicators"]), key=lambda d: d["error"]["value"])[:MOST_BARS]
    if not own:
        return None
    bars = [
        Bar(
            f"{find_remedy(d['remedy']).title}, {d['model']}",
            d["error"]["value"],
            d["error"]["low"],
            d["error"]["high"],
            "test" if d["remedy"] == data["recommended"] else "baseline",
        )
        for d in own
    ]
    title = f"The target is predicted best by: {bars[0].label}"
    label = METRICS.get(str(data["task"]), "error")
    return interval_chart("downstream", title, bars, x_label=label, note="Five folds; less is better.")


def _numbers(data: Mapping[str, Any]) -> tuple[tuple[Any, ...], ...]:
    """Return one row per remedy and mechanism, with errors in their own units."""

    def shown(figure: Mapping[str, Any] | None) -> str:
        if not figure:
            return words.DASH
        return f"{words.number(figure['value'])} ({words.number(figure['low'])} to {words.number(figure['high'])})"

    return tuple(
        (
            find_remedy(e["remedy"]).title,
            e["mechanism"].upper(),
            shown(e["nrmse"]),
            shown(e["error_rate"]),
            words.percent(e["coverage"], 0),
            e["seconds"],
        )
        for e in data["errors"]
    )


def _downstream_rows(data: Mapping[str, Any]) -> tuple[tuple[Any, ...], ...]:
    return tuple(
        (
            find_remedy(d["remedy"]).title, d["model"], "yes" if d["indicators"] else "no",
            d["error"]["value"], d["error"]["low"], d["error"]["high"],
        )
        for d in data["downstream"]
    )  # fmt: skip


def _patterns(data: Mapping[str, Any]) -> tuple[tuple[Any, ...], ...]:
    return tuple(
        (", ".join(p["columns"]) or "nothing", p["rows"], words.percent(p["share"])) for p in data["patterns"][:30]
    )


def _pairs(data: Mapping[str, Any]) -> tuple[tuple[Any, ...], ...]:
    return tuple(
        (p["first"], p["second"], p["together"], round(p["expected"], 1), p["correlation"]) for p in data["pairs"][:20]
    )
