"""Gradient reversal: the identity whose gradient is turned around, so that what is before it unlearns what is behind.

Ganin and Lempitsky, arXiv 1409.7495, eq. 10 to 12.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradient, None


def reverse_gradient(x: Tensor, strength: float = 1.0) -> Tensor:
    """Return ``x``; on the way back its gradient is multiplied by ``-strength``.

    Parameters
    ----------
    x : Tensor
        Of any shape.
    strength : float
        At least 0; with 0 nothing gets through.
    """
    out: Tensor = _Reverse.apply(x, float(strength))  # type: ignore[no-untyped-call]  # torch's own lacks types
    return out


class GradientReversal(nn.Module):
    """``reverse_gradient`` as a layer; ``strength`` may be changed between steps."""

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``."""
        return reverse_gradient(x, self.strength)

    def extra_repr(self) -> str:
        """Return what settings there are."""
        return f"strength={self.strength}"
