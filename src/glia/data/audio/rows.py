"""N sounds as rows, from wherever they come: arrays, files, folders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.data.audio.folder import AudioFolder
from glia.data.audio.wav import Clip, Samples, look_at_wav, mono, read_wav
from glia.data.stream.mapped import copied, is_mapped


class SoundRows:
    """N sounds that are read when their samples are asked for.

    Parameters
    ----------
    items : sequence
        One path or array (T,) of float32 each; those of a memory map are of any kind.
    rate : int, optional
        Samples per second of the arrays.
    names : sequence of str, optional
        What to call them in messages.

    Attributes
    ----------
    shape : tuple of int
        ``(N,)``: rows, as other kinds of rows tell them.
    """

    def __init__(self, items: Sequence[Any], rate: int | None = None, names: Sequence[str] | None = None) -> None:
        self.items, self.rate, self.names = items, rate, names
        self.shape = (len(items),)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> SoundRows:
        """Return the sounds at ``index``, an array of row numbers or a slice."""
        where = np.arange(len(self))[index]
        names = None if self.names is None else [self.names[i] for i in where]
        return SoundRows([self.items[i] for i in where], self.rate, names)

    def name(self, place: int) -> str:
        """Return what to call a sound."""
        return f"sound {place}" if self.names is None else self.names[place]

    def clip(self, place: int) -> Clip:
        """Return what a sound is: its rate, length and channels."""
        item = self.items[place]
        return Clip(self._rate(), len(item), 1) if isinstance(item, np.ndarray) else look_at_wav(item)

    def samples(self, place: int, seconds: float | None = None) -> tuple[Samples, int]:
        """Return the samples of a sound, (T,), at most so many seconds from the middle, and their rate."""
        item = self.items[place]
        if not isinstance(item, np.ndarray):
            return read_wav(item, seconds)
        rate = self._rate()
        kept = len(item) if seconds is None else min(len(item), max(1, int(np.ceil(seconds * rate))))
        start = (len(item) - kept) // 2
        part = item[start : start + kept]
        return (mono(copied(part), self.name(place)) if is_mapped(item) else part), rate

    def identity(self) -> pl.DataFrame:
        """Return one column in which equal sounds, and only those, have equal values."""
        return pl.DataFrame({"sound": [_digest(item) for item in self.items]})

    def _rate(self) -> int:
        if self.rate is None:
            raise InputError("arrays of samples need their rate", "sample_rate=None", "set sample_rate, e.g. to 16000")
        return self.rate


def as_sounds(X: Any, rate: int | None = None) -> SoundRows:
    """Return sounds as rows.

    Parameters
    ----------
    X : array (N, T), list, frame, folder or SoundRows
        Samples; a list of arrays (T,) or (T, channels), or of paths; an ``AudioFolder``; one column of paths.
    rate : int, optional
        Samples per second of arrays.

    Raises
    ------
    InputError
        If it is none of these, or a sound has no sample.
    """
    if isinstance(X, SoundRows):
        return X
    if isinstance(X, AudioFolder):
        return SoundRows(X.paths, names=X.names)
    if isinstance(X, (pl.Series, pl.DataFrame)):
        X = X.to_series() if isinstance(X, pl.DataFrame) and X.width == 1 else X
        X = X.to_list() if isinstance(X, pl.Series) else X
    if isinstance(X, np.ndarray) and X.dtype.kind in "iuf":
        if X.ndim != 2:
            raise InputError("an array of sounds must be (N, T)", f"shape {X.shape}", "one sound alone is X[None]")
        X = list(X)
    if not isinstance(X, (list, tuple, np.ndarray)):
        must = "sounds must be a folder, a list of paths, or arrays of samples"
        raise InputError(must, type(X).__name__, "hand in the name of a folder")
    if not len(X):
        raise InputError("there must be rows", "0 sample(s) while a minimum of 1 is required")
    rows = SoundRows([_item(one, place) for place, one in enumerate(X)], rate)
    if any(isinstance(item, np.ndarray) for item in rows.items):
        rows._rate()
    if all(isinstance(item, str) for item in rows.items):
        rows.names = [str(item) for item in rows.items]
    return rows


def _item(one: Any, place: int) -> str | NDArray[Any]:
    if isinstance(one, (str, Path)):
        return os.fspath(one)
    array = np.asarray(one.detach().cpu().numpy() if hasattr(one, "detach") else one)
    if array.dtype.kind not in "iuf" or array.ndim not in (1, 2) or not array.size:
        got = f"sound {place} of shape {array.shape} and type {array.dtype}"
        raise InputError("a sound must be a path or an array (T,) or (T, channels) of numbers", got)
    if is_mapped(array):  # which stays on disk until it is asked for
        return array
    return mono(array, f"sound {place}")


def _digest(item: Any) -> str:
    content = np.ascontiguousarray(item).tobytes() if isinstance(item, np.ndarray) else Path(item).read_bytes()
    return hashlib.blake2b(content, digest_size=16).hexdigest()
