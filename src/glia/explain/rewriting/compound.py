"""Normalisation and other compound functions in small steps: sums, products, and functions of one value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from glia.core.errors import InputError


def centred(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return x minus its mean over some axes."""
    out: Tensor = x - x.mean(dims, keepdim=True)
    return out


def normalised(x: Tensor, dims: tuple[int, ...], eps: float, *, centre: bool, hold: bool) -> Tensor:
    """Return x, centred or not, over the root of its mean square over some axes; with ``hold`` that is a constant."""
    top = centred(x, dims) if centre else x
    scale = torch.rsqrt((top * top).mean(dims, keepdim=True) + eps)
    return top * (scale.detach() if hold else scale)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *args: Any,
    hold: bool = False,
) -> Tensor:
    """Return what ``F.layer_norm`` returns."""
    dims = tuple(range(-len(normalized_shape), 0))
    return _scaled(normalised(input, dims, eps, centre=True, hold=hold), weight, bias)


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
    *,
    hold: bool = False,
) -> Tensor:
    """Return what ``F.rms_norm`` returns."""
    dims = tuple(range(-len(normalized_shape), 0))
    small = torch.finfo(input.dtype).eps if eps is None else eps
    return _scaled(normalised(input, dims, small, centre=False, hold=hold), weight, None)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *args: Any,
    hold: bool = False,
) -> Tensor:
    """Return what ``F.group_norm`` returns."""
    grouped = input.reshape(input.shape[0], num_groups, -1)
    out = normalised(grouped, (-1,), eps, centre=True, hold=hold).reshape(input.shape)
    return _by_channel(out, weight, bias)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *args: Any,
    hold: bool = False,
) -> Tensor:
    """Return what ``F.instance_norm`` returns for images and series with an axis of rows."""
    if not use_input_stats:
        return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    out = normalised(input, tuple(range(2, input.dim())), eps, centre=True, hold=hold)
    return _by_channel(out, weight, bias)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Return the first half times the sigmoid of the second."""
    signal, gate = input.chunk(2, dim)
    return signal * torch.sigmoid(gate)


def variance(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Return what ``torch.var`` returns, over named axes."""
    if dim is None or isinstance(dim, bool):
        raise InputError("a variance must be over named axes", "one over rows too", "name the axes: dim=")
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    count = 1
    for d in dims:
        count *= input.shape[d]
    less = (1.0 if unbiased is None else float(unbiased)) if correction is None else float(correction)
    top = centred(input, dims)
    return (top * top).sum(dims, keepdim=keepdim) / max(count - less, 1e-12)


def deviation(*args: Any, **kwargs: Any) -> Tensor:
    """Return what ``torch.std`` returns, over named axes."""
    return torch.sqrt(variance(*args, **kwargs))


def norm(input: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False, **options: Any) -> Tensor:
    """Return Euclidean norms over named axes."""
    if p not in (2, 2.0, "fro", None) or dim is None:
        raise InputError("a norm must be Euclidean, over named axes", f"p={p!r}, dim={dim!r}")
    return torch.sqrt((input * input).sum(dim, keepdim=keepdim))


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None) -> Tensor:
    """Return what ``F.normalize`` returns, for Euclidean norms."""
    scaled: Tensor = input / norm(input, p, dim, True).clamp_min(eps)
    return scaled


def addmm(input: Tensor, one: Tensor, two: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return β·input + α·(one @ two)."""
    return input * beta + torch.matmul(one, two) * alpha


def addcmul(input: Tensor, one: Tensor, two: Tensor, *, value: float = 1) -> Tensor:
    """Return input + value·one·two."""
    return input + one * two * value


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """Return input + weight·(end − input)."""
    moved: Tensor = input + weight * (end - input)
    return moved


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _by_channel(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    shape = (-1, *[1] * (x.dim() - 2))
    return _scaled(x, None if weight is None else weight.reshape(shape), None if bias is None else bias.reshape(shape))


NORMS: dict[str, Callable[..., Tensor]] = {
    "layer_norm": layer_norm, "rms_norm": rms_norm, "group_norm": group_norm, "instance_norm": instance_norm,
}  # fmt: skip
"""torch's name → the same in small steps; all take ``hold``."""

COMPOUND: dict[str, Callable[..., Tensor]] = {
    **NORMS, "glu": glu, "var": variance, "std": deviation, "norm": norm, "normalize": normalize, "addmm": addmm,
    "baddbmm": addmm, "addcmul": addcmul, "lerp": lerp,
}  # fmt: skip
