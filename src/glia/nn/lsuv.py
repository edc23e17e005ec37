"""Layer-sequential unit-variance initialisation: scale each layer until its output has variance 1 on real rows."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from glia.core.errors import InputError
from glia.nn.hooks import watching
from glia.nn.initialisers import WEIGHTED
from glia.nn.modes import evaluating


def lsuv_(
    network: nn.Module,
    batch: Tensor,
    *,
    tolerance: float = 0.02,
    max_iterations: int = 10,
    generator: Generator | None = None,
) -> nn.Module:
    """Initialise every linear and convolution layer by LSUV (Mishkin and Matas, arXiv 1511.06422).

    Weights become orthonormal and biases 0; then, layer by layer in order of execution, the weight is divided by the
    standard deviation of the layer's output on ``batch`` until the variance is 1.

    Parameters
    ----------
    network : nn.Module
        Changed in place; runs in evaluation mode here, and its modes are put back.
    batch : Tensor
        Prepared rows, (B, …); some hundred are enough.
    tolerance : float
        How far from 1 a variance may stay, > 0.
    max_iterations : int
        Most scalings per layer. One is enough unless a layer runs several times.
    generator : torch.Generator, optional
        Source of the orthonormal matrices.

    Returns
    -------
    nn.Module
        The same network.

    Raises
    ------
    InputError
        If ``batch`` has fewer than two rows.
    """
    if len(batch) < 2:
        raise InputError("LSUV must see at least two rows", f"{len(batch)}", "give a larger batch")
    with evaluating(network), torch.no_grad():
        for layer in _executed(network, batch):
            nn.init.orthogonal_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        for layer in _executed(network, batch):
            for _ in range(max_iterations):
                variance = _output_variance(network, layer, batch)
                if not 1e-12 < variance < float("inf") or abs(variance - 1.0) <= tolerance:
                    break
                layer.weight /= variance**0.5
    return network


def _executed(network: nn.Module, batch: Tensor) -> list[nn.Linear]:
    """Return the weighted layers in order of their first run."""
    order: dict[int, nn.Linear] = {}

    def note(name: str, module: nn.Module, x: Tensor | None, output: Tensor | None) -> None:
        if isinstance(module, WEIGHTED):
            order.setdefault(id(module), module)  # type: ignore[arg-type]  # all have weight and bias

    with watching(network, note):
        network(batch)
    return list(order.values())


def _output_variance(network: nn.Module, layer: nn.Module, batch: Tensor) -> float:
    found: list[float] = []

    def note(name: str, module: nn.Module, x: Tensor | None, output: Tensor | None) -> None:
        if module is layer and output is not None:
            found.append(float(output.double().var(correction=0)))

    with watching(network, note):
        network(batch)
    return sum(found) / len(found)
