"""The pass over K stacks of dense layers by ``DenseKernel``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glia.nn.dense_kernel import DenseKernel, KernelLayer, suits_kernel
from glia.nn.population.dense_pass import StackedLayer
from glia.nn.population.linear import SplitRows


class CompiledPass:
    """The pass over batches of one size: what ``StackedPass`` does, in two calls.

    Parameters
    ----------
    layers, rows, shared, gradients, training
        As in ``StackedPass``; see ``suits_compiled``.

    Attributes
    ----------
    output, output_gradient : Tensor
        As in ``StackedPass``.
    """

    def __init__(
        self, layers: Sequence[StackedLayer], rows: int, shared: int, gradients: dict[int, Tensor], *, training: bool
    ) -> None:
        self._kernel = DenseKernel([_of(layer, gradients, training) for layer in layers], rows, shared)
        self.output, self.output_gradient = self._kernel.output, self._kernel.output_gradient

    def forward(self, x: Tensor | SplitRows) -> Tensor:
        """Write the outputs, (K, O, B); see ``StackedPass``."""
        return self._kernel.forward(*_parts(x))

    def backward(self, x: Tensor | SplitRows, *, input_gradient: bool = False) -> Tensor | None:
        """Write the parameters' gradients; return that of the members' own inputs where asked for, (K, B, E)."""
        shared, own = _parts(x)
        below = torch.empty_like(own) if input_gradient and own is not None else None
        self._kernel.backward(shared, own, below)
        return below


def suits_compiled(layers: Sequence[StackedLayer], rows: int) -> bool:
    """Return whether a batch of so many rows goes through these layers by the kernel on this machine."""
    return suits_kernel([layer.linear.weight for layer in layers], [layer.activation for layer in layers], rows)


def _of(layer: StackedLayer, gradients: dict[int, Tensor], training: bool) -> KernelLayer:
    linear, dropout = layer.linear, layer.dropout
    return KernelLayer(
        linear.weight.detach(),
        None if linear.bias is None else linear.bias.detach(),
        layer.activation,
        dropout.probabilities if training and dropout is not None else (),
        gradients.get(id(linear.weight)),
        gradients.get(id(linear.bias)),
    )


def _parts(x: Tensor | SplitRows) -> tuple[Tensor | None, Tensor | None]:
    if isinstance(x, SplitRows):
        return x.shared.contiguous(), x.own.contiguous()
    return (x.contiguous(), None) if x.ndim == 2 else (None, x.contiguous())
