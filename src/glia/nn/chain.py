"""The chain rule: the product of the layers' Jacobians is the Jacobian of the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import jacrev

from glia.core.errors import InputError
from glia.core.results import Result, Table
from glia.nn.modes import evaluating

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class ChainResult(Result):
    """Local derivatives along the path of a sequential network.

    Parameters
    ----------
    stages : tuple of str
        Names of the layers, from input to output.
    jacobians : tuple of ndarray (B, out, in)
        ∂output/∂input of each layer at the rows, shapes flattened.
    product : ndarray (B, outputs, inputs)
        The product of all of them, last layer leftmost.
    gradient : ndarray (B, outputs, inputs)
        The Jacobian of the whole network, from one backward pass per output through all of it.
    error : float
        Largest absolute difference of ``product`` and ``gradient``.
    tolerance : float
        Up to which difference they count as equal.
    """

    stages: tuple[str, ...]
    jacobians: tuple[Floats, ...]
    product: Floats
    gradient: Floats
    error: float
    tolerance: float

    @property
    def equal(self) -> bool:
        """Whether product and gradient agree to rounding."""
        return self.error <= self.tolerance

    def summary(self) -> str:
        """Return whether the chain rule holds here."""
        verdict = "equals" if self.equal else "differs from"
        count = len(self.stages)
        gap = f"(largest difference {self.error:.2g})"
        return f"The product of {count} local Jacobians {verdict} the network's gradient {gap}."

    def tables(self) -> list[Table]:
        """Return per layer the size of its Jacobian, and its largest singular value, averaged over rows."""
        rows = tuple(
            (name, f"{jacobian.shape[1]} × {jacobian.shape[2]}", float(np.linalg.norm(jacobian, 2, axis=(1, 2)).mean()))
            for name, jacobian in zip(self.stages, self.jacobians, strict=True)
        )
        return [Table("Local derivatives", ("layer", "Jacobian", "largest stretch"), rows)]


def stages_of(network: nn.Module, prefix: str = "") -> list[tuple[str, nn.Module]]:
    """Return the layers that a row goes through one after the other, as finely as the network tells.

    ``nn.Sequential`` is taken apart, as is every module that has a method ``stages``; all else is one stage.
    """
    inner = getattr(network, "stages", None)
    if isinstance(network, nn.Sequential):
        parts = list(network.named_children())
    elif callable(inner):
        parts = inner()
    else:
        return [(prefix or "network", network)]
    dot = f"{prefix}." if prefix else ""
    return [stage for name, part in parts for stage in stages_of(part, f"{dot}{name}")]


def chain_rule(network: nn.Module, x: Tensor, *, tolerance: float | None = None) -> ChainResult:
    """Multiply the Jacobians of a sequential network's layers and compare with its gradient.

    Parameters
    ----------
    network : nn.Module
        ``nn.Sequential`` or one of Glia's; runs in evaluation mode, its modes are put back.
    x : Tensor
        Some rows, (B, …), floating point. Cost and memory grow with B × width².
    tolerance : float, optional
        Largest difference that counts as rounding; by default 1000 units of the type's precision, relative to the
        largest derivative.

    Returns
    -------
    ChainResult

    Raises
    ------
    InputError
        If running the stages one after the other does not give the network's output.
    """
    stages = stages_of(network)
    with evaluating(network):
        jacobians: list[Tensor] = []
        at = x.detach()
        for _, stage in stages:
            jacobians.append(torch.stack([_jacobian(stage, row) for row in at]))
            with torch.no_grad():
                at = stage(at.clone())
        with torch.no_grad():
            same = torch.allclose(at, network(x.clone()), rtol=1e-4, atol=1e-5)
        if not same:
            raise InputError(
                "the network must run its stages one after the other", type(network).__name__, "give an nn.Sequential"
            )
        product = jacobians[0]
        for jacobian in jacobians[1:]:
            product = jacobian @ product
        gradient = _gradient(network, x)
    error = float((product - gradient).abs().max())
    if tolerance is None:
        tolerance = 1000 * torch.finfo(gradient.dtype).eps * max(1.0, float(gradient.abs().max()))
    arrays = tuple(jacobian.detach().numpy() for jacobian in jacobians)
    names = tuple(name for name, _ in stages)
    return ChainResult(names, arrays, product.detach().numpy(), gradient.numpy(), error, tolerance)


def _jacobian(stage: nn.Module, row: Tensor) -> Tensor:
    """Return ∂stage/∂row, (out, in), of one row."""

    def one(value: Tensor) -> Tensor:
        output: Tensor = stage(value.unsqueeze(0).clone())  # a copy, for stages that work in place
        return output.flatten()

    jacobian: Tensor = jacrev(one)(row)
    return jacobian.reshape(-1, row.numel()).detach()


def _gradient(network: nn.Module, x: Tensor) -> Tensor:
    """Return the Jacobian of the whole network by plain backward passes, (B, outputs, inputs)."""
    with torch.enable_grad():
        point = x.detach().clone().requires_grad_(True)
        outputs = network(point.clone()).flatten(1)
        rows = [
            torch.autograd.grad(outputs[:, i].sum(), point, retain_graph=True)[0].flatten(1)
            for i in range(outputs.shape[1])
        ]
    return torch.stack(rows, dim=1)
