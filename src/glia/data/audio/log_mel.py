"""Spectra on the mel scale: short-time Fourier transform, triangular filters, logarithm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from glia.core.errors import InputError

Floats = NDArray[np.float64]
FLOOR = 1e-5
"""Power below which differences are not seen; a sound has a mean power of 1 when it gets here."""


def mel(frequency: ArrayLike) -> Floats:
    """Return frequencies in hertz on the mel scale, 2595·log₁₀(1 + f/700): O'Shaughnessy 1987, as HTK has it."""
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(frequency, dtype=np.float64) / 700.0))


def hertz(mels: ArrayLike) -> Floats:
    """Return mels as frequencies in hertz: the inverse of ``mel``."""
    return np.asarray(700.0 * (10.0 ** (np.asarray(mels, dtype=np.float64) / 2595.0) - 1.0))


def mel_filters(bands: int, size: int, rate: int, low: float, high: float) -> Floats:
    """Return triangular filters whose centres are evenly spaced in mels, (bands, size // 2 + 1).

    Parameters
    ----------
    bands : int
    size : int
        Samples of a Fourier transform.
    rate : int
        Samples per second.
    low, high : float
        Hertz: where the first filter begins and the last one ends.

    Notes
    -----
    HTK's: each filter rises from 0 at its neighbour's centre to 1 at its own, evenly in mels, and falls again. A filter
    so narrow that it lies between two frequencies of the transform takes the nearest one.
    """
    edges = np.linspace(mel(low), mel(high), bands + 2)
    places = mel(np.arange(size // 2 + 1) * rate / size)
    rising = (places[None, :] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - places[None, :]) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    empty = np.flatnonzero(filters.sum(axis=1) <= 0)
    filters[empty, np.abs(places[None, :] - edges[1:-1][empty, None]).argmin(axis=1)] = 1.0
    return filters


@dataclass(frozen=True)
class LogMel:
    """Logarithms of the power in bands of the mel scale, over time.

    Parameters
    ----------
    rate : int
        Samples per second.
    bands : int
        Of the mel scale, from 20 Hz to half the rate.
    window, hop : float
        Seconds that a spectrum sees, and from one to the next.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    rate: int
    bands: int = 40
    window: float = 0.032
    hop: float = 0.016

    def __post_init__(self) -> None:
        if self.size < 8 or self.step < 1:
            got = f"window={self.window}, hop={self.hop} at {self.rate} samples a second"
            raise InputError("a window must have at least 8 samples and a hop at least 1", got, "make them longer")
        if not 1 <= self.bands <= self.size // 2:
            got = f"bands={self.bands} for windows of {self.size} samples"
            raise InputError("bands must be at least 1 and fewer than a spectrum's frequencies", got)

    @property
    def size(self) -> int:
        """Samples of a window."""
        return round(self.window * self.rate)

    @property
    def step(self) -> int:
        """Samples from one window to the next."""
        return round(self.hop * self.rate)

    @cached_property
    def filters(self) -> Tensor:
        """The filters, (bands, size // 2 + 1)."""
        return torch.from_numpy(mel_filters(self.bands, self.size, self.rate, 20.0, self.rate / 2)).float()

    def steps(self, samples: int) -> int:
        """Return the spectra of so many samples: at least one."""
        return 1 + max(0, samples - self.size) // self.step

    def power(self, samples: Tensor) -> Tensor:
        """Return the power of the frequencies 0 … rate / 2 in Hann windows, (T,) → (steps, size // 2 + 1).

        The sum over all frequencies, those above half the rate included, is the windowed samples' energy.
        """
        lacking = self.size - len(samples)
        padded = torch.nn.functional.pad(samples, (0, max(0, lacking)))
        window = torch.hann_window(self.size)
        found = torch.stft(padded, self.size, self.step, self.size, window, center=False, return_complex=True)
        return found.abs().square().T / self.size

    def __call__(self, samples: Tensor) -> Tensor:
        """Return the logarithms of the bands' powers, (T,) → (steps, bands); powers are not told apart below 1e-5."""
        return torch.log(self.power(samples) @ self.filters.T + FLOOR)
