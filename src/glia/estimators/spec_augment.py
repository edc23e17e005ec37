"""What is done to training sounds: settings that are stored with the model."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from glia.core.errors import InputError
from glia.engine.spectrum_masks import SpectrumMasks


class SpecAugment(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """How the spectra of training sounds are varied: parts of them are blotted out (arXiv 1904.08779).

    It is not the default: on short telephone prompts it cost accuracy (``benchmarks/results``, audio).

    Parameters
    ----------
    times, bands : int
        Stretches of time and bands that are blotted out per sound; 0 for none.
    time_share, band_share : float
        Most that one of them covers, as a share of the sound and of the bands, in [0, 0.5].
    """

    def __init__(self, times: int = 2, time_share: float = 0.1, bands: int = 2, band_share: float = 0.15) -> None:
        self.times, self.time_share, self.bands, self.band_share = times, time_share, bands, band_share

    def masks(self) -> SpectrumMasks | None:
        """Return what changes a batch, ``None`` where nothing does.

        Raises
        ------
        InputError
            If a setting is out of range.
        """
        for name in ("times", "bands"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 20:
                raise InputError(f"{name} must be a whole number from 0 to 20", f"{name}={value!r}")
        for name in ("time_share", "band_share"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 0.5:
                raise InputError(f"{name} must be in [0, 0.5]", f"{name}={value!r}")
        if not self.times and not self.bands:
            return None
        return SpectrumMasks(self.times, float(self.time_share), self.bands, float(self.band_share))


def as_spec_augment(augment: Any) -> tuple[SpecAugment, str]:
    """Return the settings that an ``augment=`` argument means, and why where it is "auto".

    Raises
    ------
    InputError
        If it is none of these, or a setting is wrong.
    """
    if isinstance(augment, SpecAugment):
        found, why = augment, ""
    elif augment in (None, "none"):
        found, why = SpecAugment(times=0, bands=0), ""
    elif isinstance(augment, str) and augment == "auto":
        # Six pairs of short fits on real speech lost accuracy by it: benchmarks/results, audio.
        found, why = SpecAugment(times=0, bands=0), "blotting out parts of spectra lost accuracy where it was measured"
    else:
        raise InputError("augment must be 'auto', 'none' or SpecAugment settings", f"augment={augment!r}")
    found.masks()  # which checks them
    return found, why
