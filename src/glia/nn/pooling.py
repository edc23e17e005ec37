"""Pooling: what remains of a neighbourhood, or of a whole feature map."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.registry import Registry
from glia.nn.parts import Part

PoolFactory = Callable[..., nn.Module]
poolings: Registry[PoolFactory] = Registry("pooling")
"""Name → factory ``(dims, size=2, stride=size)`` of local poolings."""
global_poolings: Registry[PoolFactory] = Registry("global pooling")
"""Name → factory ``(dims, size=1)`` of poolings to a fixed number of positions."""

_MAX: dict[int, type[nn.Module]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d}
_AVERAGE: dict[int, type[nn.Module]] = {1: nn.AvgPool1d, 2: nn.AvgPool2d}
_ADAPTIVE_MAX: dict[int, type[nn.Module]] = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d}
_ADAPTIVE_AVERAGE: dict[int, type[nn.Module]] = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d}


@poolings.register("max")
def max_pool(dims: int = 2, *, size: int = 2, stride: int | None = None) -> nn.Module:
    """Return the largest value of each window: it says whether a pattern is there, and hardly where."""
    return _MAX[dims](size, stride or size)


@poolings.register("average", "mean")
def average_pool(dims: int = 2, *, size: int = 2, stride: int | None = None) -> nn.Module:
    """Return the mean of each window."""
    return _AVERAGE[dims](size, stride or size)


@poolings.register("none")
def no_pool(dims: int = 2, *, size: int = 2, stride: int | None = None) -> nn.Module:
    """Return what came in."""
    return nn.Identity()


class Subsample(nn.Module):
    """Every second position, with nothing learned: what a stride does without a filter.

    **Shape**: (B, C, …) → (B, C, …), each axis ⌈L / stride⌉.
    """

    def __init__(self, dims: int, stride: int) -> None:
        super().__init__()
        self.dims, self.stride = dims, stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the positions that are kept."""
        for axis in range(-self.dims, 0):
            x = x.index_select(axis, torch.arange(0, x.shape[axis], self.stride, device=x.device))
        return x


@poolings.register("subsample")
def subsample(dims: int = 2, *, size: int = 2, stride: int | None = None) -> nn.Module:
    """Return one position of each window."""
    return Subsample(dims, stride or size)


@global_poolings.register("average", "mean")
def global_average(dims: int = 2, *, size: int = 1) -> nn.Module:
    """Return the mean of each of ``size`` equal parts of every axis; of all positions by default (arXiv 1312.4400)."""
    return _ADAPTIVE_AVERAGE[dims](size)


@global_poolings.register("max")
def global_max(dims: int = 2, *, size: int = 1) -> nn.Module:
    """Return the largest value of each of ``size`` equal parts of every axis."""
    return _ADAPTIVE_MAX[dims](size)


class AverageAndMax(nn.Module):
    """Means and largest values of all positions, side by side.

    **Shape**: (B, C, …) → (B, 2·C, 1, …).
    """

    def __init__(self, dims: int = 2, size: int = 1) -> None:
        super().__init__()
        self.average, self.max = _ADAPTIVE_AVERAGE[dims](size), _ADAPTIVE_MAX[dims](size)

    def forward(self, x: Tensor) -> Tensor:
        """Return both, channels first."""
        return torch.cat([self.average(x), self.max(x)], dim=1)


@global_poolings.register("average_and_max")
def average_and_max(dims: int = 2, *, size: int = 1) -> nn.Module:
    """Return means and largest values, twice as many channels."""
    return AverageAndMax(dims, size)


def make_pool(pool: str | Part, dims: int = 2, *, size: int | None = None, whole: bool = False) -> nn.Module:
    """Return a pooling layer.

    Parameters
    ----------
    pool : str or Part
        A name of ``poolings``, or of ``global_poolings`` where ``whole`` is set.
    dims : {1, 2}
        Axes of the positions.
    size : int, optional
        Window (and stride) of a local pooling, 2 by default; positions that remain of a whole one, 1 by default.
    whole : bool
        Pool all positions.

    Raises
    ------
    InputError
        If the name is unknown or the options are wrong.
    """
    registry = global_poolings if whole else poolings
    name, options = (pool.name, dict(pool.options)) if isinstance(pool, Part) else (pool, {})
    factory = registry.get(name)
    try:
        return factory(dims, **{"size": size or (1 if whole else 2), **options})
    except (TypeError, KeyError) as error:
        raise InputError(f"the pooling {name!r} must get options that it knows", str(error)) from error
