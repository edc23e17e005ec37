"""What is chosen for pictures where a setting is "auto": the network by their size and number, and its training."""

from __future__ import annotations

import math
from typing import Any

from glia.core.layout import Layout
from glia.core.protocols import Task
from glia.engine.optimizer_settings import Optimizer
from glia.estimators.choices import EFFORTS, Choices, choose
from glia.nn import ConvNet

RATE = 1e-2
"""Peak of the learning rate's cycle."""


def choose_for_images(params: dict[str, Any], *, rows: int, task: Task, layout: Layout, members: int = 1) -> Choices:
    """Settle every "auto" of an estimator of pictures; as ``choose``, with other choices.

    Parameters
    ----------
    params : dict
        ``get_params(deep=False)``.
    rows : int
        Training pictures.
    task : Task
        What is predicted.
    layout : Layout
        Of the prepared pictures, (C, H, W).
    members : int
        Networks that are trained.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    auto = {name for name, value in params.items() if isinstance(value, str) and value == "auto"}
    effort = str(params.get("effort", "default"))
    batch = batch_for(rows)
    epochs = epochs_for(rows, batch, EFFORTS.get(effort, 1.0))
    width, stages = width_for(rows, effort), stages_for(layout)
    chosen: dict[str, tuple[Any, str]] = {
        "batch_size": (batch, "about 64 steps per epoch, within 16 to 128"),
        "epochs": (epochs, f"about {epochs * math.ceil(rows / batch):,} steps of {batch} pictures ({effort} effort)"),
        "network": (
            ConvNet(tuple(width * 2**stage for stage in range(stages)), head="flatten", dropout=0.1),
            f"{stages} stages of convolutions for pictures of {layout.shape[1]} × {layout.shape[2]}, {width} feature "
            f"maps at first for {rows:,} of them",
        ),
        "optimizer": (Optimizer("adamw", weight_decay=0.02, clip_norm=1.0), "the usual rule"),
        "schedule": ("one_cycle", "a slow start and end let a high rate in between be borne"),
    }
    given = {**params, **{name: value for name, (value, _) in chosen.items() if name in auto}}
    if "lr" in auto and getattr(given["optimizer"], "name", given["optimizer"]) == "adamw":
        given["lr"] = RATE
        chosen["lr"] = (RATE, "the peak of the cycle; batch normalisation bears high rates")
    if params.get("early_stopping", "auto") == "auto" and "epochs" in auto:
        given["early_stopping"] = False  # the rate falls to the end; the best epoch is kept all the same
        chosen["early_stopping"] = (0, "the rate falls to the end; the best epoch is kept")
    found = choose(given, rows=rows, task=task, layout=layout, members=members)
    for name in [name for name in chosen if name in auto]:
        value, why = chosen[name]
        found.why[name] = {"value": value if isinstance(value, (int, float, str)) else repr(value), "why": why}
    if params.get("members") == "auto":
        found.why["members"] = {"value": members, "why": "one network: convolutions gain little from being batched"}
    return found


def batch_for(rows: int) -> int:
    """Return the pictures of a step: about 64 steps per epoch, within 16 to 128."""
    return min(128, max(16, 2 ** round(math.log2(max(rows, 1) / 64 + 1e-9)))) if rows > 32 else max(rows, 1)


def epochs_for(rows: int, batch: int, share: float) -> int:
    """Return the passes over the pictures: about 600 + 12·√rows steps, within 2 to 100 passes."""
    steps = (600 + 12 * math.sqrt(rows)) * share
    return max(2, min(100, round(steps / math.ceil(rows / batch))))


def width_for(rows: int, effort: str = "default") -> int:
    """Return the feature maps of the first stage: more pictures bear more weights; time grows with their square."""
    return 16 if rows < 2000 else {"quick": 16, "best": 32}.get(effort, 24)


def stages_for(layout: Layout) -> int:
    """Return the number of stages, two to five: the last one begins with maps of about eight pixels a side."""
    side = min(layout.shape[1:])
    return max(2, min(5, 1 + math.ceil(math.log2(max(side / 8, 1)))))
