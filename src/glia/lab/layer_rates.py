"""Dense networks trained side by side, each on its own few rows and with a learning rate for every layer and step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

Floats = NDArray[np.float64]
Rates = Callable[[int], Tensor]
_BETAS, _EPSILON = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Stacked:
    """M networks of linear layers with ReLU between them: one (M, O, I) weight and one (M, 1, O) bias per layer."""

    weights: list[Tensor]
    biases: list[Tensor]

    @classmethod
    def of(cls, networks: Sequence[nn.Module]) -> Stacked:
        """Copy the linear layers of networks that are alike, in their order."""
        layers = [[module for module in network.modules() if isinstance(module, nn.Linear)] for network in networks]
        weights = [torch.stack([layer.weight.detach() for layer in column]) for column in zip(*layers, strict=True)]
        biases = [
            torch.stack([layer.bias.detach() for layer in column])[:, None] for column in zip(*layers, strict=True)
        ]
        return cls(weights, biases)

    def with_head(self, other: Stacked) -> Stacked:
        """Return these networks with the other ones' last layer."""
        return Stacked([*self.weights[:-1], other.weights[-1]], [*self.biases[:-1], other.biases[-1]])

    def answer(self, x: Tensor) -> Tensor:
        """Return outputs (M, N, O) for rows (M, N, D), or (N, D) that all get."""
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight.mT + bias
            x = functional.relu(x) if i < len(self.weights) - 1 else x
        return x


def joined(parts: Sequence[Stacked]) -> Stacked:
    """Return the networks of several stacks as one."""
    return Stacked(
        [torch.cat(column) for column in zip(*(part.weights for part in parts), strict=True)],
        [torch.cat(column) for column in zip(*(part.biases for part in parts), strict=True)],
    )


def tune(
    networks: Stacked,
    x: Tensor,
    y: Tensor,
    rates: Rates,
    steps: int,
    watch: Callable[[Stacked], Floats],
    every: int = 5,
) -> Floats:
    """Train in place by Adam (arXiv 1412.6980) on all rows at once; return what was watched, (M, steps / every).

    Parameters
    ----------
    networks : Stacked
        M networks with L layers.
    x, y : Tensor
        Each network's own rows (M, n, D) and class numbers (M, n).
    rates : callable
        ``step → Tensor (M, L)``: the learning rate of every layer of every network; 0 keeps it as it is.
    steps : int
        How many.
    watch : callable
        Gives one figure per network, (M,); called after every ``every`` steps.
    """
    parts = [part.requires_grad_() for pair in zip(networks.weights, networks.biases, strict=True) for part in pair]
    first, second = ([torch.zeros_like(part) for part in parts] for _ in range(2))
    found = []
    for step in range(1, steps + 1):
        loss = functional.cross_entropy(networks.answer(x).flatten(0, 1), y.flatten(), reduction="sum") / y.shape[1]
        gradients = torch.autograd.grad(loss, parts)
        rate = rates(step - 1)
        with torch.no_grad():
            for i, (part, gradient) in enumerate(zip(parts, gradients, strict=True)):
                first[i].lerp_(gradient, 1 - _BETAS[0])
                second[i].lerp_(gradient**2, 1 - _BETAS[1])
                mean, size = first[i] / (1 - _BETAS[0] ** step), second[i] / (1 - _BETAS[1] ** step)
                part -= rate[:, i // 2, None, None] * mean / (size.sqrt() + _EPSILON)
            if step % every == 0:
                found.append(watch(networks))
    for part in parts:
        part.requires_grad_(False)
    return np.stack(found, axis=1)
