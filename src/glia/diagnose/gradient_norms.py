"""Norms of the gradient, layer by layer: whether the signal of the loss reaches the first layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from glia.diagnose.layers import NetworkPass, RowLoss, run_layers, weight_of, weighted_layers


@dataclass(frozen=True)
class LayerGradient:
    """The gradient at one layer.

    Parameters
    ----------
    layer, kind : str
        Path in the network and class of the module.
    parameters : int
        Values of the layer's weight matrix.
    weight_norm, gradient_norm : float
        Euclidean norms of the weight matrix and of the mean loss's gradient by it.
    signal : float
        Root mean square over rows of ‖∂(row's loss)/∂output‖. Other than the gradient of the mean loss, it does not
        cancel between rows, so that it says what backpropagation delivers also where training has converged.
    """

    layer: str
    kind: str
    parameters: int
    weight_norm: float
    gradient_norm: float
    signal: float


def gradient_norms(network: nn.Module, loss: RowLoss, x: Tensor, y: Tensor) -> tuple[LayerGradient, ...]:
    """Return the gradient's norms at every layer with a weight matrix, in the order in which the layers run.

    Parameters
    ----------
    network, loss, x, y
        As ``run_layers`` takes them.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> mse = lambda output, target: ((output - target) ** 2).mean(dim=1)
    >>> found = gradient_norms(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), mse, torch.ones(4, 2), torch.ones(4, 1))
    >>> [one.layer for one in found]
    ['0', '1']
    """
    return gradient_norms_of(run_layers(network, loss, x, y), network)


def gradient_norms_of(passed: NetworkPass, network: nn.Module) -> tuple[LayerGradient, ...]:
    """Return the same from a pass that was made already."""
    found = []
    for layer in weighted_layers(passed.layers):
        weight = weight_of(layer.module)
        if weight is None or layer.output is None:
            continue
        own = _name_of(network, weight)
        slope = passed.gradients.get(own) if own else None
        rows = len(layer.output)
        signal = 0.0 if layer.gradient is None else float(layer.gradient.double().norm()) / math.sqrt(rows)
        found.append(
            LayerGradient(
                layer.name, type(layer.module).__name__, weight.numel(), float(weight.detach().double().norm()),
                0.0 if slope is None else float(slope.double().norm()), signal,
            )
        )  # fmt: skip
    return tuple(found)


def signal_ratio(gradients: tuple[LayerGradient, ...]) -> float:
    """Return the signal at the first layer over that at the last; NaN with fewer than two layers or no signal."""
    if len(gradients) < 2 or not gradients[-1].signal > 0:
        return math.nan
    return gradients[0].signal / gradients[-1].signal


def _name_of(network: nn.Module, parameter: Tensor) -> str | None:
    return next((name for name, own in network.named_parameters() if own is parameter), None)
