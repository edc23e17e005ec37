"""What a network consists of: layers, output shapes, parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glia.core.results import Result, Table
from glia.nn.hooks import watching
from glia.nn.modes import evaluating


@dataclass(frozen=True)
class LayerDescription(Result):
    """One layer: its name, class, output shape without the batch, and parameters of its own."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class NetworkDescription(Result):
    """Layers in order of execution and totals.

    Parameters
    ----------
    layers : tuple of LayerDescription
        A layer that runs several times is listed once.
    parameters : int
        Shared ones counted once.
    trainable : int
        Those that require a gradient.
    bytes : int
        Of parameters and buffers.
    """

    layers: tuple[LayerDescription, ...]
    parameters: int
    trainable: int
    bytes: int

    def summary(self) -> str:
        """Return the size in one sentence."""
        frozen = "" if self.trainable == self.parameters else f", {self.trainable:,} of them trainable"
        return f"{len(self.layers)} layers, {self.parameters:,} parameters{frozen}, {self.bytes / 1e6:.3g} MB."

    def tables(self) -> list[Table]:
        """Return one row per layer."""
        rows = tuple(
            (layer.name, layer.kind, " × ".join(map(str, layer.output_shape)), layer.parameters)
            for layer in self.layers
        )
        return [Table("Layers", ("layer", "type", "output shape", "parameters"), rows)]


def count_parameters(network: nn.Module, *, trainable_only: bool = False) -> int:
    """Return the number of parameters, shared ones counted once."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad or not trainable_only)


def describe_network(network: nn.Module, shape: Sequence[int]) -> NetworkDescription:
    """Describe a network by running two rows of zeros through it.

    Parameters
    ----------
    network : nn.Module
        Runs in evaluation mode; its modes are put back.
    shape : sequence of int
        Shape of one row without the batch, e.g. ``layout.shape``.

    Returns
    -------
    NetworkDescription
    """
    found: dict[str, LayerDescription] = {}

    def note(name: str, module: nn.Module, x: Tensor | None, output: Tensor | None) -> None:
        size = () if output is None else tuple(output.shape[1:])
        own = sum(p.numel() for p in module.parameters(recurse=False))
        found.setdefault(name, LayerDescription(name, type(module).__name__, size, own))

    with evaluating(network), torch.no_grad(), watching(network, note):
        network(torch.zeros(2, *shape, device=next((p.device for p in network.parameters()), None)))
    kept = [*network.parameters(), *network.buffers()]
    return NetworkDescription(
        tuple(found.values()),
        count_parameters(network),
        count_parameters(network, trainable_only=True),
        sum(tensor.numel() * tensor.element_size() for tensor in kept),
    )
