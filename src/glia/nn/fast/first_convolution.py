"""A network's first convolution with ReLU and the maximum over 2 × 2 pixels in one pass, by a kernel of our own."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glia.core.compiled import Kernel, kernels

_TAPS = 32
"""Most weights of an output's channel. With 147 (7 × 7 × 3) our products of float32 took 1.4 ms forward and oneDNN's of
bfloat16 1.1, with the way back 3.5 and 4.7: not looked at in a whole network."""


def convolve_first(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """Return ``max_pool2d(relu(layer(x)), 2)`` in bfloat16, in channels-last memory; x gets no gradient.

    Products are those of float32: with so few of them what takes the time is memory, and the convolution's own output,
    four times what is left of it, is never written. 64 images of 28 × 28 to 32 channels: 0.27 ms forward and back,
    where a convolution, a maximum, and a product for the weights' gradient took 1.6 together (AMD EPYC, family 26, two
    threads). Gradients differ from those of double precision by 3e-7, relative.
    """
    return _First.apply(x, layer.weight, layer.bias, layer.stride, layer.padding)  # type: ignore[no-any-return, no-untyped-call]


def suits_first(x: Tensor, layer: nn.Conv2d) -> bool:
    """Return whether ``convolve_first`` does this layer on this machine; pooling is not looked at."""
    if (
        isinstance(layer.padding, str)
        or x.requires_grad
        or layer.groups != 1
        or set(layer.dilation) != {1}
        or x.shape[1] != layer.in_channels
    ):
        return False  # the last is for torch to refuse
    window = zip(x.shape[2:], layer.padding, layer.kernel_size, layer.stride, strict=True)
    if any(size + 2 * pad < kernel + stride for size, pad, kernel, stride in window):
        return False  # nothing to pool
    return layer.weight[0].numel() <= _TAPS and bool(_kernels())


@cache
def _kernels() -> dict[str, Kernel]:
    if not torch.cpu._is_avx512_bf16_supported():
        return {}
    signature = "nnnnnnnnnnnippppp"
    return kernels(str(Path(__file__).with_suffix(".cpp")), first_forward=signature, first_backward=signature)


class _First(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        ctx.types = weight.dtype, None if bias is None else bias.dtype
        x = x.float().permute(0, 2, 3, 1).contiguous()
        taps = weight.float().permute(2, 3, 1, 0).contiguous()
        added = None if bias is None else bias.float().contiguous()
        (batch, *size, _), (*window, _, outputs) = x.shape, taps.shape
        rows, columns = (((size[i] + 2 * padding[i] - window[i]) // stride[i] + 1) // 2 for i in range(2))
        ctx.settings = *x.shape, outputs, *window, *stride, *padding
        found = x.new_empty((batch, rows, columns, outputs), dtype=torch.bfloat16)
        places = torch.empty_like(found, dtype=torch.uint8)
        _kernels()["first_forward"](*ctx.settings, torch.get_num_threads(), x, taps, added, found, places)
        ctx.save_for_backward(x, places)
        return found.permute(0, 3, 1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, places = ctx.saved_tensors
        channels, outputs, *window = ctx.settings[3:7]
        gradient = gradient.permute(0, 2, 3, 1).contiguous()
        d_taps, d_bias = x.new_empty(*window, channels, outputs), x.new_empty(outputs)
        _kernels()["first_backward"](*ctx.settings, torch.get_num_threads(), x, gradient, places, d_taps, d_bias)
        own, other = ctx.types
        return None, d_taps.permute(3, 2, 0, 1).to(own), None if other is None else d_bias.to(other), None, None
