"""Pictures to tensors: one size, the same channels, values scaled by what was seen in training."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from glia.core.errors import InputError, near
from glia.core.layout import Layout
from glia.data.images.rows import ImageRows, as_images
from glia.data.stream.prepared_rows import PreparedRows
from glia.data.stream.row_store import KEEPS, StoredRows

LONGEST, SHORTEST = 64, 8
"""Bounds of the longer and the shorter side where the size is "auto": time grows with the square of the size."""
LARGEST = 2048
"""Longest side that can be asked for."""
_SCALES = ("standard", "unit", "none")
_RESIZES = ("stretch", "crop", "pad")
_BLOCK = 1024


class ImagePreparation(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Brings pictures of any size and mode to one float32 tensor (N, C, H, W).

    Parameters
    ----------
    size : "auto", int or (int, int)
        Height and width; one number for squares. "auto" keeps the size that all training pictures share if their longer
        side is at most 64 pixels; else takes the median height and width, reduced to that.
    channels : "auto", 1 or 3
        Grey or colour; "auto" is grey where all training pictures are. Arrays with another number of channels keep it.
    scale : {"standard", "unit", "none"} or (sequence, sequence)
        "standard": each channel has mean 0 and deviation 1 over the training pictures; "unit": 0 to 1, by the largest
        possible value of whole numbers, else by the largest that was seen; "none": as they are. Or the
        mean and deviation of each channel, of values from 0 to 1, as the weights of a pretrained network want them.
    resize : {"stretch", "crop", "pad"}
        How pictures of other proportions are made to fit: stretched, cut to the middle, or with grey around.
    keep : {"auto", "memory", "disk", "none"}
        Where decoded training pictures are kept. "auto" is memory where they take no more than a quarter of it; else
        the disk, where it has room; else nowhere: they are decoded again in every epoch. The result is the same.

    Attributes
    ----------
    layout_ : Layout
        Of shape (C, H, W).
    mean_, deviation_ : ndarray (C,)
        What is subtracted and divided by, in the pictures' own units.
    whole_ : bool
        Whether training pictures held whole numbers 0 to 255, as files do.
    largest_ : float
        Largest absolute value among them.
    axis_ : str
        Where arrays with four axes had their channels.
    """

    def __init__(
        self,
        size: Any = "auto",
        channels: Any = "auto",
        scale: Any = "standard",
        resize: str = "stretch",
        keep: str = "auto",
    ) -> None:
        self.size, self.channels, self.scale, self.resize, self.keep = size, channels, scale, resize, keep

    def fit(self, X: Any, y: Any = None, *, folder: str | os.PathLike[str] | None = None) -> ImagePreparation:
        """Learn size, channels and scale from training pictures.

        Parameters
        ----------
        X : anything that ``as_images`` takes
            N ≥ 1 pictures.
        y : ignored
        folder : path-like, optional
            On whose disk pictures are kept, if on disk; by default that of temporary files.

        Raises
        ------
        InputError
            If a setting is wrong, or a picture cannot be read.
        """
        self._check()
        rows = as_images(X)
        self.axis_ = rows.axis
        if not len(rows):
            raise InputError("there must be pictures to learn from", "none")
        height, width = self._choose_size(rows)
        channels = self._choose_channels(rows)
        pixels = rows.pixels((height, width), channels, self.resize, self.keep, folder)
        self.layout_ = Layout((channels, height, width))
        self.whole_ = not rows.floating()
        mean, deviation, self.largest_ = _moments(pixels)
        if self.scale == "standard":
            self.mean_, self.deviation_ = mean, np.where(deviation > 1e-9 * max(self.largest_, 1e-30), deviation, 1.0)
        else:
            top = 1.0 if self.scale == "none" else 255.0 if self.whole_ else self.largest_ or 1.0
            self.mean_, self.deviation_ = np.zeros(channels), np.full(channels, top)
            if not isinstance(self.scale, str):
                if len(self.scale[0]) != channels:
                    got = f"scale={self.scale!r} for {channels}"
                    raise InputError("scale must have a mean and deviation for each channel", got, "set channels")
                self.mean_, self.deviation_ = (top * np.asarray(part, dtype=np.float64) for part in self.scale)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return pictures as the network takes them, (N, C, H, W).

        Raises
        ------
        InputError
            If one of them cannot be read, has other channels, or values of another kind than those of training.
        """
        rows = as_images(X, self.axis_)
        channels, height, width = self.layout_.shape
        pixels = rows.pixels((height, width), channels, self.resize)
        rows.forget()
        self._check_values(pixels)
        return self.scaled(pixels)

    def rows_of(self, X: ImageRows) -> NDArray[np.float32] | PreparedPictures:
        """Return the training pictures prepared, (N, C, H, W): an array, or what prepares them as they are asked for.

        To be called after ``fit`` with the very rows that it was called with: they are not decoded again.
        """
        channels, height, width = self.layout_.shape
        pixels = X.pixels((height, width), channels, self.resize)
        X.forget()
        return self.scaled(pixels) if isinstance(pixels, np.ndarray) else PreparedPictures(self, pixels)

    def scaled(self, pixels: StoredRows) -> NDArray[np.float32]:
        """Return pixels as the network takes them, float32 of the same shape."""
        found = np.empty(pixels.shape, dtype=np.float32)
        mean = self.mean_.astype(np.float32)[:, None, None]
        factor = (1.0 / self.deviation_).astype(np.float32)[:, None, None]
        for start in range(0, len(pixels), _BLOCK):
            part = slice(start, start + _BLOCK)
            np.subtract(pixels[part], mean, out=found[part])
            found[part] *= factor
        return found

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what was learned as JSON data and arrays."""
        size = list(self.size) if isinstance(self.size, (tuple, list)) else self.size
        scale = self.scale if isinstance(self.scale, str) else [[float(value) for value in part] for part in self.scale]
        data = {
            "settings": {
                "size": size, "channels": self.channels, "scale": scale, "resize": self.resize, "keep": self.keep,
            },
            "shape": list(self.layout_.shape), "whole": self.whole_, "largest": self.largest_, "axis": self.axis_,
        }  # fmt: skip
        return data, {"mean": self.mean_, "deviation": self.deviation_}

    @classmethod
    def from_state(cls, data: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> ImagePreparation:
        """Rebuild what ``to_state`` gave.

        Raises
        ------
        ValueError
            If parts do not go together.
        """
        settings = dict(data["settings"])
        settings["size"] = tuple(settings["size"]) if isinstance(settings["size"], list) else settings["size"]
        scale = settings["scale"]
        settings["scale"] = scale if isinstance(scale, str) else tuple(tuple(part) for part in scale)
        made = cls(**settings)
        made._check()
        shape = tuple(int(side) for side in data["shape"])
        if len(shape) != 3 or min(shape) < 1 or max(shape) > LARGEST:
            raise ValueError(f"pictures of shape {shape}")
        made.layout_, made.whole_, made.largest_ = Layout(shape), bool(data["whole"]), float(data["largest"])
        made.axis_ = str(data["axis"])
        made.mean_, made.deviation_ = (np.asarray(arrays[name], dtype=np.float64) for name in ("mean", "deviation"))
        for values in (made.mean_, made.deviation_):
            if values.shape != (shape[0],) or not np.isfinite(values).all():
                raise ValueError(f"{shape[0]} channels must have finite means and deviations")
        if not (made.deviation_ > 0).all():
            raise ValueError("deviations must be above 0")
        return made

    def _check(self) -> None:
        sides = self.size if isinstance(self.size, (tuple, list)) else (self.size,)
        good = self.size == "auto" or (
            len(sides) in (1, 2) and all(isinstance(s, (int, np.integer)) and 1 <= s <= LARGEST for s in sides)
        )
        if not good:
            must = f"size must be 'auto', a side or (height, width), 1 to {LARGEST} pixels"
            raise InputError(must, f"size={self.size!r}", "for instance size=32")
        if not (self.channels == "auto" or self.channels in (1, 3)):
            raise InputError("channels must be 'auto', 1 or 3", f"channels={self.channels!r}")
        named = {"resize": _RESIZES, "keep": KEEPS, **({"scale": _SCALES} if isinstance(self.scale, str) else {})}
        for name, known in named.items():
            value = getattr(self, name)
            if value not in known:
                raise InputError(
                    f"{name} must be one of {', '.join(known)}", f"{name}={value!r}", near(str(value), known)
                )
        if not isinstance(self.scale, str):
            self._check_scale()

    def _check_scale(self) -> None:
        try:
            mean, deviation = (np.asarray(part, dtype=np.float64) for part in self.scale)
            good = mean.ndim == 1 and mean.shape == deviation.shape and bool(np.isfinite([mean, deviation]).all())
            good = good and bool((deviation > 0).all())
        except (TypeError, ValueError):
            good = False
        if not good:
            must = f"scale must be one of {', '.join(_SCALES)}, or means and deviations of the channels"
            raise InputError(must, f"scale={self.scale!r}", "for instance ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))")

    def _choose_size(self, rows: ImageRows) -> tuple[int, int]:
        if self.size != "auto":
            sides = self.size if isinstance(self.size, (tuple, list)) else (self.size, self.size)
            return int(sides[0]), int(sides[-1])
        sizes = rows.sizes()
        if (sizes == sizes[0]).all() and sizes[0].min() >= SHORTEST and sizes[0].max() <= LONGEST:
            return int(sizes[0, 0]), int(sizes[0, 1])
        if rows.stacked and sizes[0].max() <= LONGEST:
            return int(sizes[0, 0]), int(sizes[0, 1])
        middle = np.median(sizes, axis=0)
        factor = min(1.0, LONGEST / float(middle.max()))
        height, width = (int(min(LONGEST, max(SHORTEST, 4 * round(side * factor / 4)))) for side in middle)
        return height, width

    def _choose_channels(self, rows: ImageRows) -> int:
        if self.channels != "auto":
            return int(self.channels)
        found = rows.channels()
        return found[0] if len(found) == 1 else 3

    def _check_values(self, pixels: StoredRows) -> None:
        """Refuse pictures on another scale: a model of 0 to 255 would take 0 to 1 for pictures that are all black."""
        if self.scale == "none" or not len(pixels):
            return
        if self.whole_ and pixels.dtype != np.uint8:
            values = pixels[:]
            largest = float(np.abs(values).max())
            if 0 < largest <= 1 and bool((values != np.rint(values)).any()):
                got = f"fractions up to {largest:.3g}, where whole numbers 0 to 255 were fitted"
                raise InputError("pictures must be on the scale that was fitted", got, "multiply them by 255")
        elif not self.whole_ and pixels.dtype == np.uint8 and self.largest_ <= 1 and pixels[:].max() > 1:
            got = f"whole numbers up to {pixels[:].max()}, where values up to {self.largest_:.3g} were fitted"
            raise InputError("pictures must be on the scale that was fitted", got, "divide them by 255")


class PreparedPictures(PreparedRows):
    """Training pictures that are prepared as they are asked for.

    Parameters
    ----------
    preparation : ImagePreparation
        Fitted.
    pixels : StoredRows
        N pictures.
    beside : ndarray (N, D), optional
        Prepared columns: rows are then flat, the pixels first. There may be several pictures for each row, P: first
        those of the first column of all rows, and so on.

    Attributes
    ----------
    shape : tuple of int
        (N, C, H, W), or (N, P·C·H·W + D).
    """

    def __init__(
        self, preparation: ImagePreparation, pixels: StoredRows, beside: NDArray[np.float32] | None = None
    ) -> None:
        shape = pixels.shape
        if beside is not None:
            each = len(pixels) // max(len(beside), 1)
            shape = (len(beside), each * math.prod(pixels.shape[1:]) + beside.shape[1])
        super().__init__(pixels, preparation.scaled, shape)
        self.beside = beside

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        """Return the prepared pictures of a slice or of an array of row numbers."""
        if self.beside is None:
            return super().__getitem__(index)
        where = np.arange(len(self))[index]
        found = self.finish(self.stored[every_picture(where, len(self), len(self.stored))])
        return side_by_side(found, self.beside[index])


def every_picture(where: NDArray[Any], rows: int, pictures: int) -> NDArray[Any]:
    """Return where the P pictures of n of N rows are, column after column, (P·n,), in a list of P·N."""
    starts = np.arange(0, pictures, max(rows, 1))
    return np.asarray((starts[:, None] + where).reshape(-1))


def side_by_side(pictures: NDArray[np.float32], beside: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return flat rows (n, P·C·H·W + D) of pictures (P·n, C, H, W), column after column, and columns (n, D)."""
    count, pixels = len(beside), math.prod(pictures.shape[1:])
    each = len(pictures) // max(count, 1)
    found = np.empty((count, each * pixels + beside.shape[1]), dtype=np.float32)
    for place in range(each):
        part = pictures[place * count : (place + 1) * count]
        found[:, place * pixels : (place + 1) * pixels] = part.reshape(count, pixels)
    found[:, each * pixels :] = beside
    return found


def _moments(pixels: StoredRows) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return mean and deviation of every channel and the largest absolute value, block by block in float64.

    Deviations come from distances to the mean, since a difference of large sums would lose the digits.
    """
    count = pixels.shape[0] * pixels.shape[2] * pixels.shape[3]
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(pixels), _BLOCK)]
    mean = np.asarray(sum(pixels[part].sum(axis=(0, 2, 3), dtype=np.float64) for part in blocks) / count)
    away = np.zeros_like(mean)
    largest = 0.0
    for part in blocks:
        one = pixels[part].astype(np.float64)
        largest = max(largest, float(np.abs(one).max()))
        away += np.square(one - mean[:, None, None]).sum(axis=(0, 2, 3))
    return mean, np.sqrt(away / count), largest
