"""The objective of a training: a loss plus penalties, as settings and resolved for a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.objectives.classification_losses import BinaryCrossEntropy, CrossEntropy
from glia.objectives.loss import Loss
from glia.objectives.losses import CustomLoss, as_loss
from glia.objectives.penalties import Penalties


@dataclass(frozen=True)
class ResolvedObjective:
    """What is minimised: the weighted mean of a loss over rows, plus penalties on weights.

    Parameters
    ----------
    task : Task
        What is predicted.
    loss : Loss
        Gives the losses of the rows.
    penalties : Penalties
        On the network's weights.
    """

    task: Task
    loss: Loss
    penalties: Penalties

    def out_features(self, targets: int) -> int:
        """Return the number of network outputs for ``targets`` target columns (classes, labels or values)."""
        if self.task == "binary":
            return 1
        return targets * (self.loss.heads if self.task == "regression" else 1)

    def mean(self, output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return Σ w·loss / Σ w, a scalar; the plain mean without weights, and 0 where all weights are 0.

        Raises
        ------
        InputError
            If rows are weighted and the user's loss returns one scalar for all of them.
        """
        if weight is None:
            return self.loss(output, target).mean()
        loss = replace(self.loss, needs_rows=True) if isinstance(self.loss, CustomLoss) else self.loss
        total = weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)
        return (weight * loss(output, target)).sum() / total


class Objective(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Settings of what is minimised.

    Parameters
    ----------
    loss : "auto", str, Loss or callable
        ``"auto"`` takes the task's default. Names are in the registry ``losses``; a callable is
        ``(output, target) → (B,)``.
    l1 : float
        Strength of the L1 penalty on weights, at least 0; applied by a proximal step, which gives exact zeros.
    l2 : float
        Strength of the L2 penalty, l2/2·Σw², at least 0. Both together are the elastic net.
    label_smoothing : float
        In [0, 1), for the cross-entropies.
    """

    def __init__(
        self,
        loss: str | Loss | Callable[[Tensor, Tensor], Tensor] = "auto",
        l1: float = 0.0,
        l2: float = 0.0,
        label_smoothing: float = 0.0,
    ) -> None:
        self.loss, self.l1, self.l2, self.label_smoothing = loss, l1, l2, label_smoothing

    def resolve(self, task: Task, *, weighted: bool = False) -> ResolvedObjective:
        """Check the settings against a task.

        Parameters
        ----------
        task : Task
            What is predicted.
        weighted : bool
            Whether rows will be weighted; a user's loss must then return one figure per row.

        Raises
        ------
        InputError
            If a setting is out of range, unknown, or does not fit the task.
        """
        loss = as_loss(self.loss, task)
        if self.label_smoothing:
            if not isinstance(loss, (BinaryCrossEntropy, CrossEntropy)):
                raise InputError(
                    "label_smoothing needs a cross-entropy",
                    f"label_smoothing={self.label_smoothing!r} with loss={loss.name!r}",
                    "leave it at 0 or choose binary_cross_entropy or cross_entropy",
                )
            loss = replace(loss, label_smoothing=self.label_smoothing)
        if isinstance(loss, CustomLoss) and weighted:
            loss = replace(loss, needs_rows=True)
        return ResolvedObjective(task, loss, Penalties(self.l1, self.l2))
