"""Gradients of stacked members kept within bounds: each member as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glia.engine.clipping import Clip

_FLOOR, _LEAST, _SMALL = 1e-3, 1e-12, 1e-6
"""As in ``clip_adaptive`` and in torch's ``clip_grad_norm_``."""


@torch.no_grad()
def clip_members_(parameters: Sequence[Tensor], clip: Clip) -> None:
    """Clip every member's gradients in place, as ``Clip`` does those of one network.

    Parameters
    ----------
    parameters : sequence of Tensor
        (K, *shape of the plain parameter) each; those without a gradient are passed over.
    clip : Clip
        By value first, then unit by unit, then by norm.
    """
    pairs = [(p, p.grad) for p in parameters if p.grad is not None]
    if clip.value is not None:
        for _, grad in pairs:
            grad.clamp_(-clip.value, clip.value)
    if clip.adaptive is not None:
        for p, grad in pairs:
            bound, size = _units(p).clamp_min(_FLOOR) * clip.adaptive, _units(grad)
            grad.mul_(torch.where(size > bound, bound / size.clamp_min(_LEAST), torch.ones_like(size)))
    if clip.norm is not None and pairs:
        norm = member_norms([grad for _, grad in pairs])
        factor = (clip.norm / (norm + _SMALL)).clamp_max(1.0)
        for _, grad in pairs:
            grad.mul_(factor.reshape(-1, *[1] * (grad.ndim - 1)))


def member_norms(gradients: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of each member's gradients taken as one vector, (K,)."""
    parts = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients])
    norms: Tensor = torch.linalg.vector_norm(parts, dim=0)
    return norms


def _units(tensor: Tensor) -> Tensor:
    """Return the norms of the units of every member: rows of weights; vectors are taken whole."""
    axes = tuple(range(2, tensor.ndim)) if tensor.ndim > 2 else tuple(range(1, tensor.ndim))
    if not axes:
        return tensor.abs()
    norm: Tensor = torch.linalg.vector_norm(tensor, dim=axes, keepdim=True)
    return norm
