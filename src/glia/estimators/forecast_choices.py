"""What "auto" means for forecasts: several small networks that correct a simple forecast."""

from __future__ import annotations

import math
from typing import Any

from glia.core.errors import InputError
from glia.engine.optimizer_settings import Optimizer
from glia.estimators.choices import EFFORTS
from glia.nn import MLP

MEMBERS = {"quick": 2, "default": 4, "best": 10}
"""Effort → networks whose quantiles are averaged."""


def settle_forecasts(params: dict[str, Any], *, rows: int) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the parameters of a forecaster without any "auto", and why each became what it is.

    Raises
    ------
    InputError
        If ``effort`` is unknown.
    """
    settled, why = dict(params), dict[str, dict[str, Any]]()

    def settle(name: str, auto: Any, reason: str) -> Any:
        value = settled.get(name, "auto")
        if isinstance(value, str) and value == "auto":
            settled[name] = auto
            why[name] = {"value": auto if isinstance(auto, (int, float, str)) else repr(auto), "why": reason}
        return settled[name]

    effort = params.get("effort", "default")
    if effort not in EFFORTS:
        raise InputError("effort must be quick, default or best", f"effort={effort!r}")
    batch = settle("batch_size", min(512, max(16, 2 ** round(math.log2(max(rows, 16) / 16)))), "16 steps at least")
    width = 128 if rows >= 2000 else 64
    settle("network", MLP(hidden=(width, width), activation="silu", dropout=0.1), f"two layers for {rows} windows")
    count = max(1, math.ceil(rows / int(batch))) if isinstance(batch, (int, float)) and batch >= 1 else 1
    steps = int(600 * EFFORTS[effort])
    reason = f"about {steps} steps of {batch} windows ({effort} effort)"
    settle("epochs", max(2, min(200, round(steps / count))), reason)
    settle("optimizer", Optimizer("adamw", weight_decay=0.02, clip_norm=1.0), "the usual rule")
    if params.get("lr", "auto") == "auto" and params.get("optimizer", "auto") == "auto":
        settle("lr", 1e-3, "small: the network begins as a good simple forecast")
    settle("schedule", "cosine", "a slow end lets the weights settle")
    settled["early_stopping"] = False
    return settled, why
