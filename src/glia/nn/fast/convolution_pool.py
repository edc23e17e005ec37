"""Convolution, ReLU and the maximum over 2 × 2 pixels as one node of the graph, in bfloat16."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from glia.nn.fast.convolution import channels_last, convolution_backward
from glia.nn.fast.first_convolution import convolve_first, suits_first
from glia.nn.fast.plain import is_hooked, is_low
from glia.nn.fast.pooling import back_to_pairs, is_by_pairs, largest_of_pairs


def convolve_and_pool(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """Return ``max_pool2d(relu(layer(x)), 2)`` of float32 or bfloat16 in bfloat16, in channels-last memory."""
    if suits_first(x, layer):
        return convolve_first(x, layer)
    output: Tensor = _ConvolutionPool.apply(  # type: ignore[no-untyped-call]  # torch's own lacks types
        x, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups
    )
    return output


def suits_pooling(x: Tensor, modules: list[nn.Module]) -> bool:
    """Return whether a convolution, a maximum and ReLU are what ``convolve_and_pool`` does together, for this batch."""
    if len(modules) < 3 or [type(module) for module in modules] != [nn.Conv2d, nn.MaxPool2d, nn.ReLU]:
        return False
    layer, pool, _ = modules
    usual = isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if not usual or x.dim() != 4 or not is_low(x, *layer.parameters()) or any(is_hooked(one) for one in modules):
        return False
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    return is_by_pairs(*(getattr(pool, name) for name in names))


class _ConvolutionPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
        groups: int,
    ) -> Tensor:
        ctx.settings = (list(stride), list(padding), list(dilation), False, [0, 0], groups)
        ctx.types = x.dtype, weight.dtype
        x, kernel = channels_last(x.bfloat16()), channels_last(weight.bfloat16())
        low_bias = None if bias is None else bias.bfloat16()
        ctx.bias_sizes = None if bias is None else [len(bias)]
        outer = torch.ops.aten.convolution(x, kernel, low_bias, *ctx.settings)
        found, *kept = largest_of_pairs(outer.permute(0, 2, 3, 1), rectify=True)
        ctx.save_for_backward(x, kernel, *kept)
        ctx.size = outer.shape[2:]
        return found.permute(0, 3, 1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, kernel, *kept = ctx.saved_tensors
        d_outer = back_to_pairs(gradient.permute(0, 2, 3, 1), tuple(kept), ctx.size).permute(0, 3, 1, 2)
        dx, dw, db = convolution_backward(d_outer, x, kernel, ctx)
        own, other = ctx.types
        low = None if dw is None else dw.to(other), None if db is None else db.to(other)
        return None if dx is None else dx.to(own), *low, None, None, None, None
