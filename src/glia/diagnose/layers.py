"""One pass of a batch through any network and back, with what came in, went out and came back at every layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glia.nn.hooks import watching
from glia.nn.modes import evaluating

RowLoss = Callable[[Tensor, Tensor], Tensor]
"""(output (B, O), target) → losses of the rows, (B,)."""


@dataclass(frozen=True)
class LayerPass:
    """What one layer saw of a batch.

    Parameters
    ----------
    name : str
        Path in the network; a layer that runs again has ``"#2"`` added, and so on.
    module : nn.Module
        The layer.
    input, output : Tensor or None
        First tensors that came in and went out, detached.
    gradient : Tensor or None
        ∂(sum of the rows' losses)/∂output, so that a row holds its own loss's derivative where rows do not mix.
    """

    name: str
    module: nn.Module
    input: Tensor | None
    output: Tensor | None
    gradient: Tensor | None


@dataclass(frozen=True)
class NetworkPass:
    """All layers in the order in which they ran, the rows' losses (B,) and the mean loss's gradient by parameter."""

    layers: tuple[LayerPass, ...]
    losses: Tensor
    gradients: dict[str, Tensor]


def outputs_of(network: nn.Module, x: Tensor) -> Tensor:
    """Return the network's outputs as rows, (B, O)."""
    return network(x).reshape(len(x), -1)  # type: ignore[no-any-return]


def run_layers(network: nn.Module, loss: RowLoss, x: Tensor, y: Tensor) -> NetworkPass:
    """Run a batch forward and back in evaluation mode and keep what every layer saw.

    Nothing of the network changes: modes are put back, hooks removed and ``.grad`` left alone, also on errors.

    Parameters
    ----------
    network : nn.Module
        (B, *shape) → (B, O) or (B,).
    loss : callable
        ``(output, target) → (B,)``.
    x, y : Tensor
        Rows and their targets.
    """
    seen: list[tuple[str, nn.Module, Tensor | None, Tensor | None]] = []
    values: list[Tensor | None] = []
    runs: Counter[str] = Counter()

    def note(name: str, module: nn.Module, before: Tensor | None, after: Tensor | None) -> None:
        runs[name] += 1
        seen.append((name if runs[name] == 1 else f"{name}#{runs[name]}", module, before, after))
        values.append(None if after is None else after.detach().clone())  # the next layer may work in place

    # Gradients at outputs are wanted for networks with frozen weights too: then the graph begins at the rows.
    start = x.detach().clone().requires_grad_(True) if x.is_floating_point() else x
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    with evaluating(network), torch.enable_grad():
        with watching(network, note):
            output = outputs_of(network, start)
        losses = loss(output, y)
        places = [i for i, (*_, after) in enumerate(seen) if after is not None and after.requires_grad]
        wanted = [*(p for _, p in named), *(seen[i][3] for i in places)]
        found: tuple[Tensor | None, ...] = ()
        if wanted and losses.requires_grad:
            found = torch.autograd.grad(losses.sum(), wanted, allow_unused=True)  # type: ignore[arg-type]
    slopes = dict(zip(places, found[len(named) :], strict=True)) if found else {}
    layers = tuple(
        LayerPass(name, module, before, values[i], slopes.get(i)) for i, (name, module, before, _) in enumerate(seen)
    )
    gradients = {
        name: (torch.zeros_like(p) if slope is None else slope / len(x))
        for (name, p), slope in zip(named, found[: len(named)], strict=True)
    } if found else {}  # fmt: skip
    return NetworkPass(layers, losses.detach(), gradients)


def weight_of(module: nn.Module) -> Tensor | None:
    """Return a layer's own weight matrix or filters (two axes or more); ``None`` of norms, activations and others."""
    weight = getattr(module, "weight", None)
    return weight if isinstance(weight, Tensor) and weight.ndim >= 2 else None


def weighted_layers(layers: tuple[LayerPass, ...]) -> list[LayerPass]:
    """Return the layers that have a weight matrix and are no tables of embeddings, in the order of their first run."""
    return [
        layer
        for layer in layers
        if weight_of(layer.module) is not None
        and not isinstance(layer.module, (nn.Embedding, nn.EmbeddingBag))
        and "#" not in layer.name
    ]


def as_units(values: Tensor, module: nn.Module | None = None) -> Tensor:
    """Return values as (observations, units): units are the last axis, or the channels of images, (B, C, H, W)."""
    if values.ndim <= 2:
        return values.reshape(len(values), -1)
    spatial = values.ndim >= 4 or isinstance(module, (nn.Conv1d, nn.BatchNorm1d))
    moved = values.movedim(1, -1) if spatial else values
    return moved.reshape(-1, moved.shape[-1])
