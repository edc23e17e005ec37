"""Stretches of time and bands of spectra that are blotted out at random (SpecAugment)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SpectrumMasks:
    """Sets random stretches of time and random bands to 0, the mean of standardised spectra.

    Parameters
    ----------
    times, bands : int
        Masks of either kind per row.
    time_share, band_share : float
        Most that one of them covers, as a share of the row's real steps and of the bands, in [0, 1].

    Notes
    -----
    Park and others, arXiv 1904.08779, without time warping. **Shape**: sequences (B, T, C + 1), whose last channel is
    the mask of real steps and stays what it is, or pictures (B, 1, C, T).
    """

    times: int = 2
    time_share: float = 0.1
    bands: int = 2
    band_share: float = 0.15

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return other rows of the same shape."""
        picture = x.ndim == 4
        steps, width = (x.shape[3], x.shape[2]) if picture else (x.shape[1], x.shape[2] - 1)
        lengths = torch.full((len(x),), float(steps)) if picture else x[..., -1].sum(1).cpu()
        late = _covered(steps, lengths, self.times, self.time_share, generator)  # (B, T)
        bands = _covered(width, torch.full((len(x),), float(width)), self.bands, self.band_share, generator)  # (B, C)
        if picture:
            gone = (late[:, None, None, :] | bands[:, None, :, None]).to(x.device)
            return x.masked_fill(gone, 0.0)
        gone = (late[:, :, None] | bands[:, None, :]).to(x.device)
        return torch.cat([x[..., :-1].masked_fill(gone, 0.0), x[..., -1:]], dim=2)


def _covered(size: int, lengths: Tensor, count: int, share: float, generator: torch.Generator) -> Tensor:
    """Return which of ``size`` places are covered in each row, (B, size); masks lie within a row's length."""
    rows = len(lengths)
    widths = torch.rand(rows, count, generator=generator) * share * lengths[:, None]
    starts = torch.rand(rows, count, generator=generator) * (lengths[:, None] - widths)
    place = torch.arange(size)[None, None, :]
    inside = (place >= starts.round()[..., None]) & (place < (starts.round() + widths.round())[..., None])
    return inside.any(1)
