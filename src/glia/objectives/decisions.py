"""From a network's raw outputs to what people use: probabilities of classes, and values."""

from __future__ import annotations

import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.objectives.loss import Loss


def probabilities(output: Tensor, task: Task, loss: Loss | None = None) -> Tensor:
    """Return class probabilities for raw outputs.

    Parameters
    ----------
    output : Tensor, (B, 1), (B, C) or (B, L)
        Raw scores.
    task : {"binary", "multiclass", "multilabel"}
        What is predicted.
    loss : Loss, optional
        The loss that was minimised; see Notes.

    Returns
    -------
    Tensor
        Binary: (B, 2), columns "no" and "yes"; multi-class: (B, C), rows add up to 1; multi-label: (B, L).

    Raises
    ------
    InputError
        If the task is regression, or the outputs have the wrong number of columns.

    Notes
    -----
    Sigmoid or softmax, whatever the loss. For cross-entropy and KL divergence these are estimates of the true
    probabilities. Hinge losses give margins and focal loss shrinks confidence: there the map keeps the order of
    rows and the decision (margin 0 ↔ one half), but the figures mean something only after ``fit_temperature``.
    """
    columns = output.unsqueeze(-1) if output.ndim == 1 and task == "binary" else output
    if task == "binary" and columns.shape[-1] == 1:
        # σ(−o) rather than 1 − σ(o), which rounds to 0 from about o = 17 on in float32.
        return torch.cat([torch.sigmoid(-columns), torch.sigmoid(columns)], dim=-1)
    if task == "multiclass" and columns.shape[-1] > 1:
        return torch.softmax(columns, dim=-1)
    if task == "multilabel":
        return torch.sigmoid(columns)
    wanted = {"binary": "one output column", "multiclass": "two or more output columns"}
    raise InputError(
        f"probabilities of the task {task!r} need {wanted.get(task, 'classes, not values')}",
        f"output {tuple(output.shape)}",
    )


def point_prediction(output: Tensor, loss: Loss) -> Tensor:
    """Return the values that a regression predicts, (B, T), from raw outputs, (B, T * loss.heads)."""
    return loss.point(output)
