"""Gates over time and attention of sequence networks, as charts."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from torch import nn

from glia.core.errors import InputError
from glia.core.results import Result, jsonable
from glia.explain import AttentionRolloutResult, GatesResult, attention_rollout, gates
from glia.report import words
from glia.report.charts import Chart, Series, line_chart
from glia.report.charts.share_map import share_map

_KINDS = {"input": "s1", "reset": "s1", "forget": "s2", "keep": "s2", "output": "s3"}
MOST_LAYERS = 4
MOST_PLACES = 1024
"""Steps from which on attention is not looked at: it takes their square."""


def inside(model: Any, X: Any) -> list[Result]:
    """Return the gates of recurrent networks and the attention of transformers for some rows, where there are any."""
    found: list[Result] = []
    with suppress(InputError):  # other cells
        found.append(gates(model, X))
    attends = any(isinstance(module, nn.MultiheadAttention) for module in model.network_.modules())
    if attends and model.layout_.shape[0] <= MOST_PLACES:
        with suppress(InputError):  # attention of places on others than themselves
            found.append(attention_rollout(model, X))
    return found


def inside_record(result: Result) -> dict[str, Any]:
    """Return means over units and rows as plain JSON data: all values of long sequences would be too many."""
    if isinstance(result, GatesResult):
        layers = [
            {"name": name, "gates": {gate: result.mean(gate, place).tolist() for gate in result.gates_of(place)}}
            for place, name in enumerate(result.names)
        ]
        return dict(jsonable({"rows": len(result.mask), "layers": layers}))
    if isinstance(result, AttentionRolloutResult):
        kept = {"rows": len(result.rollout), "layers": result.layers, "entropy": result.entropy}
        return dict(jsonable({**kept, "warnings": result.warnings, "share": result.of().mean(axis=0)}))
    return result.to_dict()


def inside_charts(result: Result) -> list[Chart]:
    """Return the charts of gates or of attention; none for other results."""
    if isinstance(result, GatesResult):
        return [_gates(result, layer) for layer in range(min(MOST_LAYERS, len(result.layers)))]
    return [_attention(result)] if isinstance(result, AttentionRolloutResult) else []


def _gates(result: GatesResult, layer: int) -> Chart:
    means = {name: result.mean(name, layer) for name in result.gates_of(layer)}
    moving = max(means, key=lambda name: float(np.nanstd(means[name])))
    steps = means[moving]
    low, high = int(np.nanargmin(steps)), int(np.nanargmax(steps))
    title = (
        f"{words.headed(result.names[layer])}: the {moving} gate moves most, {words.number(float(steps[low]), 2)} at "
        f"step {low}, {words.number(float(steps[high]), 2)} at step {high}"
    )
    at = [float(i) for i in range(len(steps))]
    series = [Series(name, at, [_known(v) for v in mean], _KINDS[name]) for name, mean in means.items()]
    note = "Mean over units, and over the rows that have the step. 0 is shut, 1 open."
    return line_chart(f"gates-{layer}", title, series, x_label="step", y_label="open, 0 to 1", note=note, log=False)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _attention(result: AttentionRolloutResult) -> Chart:
    mean = result.of().mean(axis=0)
    place = int(mean.argmax())
    even = 1 / len(mean)
    title = (
        f"Most comes from step {place}: {words.percent(float(mean[place]))}, {words.percent(even)} if all were alike"
    )
    warned = f" {words.headed('; '.join(result.warnings))}." if result.warnings else ""
    note = f"Attention of {len(result.layers)} layers multiplied, mean over the rows.{warned}"
    return share_map(
        "attention", title, result.rollout.mean(axis=0), x_label="step of the input",
        y_label="step after the last layer", note=note,
    )  # fmt: skip
