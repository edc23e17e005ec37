"""Members of several architectures as one population: those of one architecture lie stacked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glia.nn.population.base import Population, StackedPopulation


class MixedPopulation(Population):
    """Stacks of members, numbered through.

    Parameters
    ----------
    stacks : sequence of StackedPopulation
        For the same rows, with as many outputs. Member 0 of the second stack follows the last one of the first.
    """

    form = "mixed"

    def __init__(self, stacks: Sequence[StackedPopulation]) -> None:
        super().__init__()
        self.kinds = nn.ModuleList(stacks)
        self.members = sum(stack.members for stack in stacks)
        self._places = [(kind, k) for kind, stack in enumerate(stacks) for k in range(stack.members)]

    @property
    def stacks(self) -> tuple[StackedPopulation, ...]:
        """The stacks, in order."""
        return tuple(self.kinds)  # type: ignore[arg-type]  # nothing else is put in

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, *shape) to (K, B, O)."""
        return torch.cat([stack(x) for stack in self.stacks])

    def answer(self, member: int, x: Tensor) -> Tensor:
        """Map rows of one member, (B, *shape), to (B, O)."""
        kind, own = self._places[member]
        return self.stacks[kind].answer(own, x)

    def member_state(self, member: int) -> dict[str, Tensor]:
        """Return views on one member's slices."""
        kind, own = self._places[member]
        return self.stacks[kind].member_state(own)
