"""One layer of an Elman network, one direction, as one node of the graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from glia.nn.fast.products import bias_gradient, previous_states, weight_gradient

_aten = torch.ops.aten


def elman_layer(x: Tensor, h0: Tensor, *weights: Tensor | None, nonlinearity: str = "tanh") -> Tensor:
    """Return the states after all steps, (T, B, H): h' = tanh(W x + b + U h + c), or "relu" instead of "tanh".

    The inputs of all steps are multiplied in one product; a step is one product and one function in place; the weights'
    gradients are one product each after the last step of the backward pass.

    Parameters
    ----------
    x : Tensor
        (T, B, I).
    h0 : Tensor
        The state before the first step, (B, H).
    *weights : Tensor or None
        W, (H, I); U, (H, H); b and c, (H,), or ``None``.
    nonlinearity : {"tanh", "relu"}
        As in ``nn.RNN``.
    """
    output: Tensor = _ElmanLayer.apply(x, h0, *weights, nonlinearity)  # type: ignore[no-untyped-call]
    return output


class _ElmanLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        h0: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor | None,
        b_hh: Tensor | None,
        nonlinearity: str,
    ) -> Tensor:
        steps, batch, width = x.shape
        rows = x.reshape(steps * batch, width)
        bias = b_ih if b_hh is None else b_hh if b_ih is None else b_ih + b_hh
        inputs = rows @ w_ih.t() if bias is None else torch.addmm(bias, rows, w_ih.t())
        output = inputs.view(steps, batch, -1)
        turned, h = w_hh.t(), h0
        apply = torch.tanh_ if nonlinearity == "tanh" else torch.relu_
        for step in output.unbind(0):
            h = apply(torch.addmm(step, h, turned, out=step))
        ctx.save_for_backward(x, h0, w_ih, w_hh, output)
        ctx.biases, ctx.nonlinearity = (b_ih is not None, b_hh is not None), nonlinearity
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, h0, w_ih, w_hh, output = ctx.saved_tensors
        steps, batch, size = output.shape
        if ctx.nonlinearity == "tanh":
            d = _aten.tanh_backward(torch.ones_like(output), output)
        else:
            d = (output > 0).to(output.dtype)
        d_steps, given, state = d.unbind(0), gradient.unbind(0), gradient[-1]
        spare = torch.empty_like(h0)
        for t in range(steps - 1, -1, -1):
            d_steps[t].mul_(state)
            state = torch.addmm(given[t - 1], d_steps[t], w_hh, out=spare) if t else d_steps[t] @ w_hh
        rows = d.view(steps * batch, size)
        d_bias = bias_gradient(rows, any(ctx.biases))
        d_w_hh = weight_gradient(rows, previous_states(h0, output).view(steps * batch, size))
        d_w_ih = weight_gradient(rows, x.reshape(steps * batch, -1))
        dx = (rows @ w_ih).view(x.shape) if ctx.needs_input_grad[0] else None
        own, other = (d_bias if has else None for has in ctx.biases)
        return dx, state, d_w_ih, d_w_hh, own, other, None
