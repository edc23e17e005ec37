"""The form for every other network: the plain code under ``torch.func.vmap`` over stacked weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from glia.nn.population.base import StackedPopulation
from glia.nn.population.linear import stacked


class VmapPopulation(StackedPopulation):
    """Members run by the plain network's code, mapped over a first axis of all parameters and buffers.

    Parameters
    ----------
    networks : sequence of nn.Module
        K networks of one architecture; their weights and buffers are copied.

    Notes
    -----
    Random numbers differ between members (dropout masks), and buffers that ``forward`` changes (running statistics)
    are changed for every member by itself.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        network = copy.deepcopy(networks[0])
        made: dict[int, nn.Parameter] = {}  # a parameter that is used in two places stays one
        for place, module in network.named_modules():
            others = [one.get_submodule(place) for one in networks]
            for name, value in list(module._parameters.items()):
                if value is not None:
                    if id(value) not in made:
                        made[id(value)] = stacked([other.get_parameter(name) for other in others])
                    module._parameters[name] = made[id(value)]
            for name, buffer in list(module._buffers.items()):
                if buffer is not None:
                    module._buffers[name] = torch.stack([other.get_buffer(name).detach() for other in others])
        super().__init__(network, len(networks), "vmap")

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, *shape) to (K, B, O)."""
        found: Tensor = vmap(self._member, in_dims=(0, None), randomness="different")(self._state(), x)
        return found

    def answer(self, member: int, x: Tensor) -> Tensor:
        """Map rows of one member, (B, *shape), to (B, O)."""
        self.network.eval()
        return self._member({name: value[member] for name, value in self._state().items()}, x)

    def _state(self) -> dict[str, Tensor]:
        return {**dict(self.network.named_parameters()), **dict(self.network.named_buffers())}

    def _member(self, state: dict[str, Tensor], x: Tensor) -> Tensor:
        found: Tensor = functional_call(self.network, state, (x,))
        return found
