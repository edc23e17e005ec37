"""Linear layers of all members as batched products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class SplitRows(NamedTuple):
    """Inputs of a first layer of which some are the same for all members: no copy per member is made of those."""

    shared: Tensor
    """(B, D)."""
    own: Tensor
    """(K, B, E)."""


def blended(x: Tensor | SplitRows, partner: Tensor, lam: float) -> Tensor | SplitRows:
    """Return λ of each row and 1 − λ of its partner, (B,), for rows (…, B, D)."""
    if isinstance(x, Tensor):
        return torch.lerp(x.index_select(-2, partner), x, lam)
    return SplitRows(*(torch.lerp(part.index_select(-2, partner), part, lam) for part in x))


class StackedLinear(nn.Module):
    """K linear layers at once.

    Parameters
    ----------
    layers : sequence of nn.Linear
        Of one shape.

    Notes
    -----
    **Shape**: (B, in) shared by all members, (K, B, in), or ``SplitRows`` → (K, B, out).

    Weights lie as (K, out, in), as in ``nn.Linear``: shared rows then meet all members in a single product
    (K·out, in) × (in, B), and a last layer of few outputs keeps long contiguous rows (measured on one AMD EPYC core
    for K = 32, 64 rows, 64 → 2: 0.03 to 0.05 ms, against 0.17 ms for weights that lie as (K, in, out)).
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        first = layers[0]
        self.members, self.in_features, self.out_features = len(layers), first.in_features, first.out_features
        self.weight = stacked([layer.weight for layer in layers])
        self.bias = None if first.bias is None else stacked([layer.bias for layer in layers])

    def forward(self, x: Tensor | SplitRows) -> Tensor:
        """Map rows to (K, B, out)."""
        bias = None if self.bias is None else self.bias.unsqueeze(1)
        if isinstance(x, SplitRows):
            width = x.shared.shape[-1]
            start = self._shared(x.shared, self.weight[:, :, :width])
            return torch.baddbmm(start, x.own, self.weight[:, :, width:].mT)
        if x.ndim == 2:
            return self._shared(x, self.weight)
        if bias is None:
            return torch.bmm(x, self.weight.mT)
        return torch.baddbmm(bias, x, self.weight.mT)

    def _shared(self, x: Tensor, weight: Tensor) -> Tensor:
        flat = weight.flatten(0, 1)  # (K·out, in)
        if self.bias is None:
            wide = torch.mm(flat, x.mT)
        else:
            wide = torch.addmm(self.bias.reshape(-1, 1), flat, x.mT)
        return wide.view(self.members, self.out_features, -1).mT


def stacked(values: Sequence[Tensor]) -> nn.Parameter:
    """Return the members' values as one parameter, (K, *shape)."""
    return nn.Parameter(torch.stack([value.detach() for value in values]), requires_grad=values[0].requires_grad)


def per_member(x: Tensor, members: int) -> Tensor:
    """Return rows (K, B, F) of every member; rows that are shared, (B, F), are shown K times, not copied."""
    return x.expand(members, *x.shape) if x.ndim == 2 else x
