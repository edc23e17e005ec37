"""A network together with the features that come into its last linear layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.nn.hooks import first_tensor, watching
from glia.nn.modes import evaluating


def last_linear(network: nn.Module, rows: Tensor) -> str:
    """Return the dotted name of the linear layer that runs last.

    Raises
    ------
    InputError
        If there is none.
    """
    ran: list[str] = []

    def note(name: str, layer: nn.Module, x: Tensor | None, output: Tensor | None) -> None:
        if isinstance(layer, nn.Linear):
            ran.append(name)

    with evaluating(network), torch.no_grad(), watching(network, note):
        network(rows)
    if not ran:
        got = f"{type(network).__name__} without linear layers"
        raise InputError("adaptation needs a linear output layer, whose inputs are aligned", got)
    return "" if isinstance(network, nn.Linear) else ran[-1]


class Tapped(nn.Module):
    """Outputs and features of a network for each row.

    Parameters
    ----------
    network : nn.Module
        Shared, not copied.
    layer : str
        Name of the layer whose inputs are the features; "" is the network itself.

    Notes
    -----
    **Shape**: (B, *shape) → (B, O + D): outputs first.
    """

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.network, self.layer = network, layer

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs and features side by side."""
        seen: list[Tensor] = []

        def take(module: nn.Module, args: tuple[Any, ...]) -> None:
            found = first_tensor(args)
            if found is not None:
                seen.append(found)

        handle = self.network.get_submodule(self.layer).register_forward_pre_hook(take)
        try:
            output: Tensor = self.network(x)
        finally:
            handle.remove()
        return torch.cat([output, seen[-1].flatten(1)], dim=1)
