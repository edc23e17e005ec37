"""Normalisation of all members at once: torch's own kernels, each member with its own statistics, scale and shift."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glia.nn.population.linear import per_member, stacked


class _Affine(nn.Module):
    """Scale and shift of every member, (K, F) each, where the plain layer has them."""

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = len(layers)
        for name in ("weight", "bias"):
            has = getattr(layers[0], name, None) is not None
            setattr(self, name, stacked([getattr(layer, name) for layer in layers]) if has else None)

    def _scaled(self, x: Tensor) -> Tensor:
        if self.weight is None:
            return x
        weight = self.weight.unsqueeze(1)
        return x * weight if self.bias is None else torch.addcmul(self.bias.unsqueeze(1), x, weight)


class StackedLayerNorm(_Affine):
    """K layer normalisations over the last axis: (B, F) or (K, B, F) → (K, B, F)."""

    def __init__(self, layers: Sequence[nn.LayerNorm]) -> None:
        super().__init__(layers)
        self.normalized_shape, self.eps = layers[0].normalized_shape, layers[0].eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every row of every member."""
        return self._scaled(F.layer_norm(per_member(x, self.members), self.normalized_shape, eps=self.eps))


class StackedRMSNorm(_Affine):
    """K normalisations by the root mean square: (B, F) or (K, B, F) → (K, B, F)."""

    def __init__(self, layers: Sequence[nn.RMSNorm]) -> None:
        super().__init__(layers)
        self.normalized_shape, self.eps = layers[0].normalized_shape, layers[0].eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every row of every member."""
        return self._scaled(F.rms_norm(per_member(x, self.members), self.normalized_shape, eps=self.eps))


class StackedGroupNorm(_Affine):
    """K group normalisations: (B, F) or (K, B, F) → (K, B, F)."""

    def __init__(self, layers: Sequence[nn.GroupNorm]) -> None:
        super().__init__(layers)
        self.num_groups, self.eps = layers[0].num_groups, layers[0].eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise groups of features of every row of every member."""
        rows = per_member(x, self.members)
        flat = F.group_norm(rows.flatten(0, 1), self.num_groups, eps=self.eps)
        return self._scaled(flat.view(rows.shape))


class StackedBatchNorm(_Affine):
    """K batch normalisations, each with statistics of its own: (B, F) or (K, B, F) → (K, B, F).

    All members' features are channels of one call of torch's kernel, which also keeps the running statistics.
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, layers: Sequence[nn.BatchNorm1d]) -> None:
        super().__init__(layers)
        self.eps, self.momentum = layers[0].eps, layers[0].momentum
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            values = [getattr(layer, name) for layer in layers]
            self.register_buffer(name, None if values[0] is None else torch.stack(values))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every feature of every member over the rows."""
        channels = per_member(x, self.members).mT.reshape(1, -1, x.shape[-2])  # (1, K·F, B)
        share = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
            if share is None:
                share = 1.0 / float(self.num_batches_tracked[0])
        own = self.training or self.running_mean is None
        mean, variance, weight, bias = (
            None if v is None else v.view(-1) for v in (self.running_mean, self.running_var, self.weight, self.bias)
        )
        found = F.batch_norm(channels, mean, variance, weight, bias, own, share or 0.0, self.eps)
        return found.view(self.members, -1, x.shape[-2]).mT
