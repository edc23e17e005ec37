"""From sounds to one float32 tensor: one rate, spectra on the mel scale, one length by cropping or padding, a mask."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from glia.core.errors import InputError, ModelFileError
from glia.core.layout import Layout
from glia.data.audio.log_mel import LogMel
from glia.data.audio.rows import SoundRows, as_sounds
from glia.data.audio.wav import resampled
from glia.data.stream.moments import Moments
from glia.data.stream.prepared_rows import PreparedRows, check_keep, finished
from glia.data.stream.row_store import MadeRows, StoredRows, blocks, kept

FORMS, SCALES = ("sequence", "picture"), ("standard", "per_clip")
MOST_RATE, MOST_SECONDS, MOST_STEPS = 16_000, 4.0, 4096
VERSION = 1


class AudioPreparation(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """How sounds become tensors.

    Parameters
    ----------
    sample_rate : "auto" or int
        Samples per second that all sounds are brought to. "auto" is the most frequent of the training sounds, at most
        16,000.
    seconds : "auto" or float
        Length of a prepared sound: of longer ones the middle is kept, shorter ones are padded. "auto" is as long as
        nine in ten of the training sounds, at most 4.
    bands : int
        Of the mel scale.
    window, hop : float
        Seconds that a spectrum sees, and from one to the next.
    scale : {"standard", "per_clip"}
        By mean and deviation of each band over the training sounds; or over each sound alone, which takes out what
        microphone, line and voice have in common all the time.
    form : {"sequence", "picture"}
        (T, bands + 1) with the mask last, for networks of sequences; or (1, bands, T) for networks of pictures.
    keep : {"auto", "memory", "disk", "none"}
        Where the spectra of training sounds are kept. "auto" is memory where they take no more than a quarter of it;
        else the disk, where it has room; else nowhere: sounds are read again in every epoch. The result is the same.

    Attributes
    ----------
    layout_ : Layout
    rate_, steps_ : int
        Samples per second, and T.

    Notes
    -----
    Every sound is brought to a mean power of 1 first: how loud it is recorded says nothing.
    """

    layout_: Layout
    rate_: int
    steps_: int
    _mean: NDArray[np.float32]
    _std: NDArray[np.float32]

    def __init__(
        self,
        sample_rate: Any = "auto",
        seconds: Any = "auto",
        bands: int = 40,
        window: float = 0.032,
        hop: float = 0.016,
        scale: str = "standard",
        form: str = "sequence",
        keep: str = "auto",
    ) -> None:
        self.sample_rate, self.seconds, self.bands = sample_rate, seconds, bands
        self.window, self.hop, self.scale, self.form, self.keep = window, hop, scale, form, keep

    def fit(self, X: Any, y: Any = None) -> AudioPreparation:
        """Learn rate, length and the bands' means and deviations from training sounds.

        Raises
        ------
        InputError
            If a setting or a sound cannot be used.
        """
        rows = as_sounds(X)
        self._measure(rows)
        self._learn(self._made(rows))
        return self

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[np.float32]:
        """Learn from training sounds and return them prepared; each is read once."""
        return np.asarray(self._fit_rows(as_sounds(X), "memory", None))

    def fit_rows(
        self, rows: SoundRows, folder: str | os.PathLike[str] | None = None
    ) -> NDArray[np.float32] | PreparedRows:
        """Learn from training sounds; return them prepared: an array, or what fetches them from where they are kept.

        Parameters
        ----------
        rows : SoundRows
        folder : path-like, optional
            On whose disk spectra are kept, if on disk; by default that of temporary files.

        Raises
        ------
        InputError
            If a setting or a sound cannot be used, or the disk has no room.
        """
        return self._fit_rows(rows, self.keep, folder)

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return sounds as a contiguous float32 array (N, *layout_.shape); always finite.

        Raises
        ------
        InputError
            If a sound cannot be read; it is named.
        """
        check_is_fitted(self, "layout_")
        rows = as_sounds(X)
        return np.asarray(finished(kept(self._made(rows)), self._scaled, (len(rows), *self.layout_.shape)))

    @property
    def seconds_(self) -> float:
        """Length of a prepared sound: of longer ones so much of the middle is kept."""
        check_is_fitted(self, "layout_")
        return self._seconds

    @property
    def owners_(self) -> tuple[int, ...]:
        """Of which band each prepared channel tells, (bands + 1,); −1 for the mask. Pictures have none."""
        check_is_fitted(self, "layout_")
        return (*range(self.bands), -1) if self.form == "sequence" else ()

    def _layout(self) -> Layout:
        return Layout((self.steps_, self.bands + 1) if self.form == "sequence" else (1, self.bands, self.steps_))

    def _fit_rows(
        self, rows: SoundRows, keep: str, folder: str | os.PathLike[str] | None
    ) -> NDArray[np.float32] | PreparedRows:
        self._measure(rows)
        spectra = kept(self._made(rows), keep, folder)
        self._learn(spectra)
        return finished(spectra, self._scaled, (len(rows), *self.layout_.shape))

    def _measure(self, rows: SoundRows) -> None:
        """Learn rate and length from what the sounds' headers say."""
        for name, known in (("form", FORMS), ("scale", SCALES)):
            if getattr(self, name) not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}", f"{name}={getattr(self, name)!r}")
        check_keep(self.keep)
        clips = [rows.clip(place) for place in range(len(rows))]
        self.rate_ = _rate(self.sample_rate, [clip.rate for clip in clips])
        self._seconds = _seconds(self.seconds, [clip.seconds for clip in clips])
        self._spectra = LogMel(self.rate_, self.bands, self.window, self.hop)
        self.steps_ = self._spectra.steps(round(self._seconds * self.rate_))
        if self.steps_ > MOST_STEPS:
            got = f"{self.steps_} for {self._seconds:g} s"
            raise InputError(f"a sound must have at most {MOST_STEPS} spectra", got, "make seconds less or hop more")

    def _learn(self, spectra: StoredRows) -> None:
        """Learn the bands' means and deviations over all real steps."""
        moments = Moments(self.bands)
        for part in blocks(spectra.shape):
            block = spectra[part]
            moments.add(block[block[..., -1] > 0.5][:, : self.bands].astype(np.float64))
        std = moments.deviation.astype(np.float32)
        self._mean = moments.mean.astype(np.float32)
        self._std = np.where(std > 1e-2, std, np.float32(1.0))  # a band where nothing ever sounds
        self.layout_ = self._layout()

    def _made(self, rows: SoundRows) -> MadeRows:
        """Return spectra that are made as they are asked for, (N, T, bands + 1): 0 where there are none; the mask."""
        return MadeRows(lambda index: self._raw(rows[index]), (len(rows), self.steps_, self.bands + 1), np.float32)

    def _raw(self, rows: SoundRows) -> NDArray[np.float32]:
        found = np.zeros((len(rows), self.steps_, self.bands + 1), dtype=np.float32)
        most = round(self._seconds * self.rate_)
        for place in range(len(rows)):
            samples, rate = rows.samples(place, self._seconds)
            own = torch.from_numpy(np.ascontiguousarray(resampled(samples, rate, self.rate_)[:most]))
            own = own / own.square().mean().sqrt().clamp_min(1e-8)
            spectra = self._spectra(own)[: self.steps_].numpy()
            found[place, : len(spectra), :-1], found[place, : len(spectra), -1] = spectra, 1.0
        return found

    def _scaled(self, spectra: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return spectra with the mask (N, T, bands + 1) as the network takes them, (N, *layout_.shape)."""
        values, mask, mean = spectra[..., :-1], spectra[..., -1:], self._mean
        if self.scale == "per_clip":
            mean = (values * mask).sum(axis=1, keepdims=True) / mask.sum(axis=1, keepdims=True)
        scaled = (values - mean) / self._std * mask
        if self.form == "picture":
            return np.ascontiguousarray(scaled.transpose(0, 2, 1)[:, None])
        return np.ascontiguousarray(np.concatenate([scaled, mask], axis=2))

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return all that was learned as plain JSON data and named arrays; neither holds code."""
        check_is_fitted(self, "layout_")
        params = {k: v.item() if isinstance(v, np.generic) else v for k, v in self.get_params(deep=False).items()}
        state = {"version": VERSION, "params": params, "rate": self.rate_, "seconds": self._seconds}
        return state, {"mean": self._mean, "std": self._std}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> AudioPreparation:
        """Rebuild what ``to_state`` gave: its ``transform`` gives the same bits.

        Raises
        ------
        ModelFileError
            If the state is of another version, incomplete or contradicts itself.
        """
        if state.get("version") != VERSION:
            must = f"the preparation must have the format version {VERSION}"
            raise ModelFileError(must, f"version={state.get('version')!r}", "use the release of Glia that wrote it")
        made = cls(**state["params"])
        made.rate_, made._seconds = _rate(int(state["rate"]), []), _seconds(float(state["seconds"]), [])
        made._spectra = LogMel(made.rate_, made.bands, made.window, made.hop)
        made.steps_ = made._spectra.steps(round(made._seconds * made.rate_))
        made._mean, made._std = (np.asarray(arrays[name], dtype=np.float32) for name in ("mean", "std"))
        fits = made._mean.shape == made._std.shape == (made.bands,) and made.steps_ <= MOST_STEPS
        sound = np.isfinite(made._mean).all() and np.isfinite(made._std).all() and (made._std > 0).all()
        if not (fits and sound and made.form in FORMS and made.scale in SCALES):
            raise ModelFileError("the parts of a preparation must fit together", f"{made.bands} bands")
        made.layout_ = made._layout()
        return made


def _rate(wanted: Any, rates: list[int]) -> int:
    if wanted == "auto":
        counted = Counter(rates)
        return min(MOST_RATE, max(counted, key=lambda rate: (counted[rate], rate)))
    if isinstance(wanted, bool) or not isinstance(wanted, (int, np.integer)) or not 100 <= wanted <= 192_000:
        got = f"sample_rate={wanted!r}"
        raise InputError("sample_rate must be 'auto' or a whole number from 100 to 192,000", got)
    return int(wanted)


def _seconds(wanted: Any, seconds: list[float]) -> float:
    if wanted == "auto":
        return float(min(MOST_SECONDS, np.quantile(seconds, 0.9)))
    number = isinstance(wanted, (int, float, np.number)) and not isinstance(wanted, bool)
    if not number or not 0 < float(wanted) <= 3600:
        raise InputError("seconds must be 'auto' or a number above 0, at most 3600", f"seconds={wanted!r}")
    return float(wanted)
