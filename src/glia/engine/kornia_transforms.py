"""Random changes of pictures by kornia, which works on tensors and needs no torchvision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glia.core.optional import require

_MAKERS: dict[str, Callable[[Any, float], Any]] = {
    "rotation": lambda k, s: k.RandomRotation(degrees=30.0 * s, p=0.7),
    "affine": lambda k, s: k.RandomAffine(
        degrees=20.0 * s, translate=(0.15 * s, 0.15 * s), scale=(1 - 0.3 * s, 1 + 0.3 * s), shear=10.0 * s, p=0.7
    ),
    "perspective": lambda k, s: k.RandomPerspective(distortion_scale=0.5 * s, p=0.5),
    "elastic": lambda k, s: k.RandomElasticTransform(alpha=(s, s), sigma=(4.0, 4.0), kernel_size=(15, 15), p=0.5),
    "color_jitter": lambda k, s: k.ColorJitter(0.4 * s, 0.4 * s, 0.4 * s, 0.1 * s, p=0.7),
    "grayscale": lambda k, s: k.RandomGrayscale(p=0.4 * s),
    "blur": lambda k, s: k.RandomGaussianBlur((3, 3), (0.1, 0.1 + 1.5 * s), p=0.3),
    "noise": lambda k, s: k.RandomGaussianNoise(mean=0.0, std=0.1 * s, p=0.5),
    "erasing": lambda k, s: k.RandomErasing(scale=(0.02, 0.02 + 0.3 * s), ratio=(0.3, 3.3), p=0.5),
    "sharpness": lambda k, s: k.RandomSharpness(sharpness=s, p=0.5),
}
NAMES = tuple(_MAKERS)
"""Changes that can be asked for."""
_COLOUR = frozenset({"color_jitter", "grayscale"})


@dataclass(frozen=True)
class KorniaTransform:
    """Changes by name, one after the other.

    Parameters
    ----------
    names : tuple of str
        Of ``NAMES``.
    strength : float
        In (0, 1].

    Notes
    -----
    Kornia draws from torch's global random stream. It is seeded from the batch's own generator for the time of the
    call, and put back, so that a fit repeats and dropout is not shifted. Changes of colours expect values of 0 to 1:
    prepared pictures are brought there by the range of the batch and back. They are left out for pictures that are not
    of three channels.
    """

    names: tuple[str, ...]
    strength: float = 0.5

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return pictures (B, C, H, W)."""
        kornia = require("kornia.augmentation", "images")
        wanted = [name for name in self.names if x.shape[1] == 3 or name not in _COLOUR]
        seed = int(torch.randint(2**31, (), generator=generator))
        devices = [x.device] if x.device.type == "cuda" else []
        low, high = torch.aminmax(x)
        span = (high - low).clamp_min(1e-6)
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            torch.manual_seed(seed)
            y = (x - low) / span
            for name in wanted:
                y = _MAKERS[name](kornia, self.strength)(y)
        return (y * span + low).contiguous()
