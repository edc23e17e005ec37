"""Losses told in plain units: against that of the best guess that looks at no input."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.protocols import Task
from glia.engine.rows import Rows
from glia.lab.bench import Bench
from glia.lab.runs import Runs

Floats = NDArray[np.float64]
UNIT = "% of guessing's loss"


def guessing_loss(rows: Rows, task: Task) -> float:
    """Return the mean loss of the best constant: cross-entropy of the classes' shares, or variance of values."""
    if task == "regression":
        y = rows.y.reshape(len(rows), -1)
        return float(((y - y.mean(0)) ** 2).mean())
    share = torch.bincount(rows.y.long()).double() / len(rows)
    return float(-torch.special.xlogy(share, share).sum())


def course(bench: Bench, runs: Runs, part: str = "train") -> Floats:
    """Return the loss by epoch, (S, E), of the part, as % of guessing's; NaN once it was not finite."""
    return 100.0 * runs.loss[part] / max(guessing_loss(bench.data.part(part), bench.data.task), 1e-12)


def left(bench: Bench, runs: Runs, part: str = "train") -> Floats:
    """Return the last loss, (S,), as % of guessing's; 100 for whatever failed or ended worse than guessing."""
    last = course(bench, runs, part)[:, -1]
    return np.where(runs.failed | ~np.isfinite(last), 100.0, np.fmin(last, 100.0))
