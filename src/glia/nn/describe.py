"""What a network consists of: layers, output shapes, parameters, multiply-adds and receptive fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from glia.core.results import Result, Table
from glia.nn.hooks import watching
from glia.nn.modes import evaluating
from glia.nn.multiply_adds import multiply_adds
from glia.nn.receptive_field import tracing_fields


@dataclass(frozen=True)
class LayerDescription(Result):
    """One layer.

    Parameters
    ----------
    name, kind : str
        Its path in the network and its class.
    output_shape : tuple of int
        Without the batch.
    parameters : int
        Of its own.
    multiply_adds : int
        For one row: products of weights that are added up.
    receptive_field : tuple of int or None
        Positions of the input that one value of the output sees, for images (height, width), for series (steps,);
        ``None`` where rows have no positions, or where it is not known.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int = 0
    receptive_field: tuple[int, ...] | None = None


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

    @property
    def multiply_adds(self) -> int:
        """Products that are added up for one row, by all layers; of a layer that runs several times, of one run."""
        return sum(layer.multiply_adds for layer in self.layers)

    def summary(self) -> str:
        """Return the size in one sentence."""
        frozen = "" if self.trainable == self.parameters else f", {self.trainable:,} of them trainable"
        work = f"{self.multiply_adds:,} multiply-adds per row"
        return f"{len(self.layers)} layers, {self.parameters:,} parameters{frozen}, {self.bytes / 1e6:.3g} MB, {work}."

    def tables(self) -> list[Table]:
        """Return one row per layer; receptive fields where there are any."""
        names = ["layer", "type", "output shape", "parameters", "multiply-adds"]
        fields = any(layer.receptive_field for layer in self.layers)
        rows = tuple(
            (
                layer.name,
                layer.kind,
                " × ".join(map(str, layer.output_shape)),
                layer.parameters,
                layer.multiply_adds,
                *([" × ".join(map(str, layer.receptive_field or ()))] if fields else []),
            )
            for layer in self.layers
        )
        return [Table("Layers", tuple(names + ["receptive field"] * fields), rows)]


def count_parameters(network: nn.Module, *, trainable_only: bool = False) -> int:
    """Return the number of parameters, shared ones counted once."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad or not trainable_only)


def describe_network(network: nn.Module, shape: Sequence[int]) -> NetworkDescription:
    """Describe a network by running two rows of ones through it; ones in masks make sequences and texts whole.

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
        work, sees = multiply_adds(module, x, output), tracer.of(output)
        found.setdefault(name, LayerDescription(name, type(module).__name__, size, own, work, sees))

    rows = torch.ones(2, *shape, device=next((p.device for p in network.parameters()), None))
    with evaluating(network), watching(network, note), tracing_fields(rows) as tracer:
        network(rows)
    _count_unseen(network, found)
    kept = [*network.parameters(), *network.buffers()]
    return NetworkDescription(
        tuple(found.values()),
        count_parameters(network),
        count_parameters(network, trainable_only=True),
        sum(tensor.numel() * tensor.element_size() for tensor in kept),
    )


def _count_unseen(network: nn.Module, found: dict[str, LayerDescription]) -> None:
    """Count parameters of modules that are never called for the layer that uses them.

    Attention, for one, takes the weights of its last projection without calling it.
    """
    for name, module in network.named_modules():
        own = sum(p.numel() for p in module.parameters(recurse=False))
        if not own or (name or "network") in found:
            continue
        above = name
        while above and above not in found:
            above = above.rpartition(".")[0]
        if above:
            found[above] = replace(found[above], parameters=found[above].parameters + own)
