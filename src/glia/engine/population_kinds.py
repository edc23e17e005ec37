"""The gradients of members of several architectures: every stack by itself, for the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from glia.engine.gradients import RowLoss
from glia.engine.mixing import Mixing
from glia.engine.population_dense import stacked_gradient
from glia.engine.population_gradient import StackedAutograd
from glia.engine.sources import Batch
from glia.nn.population import Population


class MixedGradient(StackedAutograd):
    """The gradients of all stacks of a population.

    Parameters
    ----------
    population : Population
        Of several stacks.
    ways : sequence of StackedAutograd
        How the gradients of each stack are computed, in order.
    """

    def __init__(self, population: Population, ways: Sequence[StackedAutograd]) -> None:
        super().__init__(population, ways[0].loss, bfloat16=ways[0].bfloat16)
        ends = accumulate((stack.members for stack in population.stacks), initial=0)
        self._ways = [(way, slice(*pair)) for way, pair in zip(ways, pairwise(ends), strict=True)]

    def __call__(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """Replace all gradients; return the members' mean losses, (K,)."""
        return torch.cat([way(x, y, _of(weight, members)) for way, members in self._ways])

    def in_pieces(self, batch: Batch, size: int) -> Tensor:
        """Return the same from pieces of at most ``size`` rows, one after the other."""
        x, y, weight = batch
        return torch.cat([way.in_pieces((x, y, _of(weight, members)), size) for way, members in self._ways])


def population_gradient(
    population: Population, loss: RowLoss, *, bfloat16: bool, mixing: Mixing | None = None
) -> StackedAutograd:
    """Return the fastest way to the gradients of members that lie in stacks."""
    ways = [stacked_gradient(stack, loss, bfloat16=bfloat16, mixing=mixing) for stack in population.stacks]
    return ways[0] if len(ways) == 1 else MixedGradient(population, ways)


def _of(weight: Tensor | None, members: slice) -> Tensor | None:
    """Return the weights of rows for some of the members."""
    return weight if weight is None or weight.ndim == 1 else weight[:, members]
