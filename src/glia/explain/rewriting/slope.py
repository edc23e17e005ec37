"""A tensor with a value and, apart from it, a slope."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Ledger:
    """What was not passed on to inputs while relevance went back, summed over a batch.

    Attributes
    ----------
    biases : float
        Kept by biases and other constants.
    stabiliser : float
        Kept by the stabiliser ε, and by activations whose value at 0 is not 0.
    softmax : float
        Kept by the first-order expansion of softmax.
    """

    def __init__(self) -> None:
        self.biases = self.stabiliser = self.softmax = 0.0


class Slope(torch.autograd.Function):
    """``value``, with the gradient ``slope`` with respect to ``z``, value by value."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, value: Tensor, slope: Tensor, ledger: Ledger | None) -> Tensor:
        """Return ``value``; all three tensors have one shape."""
        ctx.save_for_backward(slope, (value - slope * z) if ledger is not None else slope)
        ctx.ledger = ledger
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Pass the gradient on by the slope."""
        slope, kept = ctx.saved_tensors
        if ctx.ledger is not None:
            ctx.ledger.stabiliser += float((grads[0] * kept).double().nansum())
        return grads[0] * slope, None, None, None


class Constant(torch.autograd.Function):
    """``z``, a sum with a constant part, which is entered in the ledger with the relevance that it keeps."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, part: Tensor, ledger: Ledger) -> Tensor:
        """Return ``z``; ``part`` can be broadcast to it."""
        ctx.save_for_backward(part)
        ctx.ledger = ledger
        return z.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Pass the gradient on unchanged."""
        (part,) = ctx.saved_tensors
        ctx.ledger.biases += float(torch.nan_to_num(grads[0] * part, 0.0, 0.0, 0.0).double().sum())
        return grads[0], None, None


def with_slope(z: Tensor, value: Tensor, slope: Tensor, ledger: Ledger | None = None) -> Tensor:
    """Return ``value`` (…) with the gradient ``slope`` (…) with respect to ``z`` (…)."""
    out: Tensor = Slope.apply(z, value.detach(), slope.detach(), ledger)  # type: ignore[no-untyped-call]
    return out


def with_value(z: Tensor, value: Tensor) -> Tensor:
    """Return ``value`` (…) with the gradient of ``z`` (…)."""
    return with_slope(z, value, torch.ones_like(z))


def entered(z: Tensor, part: Tensor, ledger: Ledger) -> Tensor:
    """Return ``z`` and enter what its constant ``part`` keeps."""
    out: Tensor = Constant.apply(z, part.detach(), ledger)  # type: ignore[no-untyped-call]
    return out
