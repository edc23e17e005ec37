"""A pretrained network with a new head, as a module: what of it learns, at which rate, and from when on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glia.nn.layer_order import Stage, layer_stages
from glia.nn.modes import evaluating
from glia.nn.pretrained import PretrainedFeatures

_SEEN, _VALUES, _TOKENS = 128, 1 << 20, 4096


class Standardised(nn.Module):
    """Features to about mean 0 and deviation 1, by what some training rows had; not learned any further.

    **Shape**: (B, D) → (B, D).
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return scaled features."""
        return (x - self.mean) / self.scale

    @torch.no_grad()
    def learn(self, features: Tensor) -> None:
        """Take mean and deviation of features (N, D); the fewer rows, the more is one deviation taken for all."""
        if len(features) < 2:
            return
        variance = features.var(0, unbiased=True)
        common, prior = variance.mean(), 8.0
        self.mean.copy_(features.mean(0))
        mixed = (len(features) * variance + prior * common) / (len(features) + prior)
        self.scale.copy_(mixed.sqrt().clamp_min(1e-6))


class BackboneNetwork(nn.Module):
    """Features, then a head.

    Parameters
    ----------
    features : nn.Module
        (B, *shape) → (B, D).
    head : nn.Sequential
        (B, D) → (B, O); its first layer is ``Standardised``.
    tune : {"frozen", "full", "gradual", "lora"}
    rate, decay, until : float
        See ``Backbone``.
    pretrained : bool
        Whether the features' weights were learned before.
    """

    def __init__(
        self,
        features: nn.Module,
        head: nn.Sequential,
        *,
        tune: str,
        rate: float,
        decay: float,
        until: float,
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        self.features, self.head = features, head
        self.tune, self.rate, self.decay, self.until = tune, rate, decay, until
        self.pretrained = pretrained
        if tune == "frozen":
            features.requires_grad_(False)

    @property
    def frozen(self) -> bool:
        """Whether only the head learns, so that features may be computed once."""
        return self.tune == "frozen"

    def train(self, mode: bool = True) -> BackboneNetwork:
        """Set the mode; what is frozen stays in evaluation mode, and batch normalisations keep learned statistics.

        Those of a few rows would be worse, and are not what the layers behind have learned to read.
        """
        super().train(mode)
        if self.tune == "frozen":
            self.features.eval()
        elif self.pretrained:
            for module in self.features.modules():
                if isinstance(module, nn.modules.batchnorm._NormBase):
                    module.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Return raw scores (B, O)."""
        out: Tensor = self.head(self.encode(x))
        return out

    def encode(self, x: Tensor) -> Tensor:
        """Return features (B, D); where nothing is learned, a few rows at a time, texts of like length together."""
        if torch.is_grad_enabled() and (x.requires_grad or not self.frozen):
            out: Tensor = self.features(x)
            return out
        texts, most = self._of_texts, self.at_once(x.shape[1:])
        if len(x) <= most:
            return torch.cat([self.features(x)])
        if not texts:
            return torch.cat([self.features(part) for part in torch.split(x, most)])
        order = torch.argsort(x[..., 1].sum(1), stable=True)
        sorted_features = torch.cat([self.features(x[part]) for part in torch.split(order, most)])
        return sorted_features[torch.argsort(order)]

    def at_once(self, shape: Sequence[int]) -> int:
        """Return how many rows of a shape go through frozen layers at once, at least 8."""
        return max(8, _TOKENS // shape[0] if self._of_texts else _VALUES // max(1, math.prod(shape)))

    @property
    def _of_texts(self) -> bool:
        return isinstance(self.features, PretrainedFeatures) and self.features.of_texts

    @torch.no_grad()
    def initialise_from(self, x: Tensor) -> None:
        """Let the head see how features of training rows are spread."""
        with evaluating(self):
            scaling: Any = self.head[0]
            scaling.learn(self.encode(x[:_SEEN].to(next(self.parameters()).device)))

    def rate_scales(self) -> dict[str, float]:
        """Return the start of a parameter's name → factor of its learning rate; the head's is 1."""
        if self.tune == "frozen":
            return {}
        if self.tune == "lora":
            return {"features": self.rate}
        stages = layer_stages(self.features, "features")
        last = len(stages) - 1
        return {name: self.rate * self.decay ** (last - i) for i, stage in enumerate(stages) for name in stage.names}

    def unfreezing_stages(self) -> list[Stage]:
        """Return the stages that are unfrozen one after the other, the one before the head first."""
        return layer_stages(self.features, "features")[::-1] if self.tune == "gradual" else []

    def extra_repr(self) -> str:
        """Return what settings there are."""
        return f"tune={self.tune!r}, rate={self.rate}, decay={self.decay}, until={self.until}"
