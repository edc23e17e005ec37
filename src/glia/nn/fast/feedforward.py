"""Two linear layers with ReLU or GELU between them as one node of the graph, with its gradient by hand."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from glia.nn.fast.dropout import dropout_noise
from glia.nn.fast.products import bias_gradient, weight_gradient

_aten = torch.ops.aten


def feed_forward(
    x: Tensor, first: nn.Linear, second: nn.Linear, activation: Literal["relu", "gelu"], dropout: float = 0.0
) -> Tensor:
    """Return W₂ drop(act(W₁ x + b₁)) + b₂, (…, D); GELU is the exact one.

    ReLU and its gradient are taken in place, which saves writing and reading the widest arrays of a layer anew.
    """
    output: Tensor = _FeedForward.apply(  # type: ignore[no-untyped-call]  # torch's own lacks types
        x, first.weight, first.bias, second.weight, second.bias, activation, dropout
    )
    return output


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight1: Tensor,
        bias1: Tensor | None,
        weight2: Tensor,
        bias2: Tensor | None,
        activation: str,
        dropout: float,
    ) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        hidden = rows @ weight1.t() if bias1 is None else torch.addmm(bias1, rows, weight1.t())
        before = hidden if activation == "gelu" else None
        hidden = _aten.gelu(hidden) if activation == "gelu" else hidden.relu_()
        noise = dropout_noise(hidden, dropout) if dropout else None
        if noise is not None:
            hidden.mul_(noise)  # the zeros of dropout are harmless to ReLU's gradient: they stop it too
        ctx.save_for_backward(rows, hidden, before, noise, weight1, weight2)
        ctx.biases, ctx.shape = (bias1 is not None, bias2 is not None), x.shape
        output = hidden @ weight2.t() if bias2 is None else torch.addmm(bias2, hidden, weight2.t())
        return output.view(*x.shape[:-1], len(weight2))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        rows, hidden, before, noise, weight1, weight2 = ctx.saved_tensors
        need = ctx.needs_input_grad
        gradient = gradient.reshape(-1, gradient.shape[-1])
        d_weight2 = weight_gradient(gradient, hidden) if need[3] else None
        d_bias2 = bias_gradient(gradient, ctx.biases[1] and need[4])
        d_hidden = gradient @ weight2
        if noise is not None:
            d_hidden.mul_(noise)
        if before is None:
            _aten.threshold_backward.grad_input(d_hidden, hidden, 0, grad_input=d_hidden)
        else:
            _aten.gelu_backward.grad_input(d_hidden, before, grad_input=d_hidden)
        d_weight1 = weight_gradient(d_hidden, rows) if need[1] else None
        dx = (d_hidden @ weight1).view(ctx.shape) if need[0] else None
        return dx, d_weight1, bias_gradient(d_hidden, ctx.biases[0] and need[2]), d_weight2, d_bias2, None, None
