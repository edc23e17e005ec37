"""Convolution with what usually surrounds it: 1-D and 2-D, dilated, depthwise separable, normalised, activated."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from glia.core.errors import InputError, near
from glia.nn.activations import make_activation
from glia.nn.fast.convolution import channels_last
from glia.nn.fast.plain import is_plain
from glia.nn.normalisation import make_norm
from glia.nn.parts import Part

CONVOLUTIONS: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d}
SPATIAL_DROPOUTS: dict[int, type[nn.Module]] = {1: nn.Dropout1d, 2: nn.Dropout2d}
_NORMS = ("none", "batch", "group", "layer")
Kind = Literal["full", "depthwise_separable"]


def conv_norm(norm: str | Part, channels: int, dims: int = 2) -> nn.Module | None:
    """Return a normalisation of feature maps (B, C, …), ``None`` for "none".

    Parameters
    ----------
    norm : str or Part
        "none", "batch" (over rows and positions, per channel), "group" (over groups of channels and positions of a row)
        or "layer" (over all channels and positions of a row).
    channels : int
        C.
    dims : {1, 2}
        Axes of the positions.

    Raises
    ------
    InputError
        If the name is none of these.
    """
    name = norm.name if isinstance(norm, Part) else norm
    if name not in _NORMS:
        raise InputError("the norm of feature maps must be a known name", f"norm={name!r}", near(str(name), _NORMS))
    options = dict(norm.options) if isinstance(norm, Part) else {}
    if name == "layer":
        return nn.GroupNorm(1, channels, **options)
    if name == "batch":
        return make_norm(Part("batch", **{"dims": dims, **options}), channels)
    return make_norm(norm, channels)


class ConvBlock(nn.Sequential):
    """Convolution, pooling, normalisation, activation, spatial dropout.

    Parameters
    ----------
    in_channels, out_channels : int
        At least 1 each.
    kernel : int
        Odd, so that positions keep their places: an axis of length L becomes ⌈L / stride⌉.
    stride, dilation : int
        At least 1 each.
    dims : {1, 2}
        1 for series (B, C, T), 2 for images (B, C, H, W).
    kind : {"full", "depthwise_separable"}
        The latter convolves each channel by itself, then mixes channels at every position (arXiv 1704.04861): k² + O
        products instead of k² · O for each input value.
    norm, activation : str or Part
        See ``conv_norm`` and ``glia.nn.activations``.
    dropout : float
        Share of whole feature maps that are dropped in training (spatial dropout, arXiv 1411.4280), in [0, 1).
    pool : nn.Module, optional
        Directly after the convolution: what follows then costs a quarter of what it would before the pooling.

    Notes
    -----
    **Shape**: (B, in_channels, …) → (B, out_channels, …).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        dims: int = 2,
        kind: Kind = "full",
        norm: str | Part = "batch",
        activation: str | Part = "relu",
        dropout: float = 0.0,
        pool: nn.Module | None = None,
    ) -> None:
        if kernel < 1 or kernel % 2 == 0:
            raise InputError("a kernel must be odd", f"kernel={kernel!r}", "take 3, 5 or 7")
        if dims not in CONVOLUTIONS:
            raise InputError("a convolution must run over one or two axes", f"dims={dims!r}", "set dims to 1 or 2")
        if kind not in ("full", "depthwise_separable"):
            kinds = ("full", "depthwise_separable")
            raise InputError("the kind of a convolution must be known", f"kind={kind!r}", near(str(kind), kinds))
        conv: Any = CONVOLUTIONS[dims]
        after = conv_norm(norm, out_channels, dims)
        bias = after is None
        place = {"stride": stride, "padding": dilation * (kernel - 1) // 2, "dilation": dilation}
        parts: dict[str, nn.Module] = {}
        if kind == "depthwise_separable":
            parts["depthwise"] = conv(in_channels, in_channels, kernel, groups=in_channels, bias=False, **place)
            parts["pointwise"] = conv(in_channels, out_channels, 1, bias=bias)
        else:
            parts["conv"] = conv(in_channels, out_channels, kernel, bias=bias, **place)
        if pool is not None:
            parts["pool"] = pool
        if after is not None:
            parts["norm"] = after
        parts["activation"] = make_activation(activation)
        if dropout > 0:
            parts["dropout"] = SPATIAL_DROPOUTS[dims](dropout)
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        for module in (m for m in self.modules() if isinstance(m, (nn.Conv1d, nn.Conv2d))):
            # Keeps the spread of values through rectifiers (arXiv 1502.01852).
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def in_layout(x: Tensor) -> Tensor:
    """Return images in the memory layout in which the processor convolves and pools fastest; elsewhere as they are.

    Of values nothing changes. Max-pooling of 2 × 2 runs 15 times as fast (torch 2.13, AVX2).
    """
    if x.dim() != 4 or not is_plain(x):
        return x
    return channels_last(x)


def image_shape(shape: tuple[int, ...], family: str) -> tuple[int, int, int]:
    """Return (C, H, W) of a layout's shape.

    Raises
    ------
    InputError
        If rows are no images.
    """
    if len(shape) != 3 or min(shape) < 1:
        must = f"{family} takes images: rows of shape (channels, height, width)"
        raise InputError(must, f"rows of shape {tuple(shape)}", "reshape them, or use ImageClassifier")
    return shape[0], shape[1], shape[2]
