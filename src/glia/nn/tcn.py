"""Temporal convolutional networks: residual blocks of dilated convolutions over time (arXiv 1803.01271)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.nn.sequence_network import SequenceNetwork, SequenceSpec

NORMS = ("batch", "layer", "none")


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (B, C, T) whose statistics count real steps only.

    Notes
    -----
    In evaluation, and where nothing is masked, it is torch's own.
    """

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalise (B, C, T); ``mask`` is (B, 1, T), True at real steps."""
        if not self.training or mask is None or bool(mask.all()):
            return super().forward(input)
        count = mask.sum().clamp_min(1)
        mean = (input * mask).sum((0, 2)) / count
        centred = input - mean.view(1, -1, 1)
        variance = (centred.square() * mask).sum((0, 2)) / count
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            with torch.no_grad():
                self.num_batches_tracked += 1
                rate = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
                self.running_mean.lerp_(mean, rate)
                self.running_var.lerp_(variance * count / (count - 1).clamp_min(1), rate)
        scaled = centred * torch.rsqrt(variance + self.eps).view(1, -1, 1)
        return scaled * self.weight.view(1, -1, 1) + self.bias.view(1, -1, 1)


class StepNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each step of (B, C, T)."""

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalise (B, C, T); the mask does not matter."""
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


def _norm(name: str, channels: int) -> nn.Module:
    return MaskedBatchNorm(channels) if name == "batch" else StepNorm(channels)


class TemporalBlock(nn.Module):
    """Two dilated convolutions with norm, ReLU and dropout, and a skip connection.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, dilation : int
        At least 1 each.
    causal : bool
        Whether a step sees only itself and earlier ones; else as many on either side.
    norm : {"batch", "layer", "none"}
    dropout : float
        Whole channels are dropped.

    Notes
    -----
    **Shape**: (B, in_channels, T) → (B, out_channels, T). Padded steps are zero before every convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        dilation: int,
        *,
        causal: bool,
        norm: str,
        dropout: float,
    ) -> None:
        super().__init__()
        reach = (kernel_size - 1) * dilation
        self.around = (reach, 0) if causal else (reach // 2, reach - reach // 2)
        widths = (in_channels, out_channels)
        plain = norm == "none"
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, out_channels, kernel_size, dilation=dilation, bias=plain) for width in widths
        )
        self.norms = nn.ModuleList([] if plain else [_norm(norm, out_channels) for _ in widths])
        self.dropout = nn.Dropout1d(dropout) if dropout else None
        self.skip = None if in_channels == out_channels else nn.Conv1d(in_channels, out_channels, 1)
        for convolution in self.convolutions:
            nn.init.kaiming_normal_(convolution.get_parameter("weight"), nonlinearity="relu")

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map (B, in_channels, T) to (B, out_channels, T); ``mask`` is (B, 1, T)."""
        states = x
        for number, convolution in enumerate(self.convolutions):
            states = convolution(F.pad(states, self.around))
            if len(self.norms):
                states = self.norms[number](states, mask)
            if number:
                states = states + (x if self.skip is None else self.skip(x))
            states = F.relu(states)
            if self.dropout is not None:
                states = self.dropout(states)
            states = states.masked_fill(~mask, 0.0)
        return states


class TemporalNetwork(SequenceNetwork):
    """Temporal blocks with dilations 1, 2, 4, … and a head; its parameters are those of ``TCN``.

    Notes
    -----
    **Shape**: (B, T, C + 1) → (B, O).
    """

    def __init__(
        self,
        in_channels: int,
        out_features: int,
        steps: int,
        *,
        channels: int = 64,
        levels: int = 4,
        kernel_size: int = 3,
        causal: bool = True,
        norm: str = "batch",
        dropout: float = 0.0,
        pooling: str = "last",
        head: str = "sequence",
    ) -> None:
        super().__init__(channels, out_features, steps, pooling, head)
        self.blocks = nn.ModuleList(
            TemporalBlock(
                in_channels if level == 0 else channels,
                channels,
                kernel_size,
                2**level,
                causal=causal,
                norm=norm,
                dropout=dropout,
            )
            for level in range(levels)
        )

    def encode(self, values: Tensor, mask: Tensor) -> Tensor:
        """Map (B, T, C) to (B, T, channels)."""
        states, kept = values.transpose(1, 2), mask.unsqueeze(1)
        for block in self.blocks:
            states = block(states, kept)
        return states.transpose(1, 2)


def receptive_field(kernel_size: int, levels: int) -> int:
    """Return how many steps an output of a ``TemporalNetwork`` sees: 1 + 2 (k − 1)(2^L − 1)."""
    return int(1 + 2 * (kernel_size - 1) * (2**levels - 1))


class TCN(SequenceSpec):
    """Settings of a temporal convolutional network.

    Parameters
    ----------
    channels : int
        Of every block.
    levels : int or "auto"
        Blocks; "auto" takes as many as it needs for one output to see the whole sequence, at most 8.
    kernel_size : int
        At least 2.
    causal : bool
        Whether a step sees only itself and earlier ones.
    norm : {"batch", "layer", "none"}
        "batch" counts real steps only.
    dropout : float
        In [0, 1): share of the channels that is dropped.
    pooling : {"last", "mean", "max"}
        How steps become one vector.
    head : {"sequence", "steps"}
        One answer per sequence or per step.
    """

    family = "tcn"

    def __init__(
        self,
        channels: int = 64,
        levels: int | str = "auto",
        kernel_size: int = 3,
        causal: bool = True,
        norm: str = "batch",
        dropout: float = 0.0,
        pooling: str = "last",
        head: str = "sequence",
    ) -> None:
        self.channels, self.levels, self.kernel_size = channels, levels, kernel_size
        self.causal, self.norm, self.dropout = causal, norm, dropout
        self.pooling, self.head = pooling, head

    def build(self, layout: Layout, out_features: int) -> TemporalNetwork:
        """Return a freshly initialised network that maps (B, T, C + 1) to (B, out_features).

        Raises
        ------
        InputError
            Naming everything that is wrong with the settings, at once.
        """
        whole: dict[str, Any] = {"channels": self.channels, "kernel_size": self.kernel_size}
        if self.levels != "auto":
            whole["levels"] = self.levels
        steps, channels = self._shape(layout, out_features, **whole)
        if self.norm not in NORMS:
            raise InputError(f"norm must be one of {', '.join(NORMS)}", f"norm={self.norm!r}")
        if self.kernel_size < 2:
            raise InputError("kernel_size must be at least 2", f"kernel_size={self.kernel_size!r}")
        levels = self.levels
        if not isinstance(levels, int):
            levels = next((n for n in range(1, 8) if receptive_field(self.kernel_size, n) >= steps), 8)
        params = {**self.get_params(deep=False), "levels": levels}
        return TemporalNetwork(channels, out_features, steps, **params)
