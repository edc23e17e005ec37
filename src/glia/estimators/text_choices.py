"""What is chosen for texts where a setting is "auto"."""

from __future__ import annotations

import math
from typing import Any

from glia.core.errors import InputError
from glia.engine.optimizer_settings import Optimizer
from glia.estimators.choices import EFFORTS
from glia.nn import Backbone, TextConvNet

_ALONE = "convolutions over word pieces, learned from these texts alone; a backbone has read others before"


def settle_texts(params: dict[str, Any], *, rows: int) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the parameters of an estimator of texts without any "auto", and why each became what it is.

    Parameters
    ----------
    params : dict
        ``get_params(deep=False)``.
    rows : int
        Training texts.

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
    network = settle("network", TextConvNet(), _ALONE)
    tuned = isinstance(network, Backbone) and network.tune != "frozen"
    batch = settle("batch_size", *_batch_size(rows, tuned))
    if params.get("epochs", "auto") == "auto" and params.get("early_stopping", "auto") == "auto":
        settled["early_stopping"] = False
        why["early_stopping"] = {"value": 0, "why": "the rate falls to the end; the best epoch is kept"}
    count = max(1, math.ceil(rows / int(batch))) if isinstance(batch, (int, float)) and batch >= 1 else 1
    # What is learned already needs few steps; every one of them costs as much as hundreds of a head's.
    total = int((150 if tuned else 400 + 6 * math.sqrt(rows)) * EFFORTS[effort])
    least, most = (3, 20) if tuned else (8, 200)
    reason = f"about {total} steps of {batch} texts ({effort} effort), within {least} to {most} passes"
    settle("epochs", max(least, min(most, round(total / count))), reason)
    settle("optimizer", Optimizer("adamw", weight_decay=0.02, clip_norm=1.0), "the usual rule")
    if params.get("lr", "auto") == "auto" and params.get("optimizer", "auto") == "auto":
        settle("lr", 4e-3, "of the head; a backbone has a share of it" if tuned else "the usual rate")
    settle("schedule", "one_cycle", "a slow start spares what is learned already; a slow end lets it settle")
    if settled.get("members") == "auto":
        settled["members"] = 1
        why["members"] = {"value": 1, "why": "one network of texts costs as much as many of tables"}
    return settled, why


def _batch_size(rows: int, tuned: bool) -> tuple[int, str]:
    most = 32 if tuned else 128
    size = min(most, max(16, 2 ** round(math.log2(max(rows, 1) / 32 + 1e-9))))
    return min(size, max(rows, 1)), f"about 32 steps per epoch, within 16 to {most}"
