"""Maximum over 2 × 2 pixels in bfloat16, in channels-last memory, by whole rows instead of one window at a time."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glia.core.compiled import Kernel, kernels

_BITS = torch.int16
"""bfloat16 by its bits: masks of all ones or zeros cut a gradient without arithmetic."""


def pool_pairs(x: Tensor) -> Tensor:
    """Return ``torch.max_pool2d(x, 2)``, (B, C, H // 2, W // 2), of bfloat16 in channels-last memory.

    Of equal values in a window the first column's gets the gradient, and in it the first row's; torch gives it to the
    first row's.
    """
    output: Tensor = _PairMaximum.apply(x)  # type: ignore[no-untyped-call]  # torch's own lacks types
    return output


def suits_pairs(x: Tensor) -> bool:
    """Return whether ``pool_pairs`` takes an x of these numbers and this memory."""
    if x.dim() != 4 or x.dtype is not torch.bfloat16 or x.device.type != "cpu" or min(x.shape[2:]) < 2:
        return False
    return x.is_contiguous(memory_format=torch.channels_last)


def is_by_pairs(
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> bool:
    """Return whether the settings of a maximum, as torch names them, are windows of 2 × 2 side by side."""
    given = ((kernel_size, 2), (stride or kernel_size, 2), (padding, 0), (dilation, 1))
    return not (ceil_mode or return_indices) and all(value in (one, (one, one), [one, one]) for value, one in given)


class _PairMaximum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        found, *kept = largest_of_pairs(x.permute(0, 2, 3, 1))
        ctx.save_for_backward(*kept)
        ctx.size = x.shape[2:]
        return found.permute(0, 3, 1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return back_to_pairs(gradient.permute(0, 2, 3, 1), ctx.saved_tensors, ctx.size).permute(0, 3, 1, 2)


def largest_of_pairs(x: Tensor, *, rectify: bool = False) -> tuple[Tensor, ...]:
    """Return the maxima over 2 × 2 pixels, (B, H // 2, W // 2, C), and what ``back_to_pairs`` needs of them.

    Parameters
    ----------
    x : Tensor of bfloat16, shape (B, H, W, C)
    rectify : bool
        Whether the maxima go through ReLU.

    Notes
    -----
    Torch 2.13 takes each window apart: 0.24 ms forward and 0.31 ms back for (64, 26, 26, 32), where two maxima over
    rows and columns took 0.09 and 0.14 ms and one pass of the kernel 0.05 and 0.06 (AMD EPYC, family 26, two threads).
    """
    batch, height, width, channels = x.shape
    if not _kernels():
        rows = torch.maximum(*_pairs(x, 1))
        found = torch.maximum(*_pairs(rows, 2))
        if not rectify:
            return found, x, rows, found
        found.relu_()
        return found, x, rows, found, torch.gt(found, 0)
    x = x.contiguous()  # the kernel takes it for granted
    found = x.new_empty(batch, height // 2, width // 2, channels)
    places = torch.empty_like(found, dtype=torch.uint8)
    _kernels()["pool_forward"](*x.shape, rectify, torch.get_num_threads(), x, found, places)
    return found, places


def back_to_pairs(gradient: Tensor, kept: tuple[Tensor, ...], size: torch.Size) -> Tensor:
    """Return the gradient of x, (B, H, W, C), from that of the maxima, (B, H // 2, W // 2, C), of a size (H, W)."""
    gradient = gradient.contiguous()
    if _kernels():
        back = gradient.new_empty(len(gradient), *size, gradient.shape[-1])
        _kernels()["pool_backward"](*back.shape, torch.get_num_threads(), gradient, *kept, back)
        return back
    x, rows, found, *on = kept
    given = gradient.view(_BITS)
    if on:
        given = on[0].to(_BITS).neg_().bitwise_and_(given)
    inner = _first_wins(rows.view(_BITS), found.view(_BITS), given, 2)
    return _first_wins(x.view(_BITS), rows.view(_BITS), inner, 1).view(torch.bfloat16)


@cache
def _kernels() -> dict[str, Kernel]:
    signatures = {"pool_forward": "nnnniippp", "pool_backward": "nnnnippp"}
    return kernels(str(Path(__file__).with_suffix(".cpp")), **signatures)


def _pairs(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Return every first and every second of an axis; an odd last one is left out, as torch does."""
    end = x.shape[axis] // 2 * 2
    before = (slice(None),) * axis
    return x[(*before, slice(0, end, 2))], x[(*before, slice(1, end, 2))]


def _first_wins(x: Tensor, maximum: Tensor, gradient: Tensor, axis: int) -> Tensor:
    """Return the gradient of a maximum over pairs: to the first of a pair that equals it, else to the second.

    Parameters
    ----------
    x, maximum, gradient : Tensor
        By their bits; the maximum and its gradient have half of x's length on the axis.
    """
    back = torch.zeros_like(x) if x.shape[axis] % 2 else torch.empty_like(x)
    first, second = _pairs(back, axis)
    mask = torch.empty_like(maximum)
    torch.eq(_pairs(x, axis)[0], maximum, out=mask)
    torch.bitwise_and(gradient, mask.neg_(), out=first)
    torch.bitwise_xor(gradient, first, out=second)
    return back
