"""The gradients of all members of a population for one batch: members are independent, so one backward serves all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from glia.engine.gradients import Autograd, RowLoss
from glia.engine.mixing import Mixing, mixed_targets
from glia.engine.sources import Batch
from glia.nn.population import Population
from glia.nn.population.linear import blended
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
    """The gradient of a population whose members lie stacked: of the sum of their mean losses.

    Parameters
    ----------
    population : StackedPopulation
    loss : RowLoss
    bfloat16 : bool
        As in ``Autograd``.
    mixing : Mixing, optional
        Rows are mixed as what the first layer sees of them: numbers in bins and vectors of categories. Chance comes
        from torch's global generator.
    """

    def __init__(
        self, population: Population, loss: RowLoss, *, bfloat16: bool = False, mixing: Mixing | None = None
    ) -> None:
        super().__init__(population, loss, bfloat16=bfloat16)
        self.mixing, self._inner = mixing, population.stacks[0].network

    def __call__(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """Replace all gradients; return the members' mean losses, (K,)."""
        self.network.zero_grad(set_to_none=True)
        means = self._means(x, y, weight)
        means.sum().backward()  # type: ignore[no-untyped-call]  # torch's own lacks types
        return means.detach()

    def in_pieces(self, batch: Batch, size: int) -> Tensor:
        """Return the same from pieces of at most ``size`` rows, one after the other; rows mix within a piece."""
        x, y, weight = batch
        self.network.zero_grad(set_to_none=True)
        total = torch.zeros((), device=x.device)
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            means = self._means(x[rows], y[rows], None if weight is None else weight[rows])
            part = means * (len(y[rows]) / len(x))
            part.sum().backward()  # type: ignore[no-untyped-call]  # torch's own lacks types
            total = total + part.detach()
        return total

    def drawn(self, rows: int, device: torch.device) -> tuple[Tensor, float] | None:
        """Return with whom the rows of a batch are mixed, (B,), and their own share; ``None`` where none are."""
        found = self.mixing.draw(rows, torch.default_generator) if self.mixing and self.network.training else None
        return None if found is None else (found[0].to(device), found[1])

    def _means(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        drawn = self.drawn(len(y), y.device)
        mixing = nullcontext() if drawn is None else _blending(self._inner, *drawn)
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.bfloat16), mixing:
            output = self.network(x)
        means = [
            member_means(member_losses(self.loss, output.float(), target), own)
            for target, own in weighted_targets(y, weight, drawn)
        ]
        return means[0] if drawn is None else means[0] + means[1]


def weighted_targets(
    y: Tensor, weight: Tensor | None, drawn: tuple[Tensor, float] | None
) -> list[tuple[Tensor, Tensor | None]]:
    """Return what the outputs of a batch are compared with, and how each comparison counts: see ``MixedTargets``."""
    if drawn is None:
        return [(y, weight)]
    mixed = mixed_targets(y, weight, *drawn)
    return [(mixed.first, mixed.share), (mixed.second, mixed.rest)]


@contextmanager
def _blending(network: nn.Module, partner: Tensor, lam: float) -> Iterator[None]:
    """Mix, within a block, the rows that a network's first layer sees."""
    stage = getattr(network, "input", None)

    def after(module: nn.Module, args: Any, output: Any) -> Any:
        return blended(output, partner, lam)

    def before(module: nn.Module, args: Any) -> Any:
        return (blended(args[0], partner, lam), *args[1:])

    hook = network.register_forward_pre_hook(before) if stage is None else stage.register_forward_hook(after)
    try:
        yield
    finally:
        hook.remove()
