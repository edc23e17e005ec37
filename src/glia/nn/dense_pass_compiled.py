"""The pass over one stack of dense layers by ``DenseKernel``."""

from __future__ import annotations

import torch
from torch import Tensor

from glia.nn.dense_kernel import DenseKernel, KernelLayer, suits_kernel
from glia.nn.dense_stack import DenseLayer


class CompiledDensePass:
    """The pass over batches of one size: what ``DensePass`` does, in two calls.

    Parameters
    ----------
    layers, rows, gradients, training, input_gradient
        As in ``DensePass``; see ``suits_compiled_pass``.

    Attributes
    ----------
    output, output_gradient : Tensor
        As in ``DensePass``.
    """

    def __init__(
        self,
        layers: tuple[DenseLayer, ...],
        rows: int,
        gradients: dict[int, Tensor],
        *,
        training: bool = True,
        input_gradient: int | None = None,
    ) -> None:
        inputs = layers[0].linear.in_features
        own = [_of(layer, gradients, training) for layer in layers]
        self._kernel = DenseKernel(own, rows, inputs if input_gradient is None else 0)
        self._output, self._output_gradient = self._kernel.output[0].t(), self._kernel.output_gradient[0].t()
        # Of one output both layouts are the same memory.
        self._copies = self._output.shape[1] > 1
        self.output, self.output_gradient = self._output, self._output_gradient
        if self._copies:
            self.output, self.output_gradient = torch.empty(self._output.shape), torch.empty(self._output.shape)
        self._column = input_gradient
        self._input_gradient = None if input_gradient is None else torch.empty(1, rows, inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Write and return the outputs, (B, O), for a batch (B, D); they stay until the next call."""
        self._kernel.forward(*self._given(x))
        if self._copies:
            self.output.copy_(self._output)
        return self.output

    def backward(self, x: Tensor) -> Tensor | None:
        """Write the parameters' gradients; return that of the batch where it was asked for, (B, D)."""
        if self._copies:
            self._output_gradient.copy_(self.output_gradient)
        self._kernel.backward(*self._given(x), self._input_gradient)
        if self._input_gradient is None:
            return None
        found = self._input_gradient[0]
        if self._column:
            found[:, : self._column].zero_()
        return found

    def _given(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x = x.contiguous()
        return (x, None) if self._input_gradient is None else (None, x.unsqueeze(0))


def suits_compiled_pass(layers: tuple[DenseLayer, ...], rows: int) -> bool:
    """Return whether a batch of so many rows goes through these layers by the kernel on this machine."""
    return suits_kernel([layer.linear.weight for layer in layers], [layer.activation for layer in layers], rows)


def _of(layer: DenseLayer, gradients: dict[int, Tensor], training: bool) -> KernelLayer:
    linear, bias, dropout = layer.linear, layer.linear.bias, layer.dropout
    into = [gradients.get(id(p)) for p in (linear.weight, bias)]
    return KernelLayer(
        linear.weight.detach().unsqueeze(0),
        None if bias is None else bias.detach().unsqueeze(0),
        layer.activation,
        (dropout.p,) if training and dropout is not None and dropout.p > 0 else (),
        *(None if each is None else each.unsqueeze(0) for each in into),
    )
