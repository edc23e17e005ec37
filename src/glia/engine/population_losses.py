"""Mean losses of all members of a population and their gradients in closed form, for the usual losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from glia.engine.gradients import RowLoss
from glia.objectives.classification_losses import BinaryCrossEntropy, CrossEntropy
from glia.objectives.loss import check_class_shapes
from glia.objectives.regression_losses import MSE

_Score = Callable[[Any, Tensor, Tensor, Tensor], Tensor]
"""(loss, outputs (K, O, B), targets, where to write the gradient of each row's loss) → losses of rows, (K, B)."""


def closed_form(loss: RowLoss, output: Tensor, target: Tensor) -> _Score | None:
    """Return how losses and their gradients are computed, ``None`` where autograd has to.

    Parameters
    ----------
    loss : RowLoss
        Known are cross-entropies and the squared error.
    output : Tensor
        (K, O, B).
    target : Tensor
        (B,) or (B, O).
    """
    score = _CLOSED.get(type(loss))
    rows, columns = output.shape[2], output.shape[1]
    if score is _by_class:
        check_class_shapes(output[0].t(), target)
        return score if target.ndim == 1 and target.dtype == torch.int64 else None
    fits = target.shape == (rows, columns) or (columns == 1 and target.shape == (rows,))
    return score if fits and target.dtype == output.dtype else None


def row_factors(weight: Tensor | None, rows: int) -> Tensor | float:
    """Return what each row's loss counts in a member's mean: a number, (B,), or (K, B)."""
    return 1.0 / rows if weight is None else (weight if weight.ndim == 1 else weight.t()) / rows


def _by_class(loss: CrossEntropy, output: Tensor, target: Tensor, gradient: Tensor) -> Tensor:
    logp = torch.log_softmax(output, 1)
    # Chosen from the unit matrix, since F.one_hot reads all targets back first.
    wanted = torch.eye(output.shape[1], dtype=output.dtype, device=output.device).index_select(1, target)  # (O, B)
    if loss.label_smoothing:
        wanted = wanted * (1.0 - loss.label_smoothing) + loss.label_smoothing / output.shape[1]
    torch.sub(logp.exp(), wanted, out=gradient)
    return logp.mul_(wanted).sum(1).neg_()


def _yes_no(loss: BinaryCrossEntropy, output: Tensor, target: Tensor, gradient: Tensor) -> Tensor:
    y = _columns(target, output)
    if loss.label_smoothing:
        y = y * (1.0 - loss.label_smoothing) + 0.5 * loss.label_smoothing
    torch.sub(torch.sigmoid(output), y, out=gradient)
    losses = F.softplus(output).addcmul_(y, output, value=-1.0)  # log(1 + eᵒ) - y·o
    return _over_columns(losses, gradient)


def _squared(loss: MSE, output: Tensor, target: Tensor, gradient: Tensor) -> Tensor:
    torch.sub(output, _columns(target, output), out=gradient)
    losses = gradient.square()
    gradient.mul_(2.0)
    return _over_columns(losses, gradient)


def _columns(target: Tensor, output: Tensor) -> Tensor:
    return target.reshape(output.shape[2], output.shape[1]).t()


def _over_columns(losses: Tensor, gradient: Tensor) -> Tensor:
    if losses.shape[1] == 1:
        return losses.squeeze(1)
    gradient.div_(losses.shape[1])
    return losses.mean(1)


_CLOSED: dict[type, _Score] = {CrossEntropy: _by_class, BinaryCrossEntropy: _yes_no, MSE: _squared}
