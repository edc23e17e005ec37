"""Parts that work value by value: dropout with masks of each member's own, activations that learn."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glia.nn.activations import Step
from glia.nn.population.linear import per_member, stacked

VALUEWISE = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid,
    nn.Tanh, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.LogSigmoid, nn.Hardshrink,
    nn.Softshrink, nn.Tanhshrink, nn.Threshold, Step,
)  # fmt: skip
"""Activations that do to (K, B, F) what they do to (B, F); they hold nothing, so that one serves all members."""


class StackedDropout(nn.Module):
    """Inverted dropout with independent masks, and a probability for each member: (B, F) or (K, B, F) → (K, B, F).

    Parameters
    ----------
    probabilities : sequence of float
        Of each member, in [0, 1).
    """

    def __init__(self, probabilities: Sequence[float]) -> None:
        super().__init__()
        self.members, self.probabilities = len(probabilities), tuple(float(p) for p in probabilities)
        self.register_buffer("p", torch.tensor(self.probabilities).reshape(-1, 1, 1), persistent=False)
        self.p: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Drop values in training; return them as they are in evaluation."""
        first = self.probabilities[0]
        if not self.training:
            return x
        rows = per_member(x, self.members)
        if all(p == first for p in self.probabilities):
            return F.dropout(rows, first) if first else x
        kept = torch.rand(rows.shape, device=x.device) >= self.p
        return rows * (kept / (1.0 - self.p)).to(rows.dtype)


class StackedPReLU(nn.Module):
    """Leaky ReLUs with learned slopes of every member: (B, F) or (K, B, F) → (K, B, F)."""

    def __init__(self, layers: Sequence[nn.PReLU]) -> None:
        super().__init__()
        self.members, self.weight = len(layers), stacked([layer.weight for layer in layers])

    def forward(self, x: Tensor) -> Tensor:
        """Multiply negative values by the slopes."""
        rows = per_member(x, self.members)
        return torch.where(rows >= 0, rows, rows * self.weight.unsqueeze(1))
