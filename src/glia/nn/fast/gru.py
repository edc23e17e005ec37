"""One layer of gated recurrent units, one direction, as one node of the graph (arXiv:1406.1078, torch's variant)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from glia.nn.fast.products import bias_gradient, previous_states, weight_gradient

_aten = torch.ops.aten


def gru_layer(x: Tensor, h0: Tensor, *weights: Tensor | None) -> Tensor:
    """Return the states after all steps, (T, B, H).

    r, z = σ(W x + b + U h + c), n = tanh(W x + b + r (U h + c)), h' = (1 - z) n + z h, with r, z and n stacked in the
    weights as torch has them. The inputs of all steps are multiplied in one product; a step writes into arrays made
    beforehand. Since the gradients of all gates are that of the state times something known from the forward pass, a
    step of the backward pass is one product, and the weights' gradients are one product after the last.

    Parameters
    ----------
    x : Tensor
        (T, B, I).
    h0 : Tensor
        The state before the first step, (B, H).
    *weights : Tensor or None
        W, (3H, I); U, (3H, H); b and c, (3H,), or ``None``.
    """
    output: Tensor = _GRULayer.apply(x, h0, *weights)  # type: ignore[no-untyped-call]  # torch's own lacks types
    return output


class _GRULayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, h0: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None, b_hh: Tensor | None
    ) -> Tensor:
        steps, batch, _ = x.shape
        size = w_hh.shape[1]
        gates, n = _inputs(x, w_ih, b_ih, b_hh, size)
        q, output = x.new_empty(steps, batch, size), x.new_empty(steps, batch, size)
        u_rz, u_n = w_hh[: 2 * size].t(), w_hh[2 * size :].t()
        b_n = w_hh.new_zeros(size) if b_hh is None else b_hh[2 * size :]
        r, z = (part.unbind(0) for part in gates.view(steps, batch, 2, size).unbind(2))
        steps_of = (gates.unbind(0), r, z, n.unbind(0), q.unbind(0), output.unbind(0))
        h = h0
        for rz_t, r_t, z_t, n_t, q_t, h_t in zip(*steps_of, strict=True):
            torch.addmm(rz_t, h, u_rz, out=rz_t)
            torch.sigmoid(rz_t, out=rz_t)
            torch.addmm(b_n, h, u_n, out=q_t)
            torch.tanh(n_t.addcmul_(r_t, q_t), out=n_t)
            h = torch.lerp(n_t, h, z_t, out=h_t)
        ctx.save_for_backward(x, h0, w_ih, w_hh, gates, n, q, output)
        ctx.biases = (b_ih is not None, b_hh is not None)
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, h0, w_ih, w_hh, gates, n, q, output = ctx.saved_tensors
        steps, batch, size = output.shape
        before = previous_states(h0, output)
        d, d_n, z = _factors(gates, n, q, before)
        # d: gradients of r, z and of U h + c in n, (T, B, 3H), once multiplied with the state's.
        d_h = torch.empty_like(output)
        state = d_h[-1].copy_(gradient[-1])
        d_steps, d_states, given = d.unbind(0), d_h.unbind(0), gradient.unbind(0)
        d_parts = d.view(steps, batch, 3, size).unbind(0)
        for t in range(steps - 1, -1, -1):
            d_parts[t].mul_(state.unsqueeze(1))
            onward = torch.addcmul(given[t - 1], state, z[t], out=d_states[t - 1]) if t else state * z[t]
            state = torch.addmm(onward, d_steps[t], w_hh, out=onward)
        rows = d.view(steps * batch, 3 * size)
        d_w_hh = weight_gradient(rows, before.view(steps * batch, size))
        d_b_hh = bias_gradient(rows, ctx.biases[1])
        d.view(steps, batch, 3, size)[:, :, 2] = d_n.mul_(d_h)
        d_w_ih = weight_gradient(rows, x.reshape(steps * batch, -1))
        dx = (rows @ w_ih).view(x.shape) if ctx.needs_input_grad[0] else None
        return dx, state, d_w_ih, d_w_hh, bias_gradient(rows, ctx.biases[0]), d_b_hh


def _inputs(x: Tensor, w_ih: Tensor, b_ih: Tensor | None, b_hh: Tensor | None, size: int) -> tuple[Tensor, Tensor]:
    """Return what the inputs give to r and z, (T, B, 2H), with all biases, and to n, (T, B, H), with its own."""
    steps, batch, width = x.shape
    rows, zero = x.reshape(steps * batch, width), w_ih.new_zeros(3 * size)
    own = zero if b_ih is None else b_ih
    other = zero if b_hh is None else b_hh
    gates = torch.addmm((own + other)[: 2 * size], rows, w_ih[: 2 * size].t())
    n = torch.addmm(own[2 * size :], rows, w_ih[2 * size :].t())
    return gates.view(steps, batch, 2 * size), n.view(steps, batch, size)


def _factors(gates: Tensor, n: Tensor, q: Tensor, before: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Return the factors of the state's gradient for r, z and U h + c, (T, B, 3H), and for n; and z by step."""
    steps, batch, size = n.shape
    r, z = gates.view(steps, batch, 2, size).unbind(2)
    of_n = _aten.tanh_backward(1 - z, n)
    factors = n.new_empty(steps, batch, 3 * size)
    of_r, of_z, of_q = factors.view(steps, batch, 3, size).unbind(2)
    torch.mul(of_n, q, out=of_r)
    torch.sub(before, n, out=of_z)
    of_rz = factors[:, :, : 2 * size]
    of_rz.copy_(_aten.sigmoid_backward(of_rz, gates))
    torch.mul(of_n, r, out=of_q)
    return factors, of_n, z.unbind(0)
