"""Dropout whose random numbers cost a fifth of torch's: 16 bits for each number that is kept or dropped."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glia.nn.fast.plain import is_plain

_LEVELS = 2**16


def dropout_noise(like: Tensor, rate: float) -> Tensor:
    """Return a tensor of 0 (at the given rate) and 1 / (1 - rate), in the shape and layout of ``like``.

    Four numbers are decided by one 64-bit draw of torch's generator; torch's own Bernoulli numbers take one draw and a
    conversion each. So the numbers are others than torch's from the same seed, with the same distribution: the rate is
    rounded to 1/65536, and what is kept is scaled by the rounded rate, so that the mean is exactly 1.

    Parameters
    ----------
    like : Tensor
        float32 or bfloat16 (whose kept values are rounded to 8 bits), on the processor.
    rate : float
        Between 0 and 1.
    """
    kept = min(round((1 - rate) * _LEVELS), _LEVELS - 1)
    noise = torch.empty_like(like)
    if kept == 0:
        return noise.zero_()
    count = noise.numel()
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    # empty_like is always dense, so that its memory can be filled in order whatever its layout.
    flat = noise.as_strided((count,), (1,))
    torch.lt(words.view(torch.int16)[:count], kept - _LEVELS // 2, out=flat)
    flat.mul_(_LEVELS / kept)
    return noise


class FastDropout(nn.Dropout):
    """``nn.Dropout`` with the noise of ``dropout_noise``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input, in training with zeros at the rate ``p`` and the rest scaled up."""
        if not (self.training and self.p > 0 and not self.inplace and is_plain(input)):
            return super().forward(input)
        return input * dropout_noise(input, self.p)
