"""WAV files by SciPy: PCM of 8 to 32 bits and floating point; broken ones say what is wrong."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile
from scipy.signal import resample_poly

from glia.core.errors import InputError
from glia.core.quiet import quietly

Samples = NDArray[np.float32]
MOST_BYTES = 1 << 28
"""Of a file whose samples cannot be mapped (24 bits): larger ones are refused, for all of it must be in memory."""
_FEWEST, _HIGHEST = 100, 768_000
_LIMIT = 0.9
"""Share of full scale from which on sounds may have been cut off."""
_UNKNOWN = 0x7FFF_0000
"""Lengths from here on are those of recorders that did not know it yet."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What a sound is, without its samples.

    Parameters
    ----------
    rate : int
        Samples per second.
    frames : int
        Samples of each channel.
    channels : int
    truncated : bool
        Whether the file ends before its header says.
    """

    rate: int
    frames: int
    channels: int
    truncated: bool = False

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.frames / self.rate


def look_at_wav(path: str | os.PathLike[str]) -> Clip:
    """Return what a file holds; its samples are not read.

    Raises
    ------
    InputError
        If it is no WAV file, damaged, empty or of a coding that is not understood.
    """
    rate, data = _opened(path)
    return Clip(rate, data.shape[0], data.shape[1], _is_truncated(Path(path)))


@dataclass(frozen=True)
class Level:
    """How loud a sound is and how it is stored.

    Parameters
    ----------
    clip : Clip
    coding : str
        "8 bits", "16 bits", "24 or 32 bits", "floating point".
    peak : float
        Greatest distance of a sample from the mean of its channel, as a share of full scale.
    clipped : float
        Share of samples that stay on the greatest or least value, three or more in a row.
    """

    clip: Clip
    coding: str
    peak: float
    clipped: float


def level_of(path: str | os.PathLike[str]) -> Level:
    """Return how loud a sound is and how it is stored; all of its samples are read.

    Raises
    ------
    InputError
        As ``read_wav``.
    """
    rate, data = _opened(path)
    clip = Clip(rate, data.shape[0], data.shape[1], _is_truncated(Path(path)))
    codings = {"u1": "8 bits", "i2": "16 bits", "i4": "24 or 32 bits"}
    coding = codings.get(data.dtype.str[1:], "floating point" if data.dtype.kind == "f" else str(data.dtype))
    peak, held = 0.0, 0
    for channel in range(clip.channels):
        values = mono(np.asarray(data[:, channel]), Path(path).name)
        peak = max(peak, float(np.abs(values - values.mean(dtype=np.float64)).max()))
        # A swing that was cut off stays on one value; one that just reaches the limit does not.
        held += sum(_held(values == end) for end in (values.min(), values.max()) if abs(end) >= _LIMIT)
    return Level(clip, coding, peak, held / data.size)


def _held(there: NDArray[np.bool_]) -> int:
    """Return how many are true with at least two true neighbours in a row."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return int(runs[runs >= 3].sum())


def _is_truncated(file: Path) -> bool:
    """Tell whether a chunk of a RIFF file is said to reach beyond the file's end."""
    size, place = file.stat().st_size, 12
    with open(file, "rb") as opened:
        head = opened.read(12)
        if head[:4] != b"RIFF":  # RF64 keeps its sizes elsewhere
            return False
        while place + 8 <= size:
            opened.seek(place)
            name, length = opened.read(4), int.from_bytes(opened.read(4), "little")
            if name == b"data":
                return place + 8 + length > size and length < _UNKNOWN
            place += 8 + length + length % 2
    return True


def read_wav(path: str | os.PathLike[str], seconds: float | None = None) -> tuple[Samples, int]:
    """Return the mean of a file's channels, (T,) within [-1, 1] for PCM, and its samples per second.

    Parameters
    ----------
    path : path-like
    seconds : float, optional
        Of longer files, only so much from the middle is read.

    Raises
    ------
    InputError
        If it is no WAV file, damaged, empty, of a coding that is not understood, or holds a value that is not finite.
    """
    rate, data = _opened(path)
    frames = len(data) if seconds is None else min(len(data), max(1, math.ceil(seconds * rate)))
    start = (len(data) - frames) // 2
    return mono(np.asarray(data[start : start + frames]), Path(path).name), rate


def mono(data: NDArray[Any], name: str = "a sound") -> Samples:
    """Return samples (T,) or (T, channels) as one channel of float32; whole numbers by their range to [-1, 1].

    Raises
    ------
    InputError
        If a value is not finite.
    """
    kind = data.dtype
    if kind == np.uint8:
        values = (data.astype(np.float32) - 128.0) / 128.0
    elif kind.kind == "i":
        values = data.astype(np.float32) / float(-int(np.iinfo(kind).min))
    else:
        with np.errstate(over="ignore"):
            values = data.astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError("samples must be finite", f"NaN or infinity in {name}", "leave it out")
    return values.mean(axis=1, dtype=np.float32) if values.ndim == 2 else values


def resampled(samples: Samples, rate: int, to: int) -> Samples:
    """Return samples (T,) at another rate, (⌈T·to/rate⌉,); frequencies that it cannot hold are taken out before."""
    if rate == to:
        return samples
    common = math.gcd(rate, to)
    found = resample_poly(samples.astype(np.float64), to // common, rate // common)
    return np.asarray(found, dtype=np.float32)


def _opened(path: str | os.PathLike[str]) -> tuple[int, NDArray[Any]]:
    """Return the rate and the samples (T, channels), mapped where that can be."""
    file = Path(path)
    try:
        size = file.stat().st_size
    except OSError as error:
        raise InputError("a sound must be a file", f"{file.name}: {error.strerror or error}") from error
    if size == 0:
        raise InputError("a sound must be a WAV file", f"{file.name}: no bytes")
    with open(file, "rb") as opened:
        head = opened.read(12)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64") or head[8:12] != b"WAVE":
        raise InputError(
            "a sound must be a WAV file", f"{file.name}: no RIFF/WAVE header", "convert it, e.g. by ffmpeg"
        )
    try:
        rate, data = _by_scipy(file, size)
    except InputError:
        raise
    except Exception as error:  # SciPy raises whatever the damaged bytes led to
        said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError("a WAV file must be whole, PCM or floating point", f"{file.name}: {said}") from error
    if not _FEWEST <= rate <= _HIGHEST:
        raise InputError(f"a sound must have {_FEWEST} to {_HIGHEST} samples a second", f"{file.name}: {rate}")
    data = data[:, None] if data.ndim == 1 else data
    if not data.size:
        raise InputError("a sound must have samples", f"{file.name}: none")
    return int(rate), data


def _by_scipy(file: Path, size: int) -> tuple[int, NDArray[Any]]:
    with quietly(wavfile.WavFileWarning):  # notes and other chunks that are not sound
        try:
            found: tuple[int, NDArray[Any]] = wavfile.read(file, mmap=True)
        except ValueError as error:
            if "mmap" not in str(error):
                raise
            if size > MOST_BYTES:
                got = f"{file.name}: {size >> 20} MiB"
                must = f"a WAV file of 24 bits must be smaller than {MOST_BYTES >> 20} MiB"
                raise InputError(must, got, "convert it to 16 bits, or cut it") from error
            found = wavfile.read(file)
    return found
