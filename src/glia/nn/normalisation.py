"""Normalisation layers by name: factories ``(features) → module`` of torch's own layers.

Each subtracts a mean and divides by a standard deviation (RMS: divides by the root mean square only), then scales and
shifts by learned values; they differ in what the mean is taken over.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from glia.core.errors import InputError
from glia.core.registry import Registry
from glia.nn.parts import Part, factory_of

norms: Registry[Callable[..., nn.Module]] = Registry("norm")

_BATCH_NORMS: tuple[type[nn.Module], ...] = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@norms.register("none")
def none(features: int) -> nn.Module:
    """No normalisation."""
    return nn.Identity()


@norms.register("batch")
def batch(features: int, *, dims: int = 1, momentum: float = 0.1, eps: float = 1e-5) -> nn.Module:
    """Per feature over the rows of the batch; running statistics in evaluation (arXiv 1502.03167).

    Takes (B, features) for ``dims=1``, and (B, features, H, W) for ``dims=2``. Training needs at least two rows.
    """
    if dims not in (1, 2, 3):
        raise InputError("dims must be 1, 2 or 3", f"dims={dims!r}", "use 1 for tables and series, 2 for images")
    return _BATCH_NORMS[dims - 1](features, momentum=momentum, eps=eps)


@norms.register("layer")
def layer(features: int, *, eps: float = 1e-5) -> nn.Module:
    """Per row over its features; the same in training and evaluation (arXiv 1607.06450)."""
    return nn.LayerNorm(features, eps=eps)


@norms.register("group")
def group(features: int, *, groups: int = 8, least: int = 4, eps: float = 1e-5) -> nn.Module:
    """Per row over groups of neighbouring features (arXiv 1803.08494).

    The number of groups is the largest divisor of ``features`` up to ``groups`` that leaves at least ``least`` features
    in each: a group of one value would always come out as 0, and one of two as ±1.
    """
    fitting = (g for g in range(min(groups, features), 1, -1) if features % g == 0 and features // g >= least)
    return nn.GroupNorm(next(fitting, 1), features, eps=eps)


@norms.register("rms")
def rms(features: int, *, eps: float = 1e-5) -> nn.Module:
    """Per row by the root mean square of its features, with no mean taken off and no shift (arXiv 1910.07467)."""
    return nn.RMSNorm(features, eps=eps)


def make_norm(norm: str | Part, features: int) -> nn.Module | None:
    """Return a new layer for ``features`` features, or ``None`` for "none", so that nothing is run for nothing.

    Raises
    ------
    InputError
        If the name or an option is unknown.
    """
    factory, options = factory_of(norm, norms)
    made: nn.Module = factory(features, **options)
    return None if isinstance(made, nn.Identity) else made
