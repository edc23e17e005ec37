"""Self-attention of many heads as one node of the graph, with its gradient by hand (arXiv:1706.03762, section 3.2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from glia.nn.fast.dropout import dropout_noise
from glia.nn.fast.products import bias_gradient, weight_gradient

CHUNK = 2**18
"""Scores, of some heads, that are worked on at once: 1 MB, so that they are still in the cache for the next product."""

_aten = torch.ops.aten


def self_attention(x: Tensor, attention: nn.MultiheadAttention, mask: Tensor | None = None) -> Tensor:
    """Return what ``attention(x, x, x)`` gives in training, (B, T, D).

    Torch's own kernel recomputes the scores in the backward pass; here they are kept, B·H·T² numbers, which takes about
    a tenth less time on a CPU, for sequences where that memory does not matter.

    Parameters
    ----------
    x : Tensor
        (B, T, D).
    attention : nn.MultiheadAttention
        Of equal widths of query, key and value; its weights, number of heads and dropout count,
        but not whether it expects batch or steps first.
    mask : Tensor, optional
        Added to the scores; (1 or B·H, 1 or T, T).
    """
    a = attention
    output: Tensor = _SelfAttention.apply(  # type: ignore[no-untyped-call]  # torch's own lacks types
        x,
        a.in_proj_weight,
        a.in_proj_bias,
        a.out_proj.weight,
        a.out_proj.bias,
        a.num_heads,
        mask,
        a.dropout if a.training else 0.0,
    )
    return output


class _SelfAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        in_weight: Tensor,
        in_bias: Tensor | None,
        out_weight: Tensor,
        out_bias: Tensor | None,
        heads: int,
        mask: Tensor | None,
        dropout: float,
    ) -> Tensor:
        batch, length, width = x.shape
        rows = x.reshape(batch * length, width)
        projected = _linear(rows, in_weight, in_bias)
        split = projected.view(batch, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        qkv = split.reshape(3, batch * heads, length, width // heads)
        scores = qkv.new_empty(batch * heads, length, length)
        noise = dropout_noise(scores, dropout) if dropout else None
        mixed = _attend(scores, qkv, mask, noise)
        joined = _join(mixed.view(batch, heads, length, -1))
        ctx.save_for_backward(rows, qkv, scores, joined, in_weight, out_weight, noise)
        ctx.sizes = (batch, heads, length, width)
        ctx.biases = (in_bias is not None, out_bias is not None)
        return _linear(joined, out_weight, out_bias).view(x.shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        rows, qkv, weights, joined, in_weight, out_weight, noise = ctx.saved_tensors
        batch, heads, length, width = ctx.sizes
        need = ctx.needs_input_grad
        gradient = gradient.reshape(batch * length, width)
        d_out = weight_gradient(gradient, joined) if need[3] else None
        d_mixed = (gradient @ out_weight).view(batch, length, heads, -1).transpose(1, 2)
        d_qkv = _attend_backward(qkv, weights, noise, d_mixed.reshape(batch * heads, length, -1))
        d_projected = d_qkv.view(3, batch, heads, length, -1).permute(1, 3, 0, 2, 4).reshape(batch * length, 3 * width)
        d_in = weight_gradient(d_projected, rows) if need[1] else None
        dx = (d_projected @ in_weight).view(batch, length, width) if need[0] else None
        d_in_bias = bias_gradient(d_projected, ctx.biases[0] and need[2])
        return dx, d_in, d_in_bias, d_out, bias_gradient(gradient, ctx.biases[1] and need[4]), None, None, None


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x @ weight.t() if bias is None else torch.addmm(bias, x, weight.t())


def _join(mixed: Tensor) -> Tensor:
    """Return (B·T, D) of heads (B, H, T, D / H)."""
    batch, heads, length, width = mixed.shape
    return mixed.transpose(1, 2).reshape(batch * length, heads * width)


def _parts(length: int, heads: int) -> list[slice]:
    """Return ranges of heads, of about ``CHUNK`` scores each."""
    size = max(2, CHUNK // (length * length))
    return [slice(start, start + size) for start in range(0, heads, size)]


def _attend(weights: Tensor, qkv: Tensor, mask: Tensor | None, noise: Tensor | None) -> Tensor:
    """Put softmax(q kᵀ / √d + mask) into ``weights``, (B·H, T, T); return its product with v, (B·H, T, d)."""
    q, k, v = qkv.unbind(0)
    heads, length, width = q.shape
    mixed = torch.empty_like(v)
    for part in _parts(length, heads):
        w = weights[part]
        torch.baddbmm(w, q[part], k[part].transpose(1, 2), beta=0, alpha=width**-0.5, out=w)
        if mask is None:
            torch.softmax(w, -1, out=w)
        else:  # rows without any key to look at are zeros, as torch has it
            w.copy_(torch._safe_softmax(w.add_(mask if len(mask) == 1 else mask[part]), -1))
        torch.bmm(w if noise is None else w * noise[part], v[part], out=mixed[part])
    return mixed


def _attend_backward(qkv: Tensor, weights: Tensor, noise: Tensor | None, d_mixed: Tensor) -> Tensor:
    """Return the gradients of q, k and v, (3, B·H, T, d)."""
    (q, k, v), scale = qkv.unbind(0), qkv.shape[-1] ** -0.5
    heads, length, _ = q.shape
    gradients = torch.empty_like(qkv)
    dq, dk, dv = gradients.unbind(0)
    for part in _parts(length, heads):
        w, dm = weights[part], d_mixed[part]
        kept = w if noise is None else w * noise[part]
        torch.bmm(kept.transpose(1, 2), dm, out=dv[part])
        d_scores = torch.bmm(dm, v[part].transpose(1, 2))
        if noise is not None:
            d_scores.mul_(noise[part])
        _aten._softmax_backward_data.out(d_scores, w, -1, w.dtype, grad_input=d_scores)
        torch.baddbmm(dq[part], d_scores, k[part], beta=0, alpha=scale, out=dq[part])
        torch.baddbmm(dk[part], d_scores.transpose(1, 2), q[part], beta=0, alpha=scale, out=dk[part])
    return gradients
