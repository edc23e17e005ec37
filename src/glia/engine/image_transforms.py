"""Random changes of pictures that leave what they show as it is: mirror images and shifts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from glia.core.errors import InputError


@dataclass(frozen=True)
class Flip:
    """Mirrors every picture with a chance of one half.

    Parameters
    ----------
    axis : int
        −1 mirrors left and right, −2 top and bottom.
    """

    axis: int = -1

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return pictures (B, C, H, W)."""
        turned = torch.rand(len(x), generator=generator).to(x.device) < 0.5
        return torch.where(turned.view(-1, *([1] * (x.dim() - 1))), x.flip(self.axis), x)


@dataclass(frozen=True)
class Shift:
    """Moves every picture by whole pixels; what comes in at the edge repeats the edge.

    Parameters
    ----------
    rows, columns : int
        Most pixels in either direction; all distances are equally likely.
    """

    rows: int
    columns: int

    def __post_init__(self) -> None:
        if min(self.rows, self.columns) < 0:
            raise InputError("shifts must be at least 0", f"rows={self.rows}, columns={self.columns}")

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return pictures (B, C, H, W)."""
        if not (self.rows or self.columns):
            return x
        count, _, height, width = x.shape
        down = torch.randint(2 * self.rows + 1, (count,), generator=generator).to(x.device)
        right = torch.randint(2 * self.columns + 1, (count,), generator=generator).to(x.device)
        padded = F.pad(x, (self.columns, self.columns, self.rows, self.rows), mode="replicate")
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (B, C, places, places, H, W), nothing copied
        return windows[torch.arange(count, device=x.device), :, down, right]


@dataclass(frozen=True)
class OneAfterAnother:
    """Several changes in turn."""

    parts: Sequence[Flip | Shift]

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return pictures (B, C, H, W)."""
        for part in self.parts:
            x = part(x, generator)
        return x


@dataclass(frozen=True)
class OfPicture:
    """A change of the pictures that a flat row begins with, each by itself; what stands behind them stays.

    Parameters
    ----------
    change : callable
        (B, C, H, W) and where chance comes from → (B, C, H, W).
    shape : tuple of int
        (C, H, W).
    pictures : int
        P of a row.
    """

    change: Callable[[Tensor, torch.Generator], Tensor]
    shape: tuple[int, ...]
    pictures: int = 1

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return rows (B, P·C·H·W + D)."""
        pixels = self.pictures * math.prod(self.shape)
        changed = self.change(x[:, :pixels].reshape(-1, *self.shape), generator)
        return torch.cat([changed.reshape(len(x), -1), x[:, pixels:]], dim=1)
