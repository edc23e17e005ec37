"""Gradients kept within bounds, without waiting for the device: nothing is read back in a step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm

from glia.core.errors import InputError


def gradient_norm(parameters: Iterable[Tensor]) -> Tensor:
    """Return the Euclidean norm of all gradients taken as one vector, a scalar tensor; 0 where there are none."""
    return get_total_norm([p.grad for p in parameters if p.grad is not None])


def clip_norm(parameters: Iterable[Tensor], limit: float) -> Tensor:
    """Shrink all gradients by one factor so that their common norm is at most ``limit``: the direction is kept.

    ``g ← g · min(1, limit / ‖g‖)``; Pascanu et al., arXiv 1211.5063, algorithm 1.

    Returns
    -------
    Tensor
        The norm before clipping, a scalar.
    """
    return clip_grad_norm_(parameters, limit)


def clip_value(parameters: Iterable[Tensor], limit: float) -> Tensor:
    """Cut every element of every gradient to [−limit, limit]; return the norm before, a scalar."""
    with_gradient = [p for p in parameters if p.grad is not None]
    norm = gradient_norm(with_gradient)
    if with_gradient:
        clip_grad_value_(with_gradient, limit)
    return norm


@torch.no_grad()
def clip_adaptive(parameters: Iterable[Tensor], ratio: float, floor: float = 1e-3) -> Tensor:
    """Bound each unit's gradient norm by ``ratio`` times the norm of its weights.

    A unit is a row of a weight (all but its first axis), and a vector is taken whole; weights' norms count as at least
    ``floor``. Brock et al., arXiv 2102.06171, eq. 3.

    Returns
    -------
    Tensor
        The norm of all gradients before, a scalar.
    """
    with_gradient = [p for p in parameters if p.grad is not None]
    norm = gradient_norm(with_gradient)
    for p in with_gradient:
        if p.grad is not None:
            bound = _unit_norm(p).clamp_min(floor) * ratio
            size = _unit_norm(p.grad)
            p.grad.mul_(torch.where(size > bound, bound / size.clamp_min(1e-12), torch.ones_like(size)))
    return norm


def _unit_norm(tensor: Tensor) -> Tensor:
    axes = tuple(range(1, tensor.ndim)) if tensor.ndim > 1 else tuple(range(tensor.ndim))
    norm: Tensor = torch.linalg.vector_norm(tensor, dim=axes, keepdim=True)
    return norm


@dataclass(frozen=True)
class Clip:
    """How gradients are clipped before each step: by value first, then unit by unit, then by norm.

    Parameters
    ----------
    norm : float, optional
        Largest common norm, > 0.
    value : float, optional
        Largest absolute value of an element, > 0.
    adaptive : float, optional
        Largest ratio of a unit's gradient norm to its weights' norm, > 0; 0.01 is usual.

    Raises
    ------
    InputError
        If none is given, or one is not above 0.
    """

    norm: float | None = None
    value: float | None = None
    adaptive: float | None = None

    def __post_init__(self) -> None:
        given = {"norm": self.norm, "value": self.value, "adaptive": self.adaptive}
        for name, limit in given.items():
            if limit is not None and not (math.isfinite(limit) and limit > 0):
                raise InputError("a clipping limit must be a finite number above 0", f"{name}={limit!r}")
        if all(limit is None for limit in given.values()):
            raise InputError("clipping needs a limit", "none", "give norm=, value= or adaptive=, or clip nothing")

    def __call__(self, parameters: Iterable[Tensor]) -> Tensor:
        """Clip the gradients in place; return their common norm before, a scalar tensor."""
        listed = list(parameters)
        norms = []
        if self.value is not None:
            norms.append(clip_value(listed, self.value))
        if self.adaptive is not None:
            norms.append(clip_adaptive(listed, self.adaptive))
        if self.norm is not None:
            norms.append(clip_norm(listed, self.norm))
        return norms[0]
