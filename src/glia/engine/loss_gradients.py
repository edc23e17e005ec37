"""Mean losses and their gradients in closed form, for the losses that networks are mostly trained with.

As few kinds of operations as possible are used, and those that the network's pass needs as well: on small batches an
operation that the processor has not just run costs several times its arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from glia.objectives.classification_losses import BinaryCrossEntropy, CrossEntropy
from glia.objectives.loss import check_class_shapes
from glia.objectives.regression_losses import MSE

LossGradient = Callable[[Tensor, Tensor | None], Tensor]
"""(target, weights of rows) → mean loss, a scalar, which the next call overwrites; the gradient is written beside."""


def loss_gradient(loss: Any, output: Tensor, gradient: Tensor, target: Tensor) -> LossGradient | None:
    """Return how a batch's loss and its gradient are computed, ``None`` where autograd has to.

    Parameters
    ----------
    loss : callable
        ``(output, target) → (B,)``; known are cross-entropies and the squared error.
    output, gradient : Tensor
        (B, O), contiguous: where outputs stand, and where to write the gradient of the mean loss.
    target : Tensor
        Of a first batch; its shape and type decide.
    """
    make = _CLOSED.get(type(loss))
    return None if make is None else make(loss, output, gradient, target)


def _by_class(loss: CrossEntropy, output: Tensor, gradient: Tensor, target: Tensor) -> LossGradient | None:
    # The loss is Σ T·log softmax(o), T being the negative, weighted distribution of targets, and T its gradient there.
    check_class_shapes(output, target)
    if target.ndim != 1 or target.dtype != torch.int64:
        return None
    (rows, classes), smooth = output.shape, loss.label_smoothing
    logp, wanted, mean = torch.empty_like(output), torch.empty_like(output), output.new_empty(1, 1)
    row, column, result = wanted.view(1, -1), logp.view(-1, 1), mean.view(())
    share = output.new_full((rows, 1), -1.0 / rows)
    true, rest = output.new_tensor(1.0 - smooth), output.new_tensor(smooth / classes)
    log_softmax, back, mm, kind = torch._log_softmax, torch._log_softmax_backward_data, torch.mm, output.dtype

    def run(target: Tensor, weight: Tensor | None) -> Tensor:
        log_softmax(output, 1, False, out=logp)
        shares = share if weight is None else weight.unsqueeze(1) * share
        if smooth:
            torch.mul(shares.expand_as(wanted), rest, out=wanted)
            wanted.scatter_add_(1, target.unsqueeze(1), shares * true)
        else:
            wanted.zero_()
            wanted.scatter_(1, target.unsqueeze(1), shares)
        mm(row, column, out=mean)
        back(wanted, logp, 1, kind, out=gradient)
        return result

    return run


def _by_value(output: Tensor, gradient: Tensor, target: Tensor, factor: float, score: _Score) -> LossGradient | None:
    """Return the closed form of losses that are averaged over a row's values."""
    rows, columns = output.shape
    fits = target.shape == output.shape or (columns == 1 and target.shape == (rows,))
    if not fits or target.dtype != output.dtype:
        return None
    count, mean, losses = rows * columns, output.new_empty(1, 1), torch.empty_like(output)
    flat, column, result = gradient.view(-1), losses.view(-1, 1), mean.view(())
    even, share, step = output.new_full((1, count), 1 / count), output.new_tensor(1 / count), factor / count
    scale = output.new_tensor(step)
    run_score, mm = score(output.view(-1), flat, losses.view(-1)), torch.mm

    def run(target: Tensor, weight: Tensor | None) -> Tensor:
        run_score(target if target.ndim == 1 else target.reshape(-1))
        if weight is None:
            flat.mul_(scale)
            mm(even, column, out=mean)
        else:
            gradient.mul_((weight * scale).unsqueeze(1))
            mm((weight * share).unsqueeze(1).expand_as(output).reshape(1, -1), column, out=mean)
        return result

    return run


_Score = Callable[[Tensor, Tensor, Tensor], Callable[[Tensor], None]]
"""(outputs, derivatives, losses), each (B·O,) → what writes the latter two, but for a factor, from targets, (B·O,)."""


def _yes_no(loss: BinaryCrossEntropy, output: Tensor, gradient: Tensor, target: Tensor) -> LossGradient | None:
    smooth = loss.label_smoothing

    def score(o: Tensor, d: Tensor, losses: Tensor) -> Callable[[Tensor], None]:
        softplus: Any = torch._C._nn.softplus  # its stub lacks ``out``
        sigmoid, times, product = torch.sigmoid, torch.mul, torch.empty_like(o)

        def run(y: Tensor) -> None:
            if smooth:
                y = y * (1.0 - smooth) + 0.5 * smooth
            sigmoid(o, out=d)
            d.sub_(y)
            softplus(o, 1, 20, out=losses)  # log(1 + eᵒ)
            times(y, o, out=product)
            losses.sub_(product)

        return run

    return _by_value(output, gradient, target, 1.0, score)


def _squared(loss: MSE, output: Tensor, gradient: Tensor, target: Tensor) -> LossGradient | None:
    def score(o: Tensor, d: Tensor, losses: Tensor) -> Callable[[Tensor], None]:
        def run(y: Tensor) -> None:
            torch.sub(o, y, out=d)
            torch.mul(d, d, out=losses)

        return run

    return _by_value(output, gradient, target, 2.0, score)


_CLOSED: dict[type, Callable[[Any, Tensor, Tensor, Tensor], LossGradient | None]] = {
    CrossEntropy: _by_class,
    BinaryCrossEntropy: _yes_no,
    MSE: _squared,
}
