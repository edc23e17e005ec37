"""The global picture: what the most important columns do to the output, as curves of a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.results import jsonable
from glia.explain.accumulated_local_effects import accumulated_local_effects
from glia.explain.attribution import AttributionResult
from glia.explain.effect import WORDS, EffectResult
from glia.report import words
from glia.report.charts import Bar, Chart, bar_chart
from glia.report.charts.line import Series, line_chart

SHOWN, ROWS = 3, 2000


def leading_effects(predictor: Predictor, X: Any, result: AttributionResult, output: int = 0) -> list[dict[str, Any]]:
    """Return the accumulated local effects of the three columns that matter most, as records.

    Parameters
    ----------
    predictor : Predictor
        What was explained.
    X : rows
        Rows of a table, at least two; the more the better.
    result : AttributionResult
        Says which columns matter.
    output : int
        The output, by position.
    """
    found = []
    for i in np.argsort(-result.importance(), kind="stable")[:SHOWN]:
        space = "probability" if result.unit == "probability" else "logit"
        name = result.output_names[output] if result.output_names else output
        try:
            one = accumulated_local_effects(
                predictor, X, result.feature_names[i], output=name, space=space, points=13, rows=ROWS
            )
        except InputError:  # a column without two different values has no effect to show
            continue
        found.append(effect_record(one))
    return found


def effect_record(effect: EffectResult, output: int = 0) -> dict[str, Any]:
    """Return what a page keeps of an effect on one output, as plain JSON data."""
    columns = {name: getattr(effect, name)[:, output] for name in ("values", "low", "high")}
    record = {
        "method": effect.method, "column": effect.column, "numeric": effect.numeric, "at": effect.at,
        "labels": effect.labels, **columns, "unit": effect.unit, "title": effect.title(output), "rows": effect.rows,
        "members": effect.members, "level": effect.level, "warnings": effect.warnings,
    }  # fmt: skip
    return dict(jsonable(record))


def effect_chart(record: Mapping[str, Any], key: str) -> Chart:
    """Return a curve between its bounds, or bars of categories."""
    unit = "predicted value" if record["unit"] == "target" else record["unit"]
    label = f"{'effect on' if record['method'] == 'ale' else 'mean of'} the {unit}"
    level = words.percent(record["level"], 0)
    over = f"rows and {record['members']} networks" if record["members"] > 1 else "rows"
    note = f"{WORDS[record['method']]} with {level} intervals over {over}, {words.number(record['rows'])} rows."
    if record["warnings"]:
        note += f" Do not rely on it: {'; '.join(record['warnings'])}."
    if not record["numeric"]:
        parts = zip(record["labels"], record["values"], record["low"], record["high"], strict=True)
        bars = [Bar(name, value, low, high, "valid") for name, value, low, high in parts]
        return bar_chart(key, record["title"], bars, x_label=f"{label}, {record['column']}", note=note)
    series = [
        Series("effect", record["at"], record["values"], "valid"),
        Series("upper", record["at"], record["high"], "context"),
        Series("lower", record["at"], record["low"], "context"),
    ]
    return line_chart(key, record["title"], series, x_label=record["column"], y_label=label, note=note, log=False)
