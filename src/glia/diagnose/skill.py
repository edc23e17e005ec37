"""How much is learned, in a unit that tasks share: the error relative to that of the best constant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia.core.protocols import Task
from glia.diagnose.layers import RowLoss
from glia.objectives import Objective

Floats = NDArray[np.float64]
Z = 1.959963984540054
"""Standard errors to each side of a 95 % interval."""


@dataclass(frozen=True)
class Skill:
    """How good outputs are on some rows.

    Parameters
    ----------
    rows : int
        How many.
    loss, constant : float
        Mean loss of the task's usual loss, and that of the best constant output.
    error, constant_error : float
        Share of wrong labels, or mean squared error in units of the target's variance; and that of the constant.
    """

    rows: int
    loss: float
    constant: float
    error: float
    constant_error: float

    @property
    def relative(self) -> float:
        """Loss over that of the best constant: 0 is perfect, 1 no better than a constant."""
        return relative(self.loss, self.constant)

    @property
    def skill(self) -> float:
        """1 − ``relative``."""
        return 1.0 - self.relative


def relative(loss: float, constant: float) -> float:
    """Return a loss in units of the constant's; infinite where it is not finite."""
    if not math.isfinite(loss):
        return math.inf
    return loss / max(constant, 1e-12)


def plain_loss(task: Task) -> RowLoss:
    """Return the task's usual loss, whatever a network was trained with."""
    return Objective().resolve(task).loss


def row_errors(task: Task, output: Tensor, y: Tensor) -> Floats:
    """Return 0/1 for right and wrong labels (of several: their mean), or squared errors over the variance, (N,)."""
    with torch.no_grad():
        if task == "binary":
            wrong = (output[:, 0] > 0) != (y > 0.5)
        elif task == "multiclass":
            wrong = output.argmax(dim=1) != y
        elif task == "multilabel":
            wrong = ((output > 0) != (y > 0.5)).double().mean(dim=1)
        else:
            truth = y.double().reshape(len(y), -1)
            spread = truth.var(dim=0, correction=0).clamp_min(1e-12)
            wrong = ((output.double()[:, : truth.shape[1]] - truth).square() / spread).mean(dim=1)
    return np.asarray(wrong.double().cpu().numpy())


def measure_skill(task: Task, output: Tensor, y: Tensor) -> Skill:
    """Return the skill of outputs (N, O) for targets."""
    loss = plain_loss(task)
    still = constant_output(task, y, output.shape[1])
    with torch.no_grad():
        own, other = float(loss(output, y).double().mean()), float(loss(still, y).double().mean())
    errors, rest = row_errors(task, output, y), row_errors(task, still, y)
    return Skill(len(y), own, other, float(errors.mean()), float(rest.mean()))


def constant_output(task: Task, y: Tensor, outputs: int) -> Tensor:
    """Return the output that costs least if it is the same for all rows, repeated for every row, (N, O)."""
    if task == "regression":
        best = y.float().reshape(len(y), -1).mean(dim=0)
    elif task == "multiclass":
        share = torch.bincount(y.long(), minlength=outputs).double() / len(y)
        best = share.clamp_min(1e-6).log().float()
    else:
        share = y.double().reshape(len(y), -1).mean(dim=0).clamp(1e-6, 1 - 1e-6)
        best = torch.logit(share).float()
    return best.to(y.device).expand(len(y), -1)


def mean_interval(differences: Any) -> tuple[float, float, float]:
    """Return the mean of rows' differences with its 95 % interval by the normal approximation."""
    values = np.asarray(differences, dtype=np.float64)
    mean = float(values.mean())
    half = Z * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    return mean, mean - half, mean + half


def gap_interval(one: Floats, other: Floats) -> tuple[float, float, float]:
    """Return mean(one) − mean(other) of different rows with its 95 % interval."""
    gap = float(one.mean() - other.mean())
    if min(len(one), len(other)) < 2:
        return gap, -math.inf, math.inf
    half = Z * math.sqrt(float(one.var(ddof=1)) / len(one) + float(other.var(ddof=1)) / len(other))
    return gap, gap - half, gap + half
