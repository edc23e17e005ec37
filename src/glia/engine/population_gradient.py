"""The gradients of all members of a population for one batch: members are independent, so one backward serves all."""

from __future__ import annotations

import torch
from torch import Tensor

from glia.engine.gradients import Autograd, RowLoss
from glia.engine.sources import Batch
from glia.objectives import CustomLoss, Loss


def member_losses(loss: RowLoss, output: Tensor, target: Tensor) -> Tensor:
    """Return the losses of the rows of every member, (K, B).

    Parameters
    ----------
    loss : RowLoss
        Glia's own look at each row by itself: they see the members' rows in one call, (K·B, O). A user's function,
        which may look at a batch as a whole, is called once for each member.
    output : Tensor
        (K, B, O).
    target : Tensor
        (B,) or (B, T), the same for all members.
    """
    if isinstance(loss, Loss) and not isinstance(loss, CustomLoss):
        flat = target.expand(len(output), *target.shape).flatten(0, 1)
        return loss(output.flatten(0, 1), flat).view(output.shape[:2])
    return torch.stack([loss(own, target) for own in output])


def member_means(values: Tensor, weight: Tensor | None) -> Tensor:
    """Return the members' means over rows of weighted values, (K,): Σ w·v / B, as a batch's loss is taken.

    Parameters
    ----------
    values : Tensor
        (K, B).
    weight : Tensor, optional
        (B,), or (B, K) with a column for each member; of mean 1 over the part.
    """
    if weight is None:
        return values.mean(1)
    return (values * (weight if weight.ndim == 1 else weight.mT)).mean(1)


class StackedAutograd(Autograd):
    """The gradient of a population whose members lie stacked: of the sum of their mean losses."""

    def __call__(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """Replace all gradients; return the members' mean losses, (K,)."""
        self.network.zero_grad(set_to_none=True)
        means = member_means(self.losses(x, y), weight)
        means.sum().backward()  # type: ignore[no-untyped-call]  # torch's own lacks types
        return means.detach()

    def losses(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the losses of the rows, (K, B)."""
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.bfloat16):
            output = self.network(x)
        return member_losses(self.loss, output.float(), y)

    def in_pieces(self, batch: Batch, size: int) -> Tensor:
        """Return the same from pieces of at most ``size`` rows, one after the other."""
        x, y, weight = batch
        self.network.zero_grad(set_to_none=True)
        total = torch.zeros((), device=x.device)
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            losses = self.losses(x[rows], y[rows])
            part = member_means(losses, None if weight is None else weight[rows]) * (losses.shape[1] / len(x))
            part.sum().backward()  # type: ignore[no-untyped-call]  # torch's own lacks types
            total = total + part.detach()
        return total
