"""Pixels of more pictures than memory holds, by row number: decoded once, to disk, or whenever they are asked for."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.hardware import memory_bytes
from glia.data.stream.mapped import gather

KEEPS = ("auto", "memory", "disk", "none")
_SHARE = 0.25
"""Of the machine's memory, what the pictures of a fit may take."""
_BLOCK = 512


class Pixels(Protocol):
    """Pictures of one size, (N, C, H, W); an array is one, too."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 or float32."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Return the pictures of a slice or of an array of row numbers, (n, C, H, W)."""


class MappedPixels:
    """Rows of an array on disk; pages that were read do not stay.

    Parameters
    ----------
    array : ndarray (M, C, H, W)
        A memory map.
    where : ndarray of int (N,), optional
        The rows in use; all by default.
    """

    def __init__(self, array: NDArray[Any], where: NDArray[Any] | None = None) -> None:
        self.array = array
        self.where = np.arange(len(array)) if where is None else np.asarray(where)
        self.shape: tuple[int, ...] = (len(self.where), *array.shape[1:])
        self.dtype = array.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (np.asarray(self.array[row]) for row in self.where)

    def one(self, place: int) -> NDArray[Any]:
        """Return a single picture, (C, H, W), as a view."""
        return np.asarray(self.array[self.where[place]])

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Return the pictures of a slice or of an array of row numbers."""
        return gather(self.array, self.where[index])


class DecodedPixels:
    """Pictures that are decoded whenever they are asked for.

    Parameters
    ----------
    decode : callable
        Row numbers (n,) → their pixels (n, C, H, W).
    shape : tuple of int
        (N, C, H, W).
    dtype : numpy type
    """

    def __init__(self, decode: Callable[[NDArray[Any]], NDArray[Any]], shape: tuple[int, ...], dtype: Any) -> None:
        self.decode, self.shape, self.dtype = decode, shape, np.dtype(dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Return the pictures of a slice or of an array of row numbers."""
        return self.decode(np.arange(len(self))[index])


def on_disk(pixels: DecodedPixels, folder: str | os.PathLike[str] | None = None) -> MappedPixels:
    """Decode all pictures once into a file that has no name and is gone with the process, however that ends.

    Parameters
    ----------
    pixels : DecodedPixels
    folder : path-like, optional
        On whose disk it lies; by default that of temporary files.

    Raises
    ------
    InputError
        If the disk has no room.
    """
    place = _folder(folder)
    with tempfile.TemporaryFile(dir=place) as file:
        try:
            for start in range(0, len(pixels), _BLOCK):
                np.ascontiguousarray(pixels[start : start + _BLOCK]).tofile(file)
            file.flush()
        except OSError as error:
            need = f"{_bytes(pixels.shape, pixels.dtype.itemsize) / 1e9:.3g} GB"
            raise InputError(f"the disk of {str(place)!r} must hold {need}", str(error), "set keep='none'") from error
        return MappedPixels(np.memmap(file, dtype=pixels.dtype, mode="r", shape=pixels.shape))


def place_for(
    shape: tuple[int, ...], itemsize: int, keep: str = "auto", folder: str | os.PathLike[str] | None = None
) -> str:
    """Return where decoded pictures are kept: "memory", "disk", or "none" where they are decoded again every time.

    Reading decoded pictures from disk is several times as fast as decoding them again: disk is chosen if it has room
    for twice as much.

    Parameters
    ----------
    shape : tuple of int
        (N, C, H, W).
    itemsize : int
        Bytes of a value as it is decoded.
    keep : {"auto", "memory", "disk", "none"}
        What was asked for.
    folder : path-like, optional
        Of the disk.
    """
    if keep != "auto":
        return keep
    limit = memory_bytes()
    if limit is None or _bytes(shape, 4 + itemsize) <= limit * _SHARE:
        return "memory"
    return "disk" if shutil.disk_usage(_folder(folder)).free >= 2 * _bytes(shape, itemsize) else "none"


def _folder(folder: str | os.PathLike[str] | None) -> Path:
    """Return an existing folder: the one that is named, what it is to lie in, or that of temporary files."""
    place = Path(tempfile.gettempdir() if folder is None else folder)
    while not place.is_dir() and place != place.parent:
        place = place.parent
    return place


def _bytes(shape: tuple[int, ...], itemsize: int) -> int:
    return math.prod(shape) * itemsize
