"""The forward and backward pass of a dense stack with its inner products in bfloat16, as plain tensor operations."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from glia.nn.activation_kernels import Call
from glia.nn.dense_stack import DenseLayer, bind, draw_masks, product

_LOW = torch.bfloat16
_KINDS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Identity)
"""Activations whose derivative takes no arithmetic of its own, which bfloat16 would round."""


def suits_bfloat16(layers: tuple[DenseLayer, ...]) -> bool:
    """Return whether a stack has inner products and activations that ``BFloat16Pass`` covers."""
    return len(layers) > 1 and all(type(layer.activation) in _KINDS for layer in layers[:-1])


class BFloat16Pass:
    """A ``DensePass`` whose layers before the last multiply in bfloat16, with sums in float32.

    Weights, the last layer, the loss and all gradients that are handed out stay float32: what is rounded are the
    factors of the products and the inner layers' values and gradients, as within ``torch.autocast``.

    Parameters
    ----------
    layers : tuple of DenseLayer
        Those that ``suits_bfloat16``; their weights may change between calls, in place.
    rows, gradients, training, input_gradient
        As in ``DensePass``.

    Attributes
    ----------
    output, output_gradient : Tensor
        (B, O), float32; as in ``DensePass``.

    Notes
    -----
    Call within ``torch.no_grad`` or ``torch.inference_mode``. Against autocast this saves a third of a step of three
    layers of 1024 (6.3 → 4.2 ms, AMD EPYC of family 26): casts go to memory that stays, and nothing is recorded.
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
        linears, count = [layer.linear for layer in layers], len(layers) - 1
        like = linears[0].weight.detach()
        low = [_Low(linear, gradients) for linear in linears[:-1]]
        x = like.new_empty(rows, linears[0].in_features, dtype=_LOW)
        z = [like.new_empty(rows, linear.out_features, dtype=_LOW) for linear in linears[:-1]]
        d = [torch.empty_like(each) for each in z]
        bound = [bind(*each) for each in zip(layers[:-1], z, d, strict=True)]
        h = [x, *(act.output for act in bound)]
        shares = [layer.dropout.p if training and layer.dropout is not None else 0.0 for layer in layers[:-1]]
        masks, kept, draw = draw_masks(shares, h[1:])
        factors = [1.0, *(1.0 / share for share in kept)]  # of a layer's input, for the dropout before it

        self._x, self._forward = x, [*draw, *(call for one in low for call in one.load)]
        for i, (one, act, mask) in enumerate(zip(low, bound, masks, strict=True)):
            self._forward.append(one.product(h[i], z[i], factors[i]))
            self._forward += [*act.forward, *([] if mask is None else [partial(h[i + 1].mul_, mask)])]
        last, last_input = linears[-1], like.new_empty(rows, linears[-1].in_features)
        self.output, self.output_gradient = (like.new_empty(rows, last.out_features) for _ in range(2))
        self._forward.append(partial(last_input.copy_, h[-1]))
        self._forward.append(product(last_input, last.weight.detach().t(), self.output, factors[-1]))
        if last.bias is not None:
            self._forward.append(partial(self.output.add_, last.bias.detach()))

        self._input_gradient = None if input_gradient is None else like.new_zeros(rows, linears[0].in_features)
        trained = [i for i, layer in enumerate(layers) if any(id(p) in gradients for p in layer.parameters)]
        reach = min(trained, default=len(layers)) if input_gradient is None else 0
        self._back: list[Call] = []
        weight, bias = gradients.get(id(last.weight)), gradients.get(id(last.bias))
        if bias is not None:
            self._back.append(partial(torch.sum, self.output_gradient, 0, out=bias))
        if weight is not None:
            self._back.append(product(self.output_gradient.t(), last_input, weight, factors[-1]))
        if reach < count:
            below = torch.empty_like(last_input)
            self._back.append(product(self.output_gradient, last.weight.detach(), below, factors[-1]))
            self._back.append(partial(d[-1].copy_, below))
        ones = like.new_ones(1, rows, dtype=_LOW)
        for i in range(count - 1, reach - 1, -1):
            mask = None if bound[i].zero_when_off else masks[i]
            self._back += [*([] if mask is None else [partial(d[i].mul_, mask)]), *bound[i].backward]
            self._back += low[i].gradients_from(d[i], h[i], ones, factors[i])
            if i > reach:
                self._back.append(product(d[i], low[i].weight, d[i - 1], factors[i]))
        if self._input_gradient is not None:
            part = self._input_gradient[:, input_gradient:]
            inner = torch.empty_like(part, dtype=_LOW)
            self._back.append(partial(torch.mm, d[0], low[0].weight[:, input_gradient:], out=inner))
            self._back.append(partial(part.copy_, inner))

    def forward(self, x: Tensor) -> Tensor:
        """Write and return the outputs, (B, O), for a batch (B, D); they stay until the next call."""
        self._x.copy_(x)
        for call in self._forward:
            call()
        return self.output

    def backward(self, x: Tensor) -> Tensor | None:
        """Write the parameters' gradients for the batch of ``forward``; return the batch's where it was asked for."""
        for call in self._back:
            call()
        return self._input_gradient


class _Low:
    """A linear layer's weights in bfloat16, and where the gradients of these stand before they are handed out."""

    def __init__(self, linear: nn.Linear, gradients: dict[int, Tensor]) -> None:
        weight, bias = linear.weight.detach(), None if linear.bias is None else linear.bias.detach()
        self.weight, self.bias = weight.to(_LOW), None if bias is None else bias.to(_LOW)
        self.load: list[Call] = [partial(self.weight.copy_, weight)]
        if bias is not None and self.bias is not None:
            self.load.append(partial(self.bias.copy_, bias))
        self._weight_gradient, self._bias_gradient = gradients.get(id(linear.weight)), gradients.get(id(linear.bias))

    def product(self, x: Tensor, out: Tensor, factor: float) -> Call:
        """Return what writes factor · x Wᵀ + b."""
        if self.bias is None:
            return product(x, self.weight.t(), out, factor)
        return partial(torch.addmm, self.bias, x, self.weight.t(), alpha=factor, out=out)

    def gradients_from(self, d: Tensor, x: Tensor, ones: Tensor, factor: float) -> list[Call]:
        """Return what writes the gradients, of the output's ``d`` and the input."""
        calls: list[Call] = []
        if self._bias_gradient is not None:
            row = torch.empty_like(self._bias_gradient, dtype=_LOW)
            calls += [partial(torch.mm, ones, d, out=row.view(1, -1)), partial(self._bias_gradient.copy_, row)]
        if self._weight_gradient is not None:
            inner = torch.empty_like(self.weight)
            calls += [product(d.t(), x, inner, factor), partial(self._weight_gradient.copy_, inner)]
        return calls
