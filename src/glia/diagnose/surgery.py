"""Changed copies of any network: other activations, norms before them, weights drawn anew."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from glia.core.seeds import seeded
from glia.nn.activations import is_activation
from glia.nn.hooks import watching
from glia.nn.initialisers import WEIGHTED, initialise_layer_
from glia.nn.modes import evaluating


def rebuilt(
    network: nn.Module,
    seed: int,
    x: Tensor,
    *,
    activation: Callable[[], nn.Module] | None = None,
    norm: bool = False,
    initialise: str = "relu",
) -> nn.Module:
    """Return a copy with other hidden activations and norms before them, whose linear layers and filters start anew.

    Parameters
    ----------
    network : nn.Module
        Left alone.
    seed : int
        Of the weights.
    x : Tensor
        A few rows, from which the widths are seen.
    activation : callable, optional
        Makes what takes the place of every hidden activation that runs as a module.
    norm : bool
        Whether a ``LayerNorm`` stands before every such activation whose input is (B, D).
    initialise : str
        The activation for which weights are drawn (He or Xavier).
    """
    copied = copy.deepcopy(network)
    widths = _widths(copied, x)
    with seeded(seed, "initialisation"):
        for module in copied.modules():
            if isinstance(module, WEIGHTED):
                initialise_layer_(module, "auto", activation=initialise)
        for name, width in widths.items():
            parent, _, own = name.rpartition(".")
            holder = copied.get_submodule(parent)
            old = copied.get_submodule(name)
            made: nn.Module = old if activation is None else activation()
            if norm and width:
                made = nn.Sequential(nn.LayerNorm(width, device=x.device), made)
            setattr(holder, own, made)
    return copied


def _widths(network: nn.Module, x: Tensor) -> dict[str, int]:
    """Return hidden activation → width of its input, 0 where that is not (B, D); the last layer is not hidden."""
    seen: list[tuple[str, nn.Module, int]] = []

    def note(name: str, module: nn.Module, before: Tensor | None, after: Tensor | None) -> None:
        seen.append((name, module, before.shape[1] if before is not None and before.ndim == 2 else 0))

    with evaluating(network), torch.no_grad(), watching(network, note):
        network(x[:4])
    return {
        name: width
        for name, module, width in seen[:-1]
        if name != "network" and is_activation(module) and not isinstance(module, (nn.Softmax, nn.LogSoftmax))
    }
