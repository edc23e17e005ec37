"""Ways to the gradient of one batch: by autograd, by a hand-written node where one fits, or piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from glia.engine.sources import Batch

RowLoss = Callable[[Tensor, Tensor], Tensor]
"""(output, target) → losses of the rows, (B,)."""
Gradient = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(x, y, weight) → the batch's mean loss, detached; the gradients are in ``.grad`` of the parameters."""


def weighted_sum(losses: Tensor, weight: Tensor | None) -> Tensor:
    """Return Σ w·l over the rows, or Σ l without weights."""
    return losses.sum() if weight is None else (losses * weight).sum()


def autocast(device: torch.device, bfloat16: bool) -> AbstractContextManager[Any]:
    """Return a block in which torch computes in bfloat16 where it holds that to be safe; else one without effect."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if bfloat16 else nullcontext()


class Autograd:
    """The gradient by torch's own differentiation, for every network.

    Parameters
    ----------
    network : nn.Module
    loss : RowLoss
    bfloat16 : bool
        Run the forward pass in bfloat16 where torch holds that to be safe; weights stay float32.
    """

    def __init__(self, network: nn.Module, loss: RowLoss, *, bfloat16: bool = False) -> None:
        self.network, self.loss, self.bfloat16 = network, loss, bfloat16

    def __call__(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """Replace the gradients of all parameters by those of the batch's mean loss, which is returned."""
        self.network.zero_grad(set_to_none=True)
        losses = self.losses(x, y)
        # Weights have mean 1 over the part, so that a batch's gradient is an unbiased estimate of the whole's.
        loss = losses.mean() if weight is None else (losses * weight).mean()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own lacks types
        return loss.detach()

    def losses(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        with autocast(x.device, self.bfloat16):
            output = self.network(x)
        return self.loss(output.float() if self.bfloat16 else output, y)

    def in_pieces(self, batch: Batch, size: int) -> Tensor:
        """Return the same from pieces of at most ``size`` rows, one after the other: less memory, more time.

        Equal to the whole batch up to rounding, unless rows look at each other (batch normalisation) or at chance
        (dropout draws other masks).
        """
        x, y, weight = batch
        self.network.zero_grad(set_to_none=True)
        total = torch.zeros((), device=x.device)
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            part = weighted_sum(self.losses(x[rows], y[rows]), None if weight is None else weight[rows]) / len(x)
            part.backward()  # type: ignore[no-untyped-call]  # torch's own lacks types
            total += part.detach()
        return total


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is exhausted, on whatever device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "alloc" in str(error) and "memory" in str(error)
