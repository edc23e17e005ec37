"""``nn.LSTM`` over parts of the rows, each on a thread of its own: the same kernel, fewer waits between threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glia.nn.fast.rows import in_parts, thread_count

LEAST = 50_000_000
"""Floating-point operations of a part, there and back, from which a thread of its own pays: about a millisecond."""


def split_lstm(
    module: nn.LSTM,
    forward: Callable[..., Any],
    x: Tensor,
    hx: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return what ``forward(x, hx)`` returns for an LSTM without dropout, computed over parts of the rows.

    Parameters
    ----------
    module : nn.LSTM
        Whose settings and weights count.
    forward : callable
        The module's own forward pass.
    x : Tensor
        (T, B, I), or (B, T, I) with ``batch_first``.
    hx : pair of Tensor, optional
        States before the first step, (layers · directions, B, H) each.
    """
    axis = 0 if module.batch_first else 1
    weights = sum(w.numel() for w in module.parameters())
    count = parts_of(x.shape[axis], 6.0 * weights * x.shape[0] * x.shape[1])
    if count == 1:
        return forward(x, hx)  # type: ignore[no-any-return]
    if hx is None:
        zeros = x.new_zeros(module.num_layers * (2 if module.bidirectional else 1), x.shape[axis], module.hidden_size)
        hx = (zeros, zeros)
    module.check_forward_args(x, hx, None)
    settings = (
        module.bias,
        module.num_layers,
        0.0,
        True,
        module.bidirectional,
        module.batch_first,
    )
    output, h, c = _Split.apply(count, axis, settings, x, *hx, *module._flat_weights)  # type: ignore[no-untyped-call]
    return output, (h, c)


def parts_of(rows: int, work: float) -> int:
    """Return in how many parts, one per thread, to compute a batch of so many rows and floating-point operations."""
    return max(1, min(thread_count(), rows, int(work // LEAST)))


def _part(
    settings: tuple[Any, ...], weights: Sequence[Tensor], x: Tensor, h: Tensor, c: Tensor, needs_x: bool
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """Return inputs with a graph of their own, and the outputs of the kernel for them."""
    with torch.enable_grad():
        inputs = [t.detach().requires_grad_() for t in (x, h, c)]
        inputs[0].requires_grad_(needs_x)
        own = [w.detach().requires_grad_() for w in weights]
        outputs = torch._VF.lstm(inputs[0], inputs[1:], own, *settings)
    return [*inputs, *own], outputs


def _part_backward(
    inputs: list[Tensor], outputs: tuple[Tensor, ...], gradients: tuple[Tensor, ...]
) -> list[Tensor | None]:
    wanted = [t for t in inputs if t.requires_grad]
    found = iter(torch.autograd.grad(outputs, wanted, gradients))
    return [next(found) if t.requires_grad else None for t in inputs]


class _Split(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, count: int, axis: int, settings: tuple[Any, ...], x: Tensor, h: Tensor, c: Tensor, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.rows = -(-x.shape[axis] // count)
        rows = zip(*(torch.split(t, ctx.rows, by) for t, by in ((x, axis), (h, 1), (c, 1))), strict=True)
        needs_x = ctx.needs_input_grad[3]
        ctx.parts = in_parts(_part, [(settings, weights, *part, needs_x) for part in rows])
        ctx.axis = axis
        outputs, hs, cs = zip(*(outputs for _, outputs in ctx.parts), strict=True)
        return torch.cat(outputs, axis), torch.cat(hs, 1), torch.cat(cs, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        given = zip(gradients, (ctx.axis, 1, 1), strict=True)
        rows = zip(*(torch.split(g, ctx.rows, by) for g, by in given), strict=True)
        found = in_parts(_part_backward, [(*part, own) for part, own in zip(ctx.parts, rows, strict=True)])
        del ctx.parts
        dx, dh, dc, *weights = zip(*found, strict=True)
        summed = [torch.stack(parts).sum(0) if len(parts) > 2 else parts[0] + parts[-1] for parts in weights]
        joined = None if dx[0] is None else torch.cat(dx, ctx.axis)
        return None, None, None, joined, torch.cat(dh, 1), torch.cat(dc, 1), *summed
