"""What "auto" means for sequences: a network by their length, steps by their number."""

from __future__ import annotations

import math
from typing import Any

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.core.protocols import Task
from glia.engine.optimizer_settings import Optimizer
from glia.estimators.choices import EFFORTS
from glia.nn.recurrent import GRU
from glia.nn.spec import Spec
from glia.nn.tcn import TCN

FEW_STEPS = 6
"""Below so many steps there is nothing for convolutions over time to find."""
_LEAST, _MOST, _WORK = 300, 1000, 8.0e11


def settle_sequences(
    params: dict[str, Any], *, rows: int, task: Task, layout: Layout, by_step: bool = False
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the parameters of an estimator of sequences without any "auto", and why each became what it is.

    Parameters
    ----------
    params : dict
        ``get_params(deep=False)``.
    rows : int
        Training sequences.
    task : Task
        What is predicted.
    layout : Layout
        (T, C + 1).
    by_step : bool
        Whether every step is answered.

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
    steps = layout.shape[0]
    batch = settle("batch_size", *_batch_size(rows))
    chosen, reason = network_for(steps, rows, by_step=by_step)
    settle("network", chosen, reason)
    if params.get("epochs", "auto") == "auto" and params.get("early_stopping", "auto") == "auto":
        settled["early_stopping"] = False
        why["early_stopping"] = {"value": 0, "why": "the rate falls to the end; the best epoch is kept"}
    count = max(1, math.ceil(rows / int(batch))) if isinstance(batch, (int, float)) and batch >= 1 else 1
    total = int(_steps(steps, int(batch) if count > 1 else rows) * EFFORTS[effort])
    reason = f"about {total} steps of {batch} sequences ({effort} effort)"
    settle("epochs", max(8, min(300, round(total / count))), reason)
    settle("optimizer", Optimizer("adamw", weight_decay=0.01, clip_norm=1.0), "the usual rule")
    if params.get("lr", "auto") == "auto" and params.get("optimizer", "auto") == "auto":
        settle("lr", 3e-3, "measured on series of one and of several channels")
    settle("schedule", "cosine", "a slow end lets the weights settle")
    if settled.get("members") == "auto":
        settled["members"] = 1
        why["members"] = {"value": 1, "why": "one network of sequences costs as much as many of tables"}
    return settled, why


def network_for(steps: int, rows: int, *, by_step: bool) -> tuple[Spec, str]:
    """Return the network of sequences of ``steps`` steps, and why."""
    if steps < FEW_STEPS or by_step:
        return GRU(hidden=64, bidirectional=True, layers=2 if by_step else 1), (
            "every step may depend on all others, before and after" if by_step else f"{steps} steps are few"
        )
    channels = 64 if rows >= 300 else 48
    spec = TCN(channels=channels, kernel_size=5, causal=False, dropout=0.1, pooling="mean")
    return spec, f"convolutions find patterns wherever they are in {steps} steps"


def _batch_size(rows: int) -> tuple[int, str]:
    size = min(128, max(16, 2 ** round(math.log2(max(rows, 1) / 16 + 1e-9))))
    return min(size, max(rows, 1)), "about 16 steps per epoch, within 16 to 128"


def _steps(length: int, batch: int) -> int:
    """Return how many steps are worth it: fewer for long sequences, which cost more each."""
    return int(min(_MOST, max(_LEAST, _WORK / (max(length, 16) * max(batch, 1) * 3.0e5))))
