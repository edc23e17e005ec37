"""K networks one after the other: where one network's step already fills the machine, or its code cannot be batched."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glia.nn.population.base import Population


class SeparatePopulation(Population):
    """Members that stay plain networks and are run in turn.

    Parameters
    ----------
    networks : sequence of nn.Module
        Trained in place: they are held, not copied.
    """

    form = "separate"

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks, self.members = nn.ModuleList(networks), len(networks)

    def answer(self, member: int, x: Tensor) -> Tensor:
        """Map rows of one network, (B, *shape), to (B, O)."""
        found: Tensor = self.networks[member].eval()(x)
        return found

    def member_state(self, member: int) -> dict[str, Tensor]:
        """Return one network's state."""
        return self.networks[member].state_dict()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, *shape) to (K, B, O)."""
        return torch.stack([network(x) for network in self.networks])
