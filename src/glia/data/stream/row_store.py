"""Rows of one shape that memory need not hold: made once, to disk, or whenever they are asked for."""

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
from glia.data.stream.memory import show_size

KEEPS = ("auto", "memory", "disk", "none")
_SHARE = 0.25
"""Of the machine's memory, what the rows of a fit may take."""
_MOST, _BLOCK_VALUES = 256, 1 << 22
_LARGE = "/var/tmp"


class StoredRows(Protocol):
    """Rows of one shape, (N, *shape); an array is one, too."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *shape)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Return the rows of a slice or of an array of row numbers, (n, *shape)."""


class MappedRows:
    """Rows of an array on disk; pages that were read do not stay.

    Parameters
    ----------
    array : ndarray (M, *shape)
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
        """Return a single row, (*shape), as a view."""
        return np.asarray(self.array[self.where[place]])

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Return the rows of a slice or of an array of row numbers."""
        return gather(self.array, self.where[index])


class MadeRows:
    """Rows that are made whenever they are asked for.

    Parameters
    ----------
    make : callable
        Row numbers (n,) → rows (n, *shape).
    shape : tuple of int
        (N, *shape).
    dtype : numpy type
    """

    def __init__(self, make: Callable[[NDArray[Any]], NDArray[Any]], shape: tuple[int, ...], dtype: Any) -> None:
        self.make, self.shape, self.dtype = make, shape, np.dtype(dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Return the rows of a slice or of an array of row numbers."""
        return self.make(np.arange(len(self))[index])


def blocks(shape: tuple[int, ...]) -> list[slice]:
    """Return slices of at most 256 rows and 16 MB of float32 that cover rows of a shape (N, *shape), in order.

    They hang on the shape alone: what is gathered block by block is the same to the bit, wherever rows are kept.
    """
    step = max(1, min(_MOST, _BLOCK_VALUES // max(math.prod(shape[1:]), 1)))
    return [slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step)]


def kept(rows: MadeRows, keep: str = "memory", folder: str | os.PathLike[str] | None = None) -> StoredRows:
    """Return rows where they are to be kept, made once block by block; an array if that is memory.

    Parameters
    ----------
    rows : MadeRows
    keep : {"auto", "memory", "disk", "none"}
        See ``place_for``.
    folder : path-like, optional
        On whose disk.

    Raises
    ------
    InputError
        If a row cannot be made, or the disk has no room.
    """
    place = place_for(rows.shape, rows.dtype.itemsize, keep, folder)
    if place == "memory":
        found = np.empty(rows.shape, dtype=rows.dtype)
        for part in blocks(rows.shape):
            found[part] = rows[part]
        return found
    return on_disk(rows, folder) if place == "disk" else rows


def on_disk(rows: StoredRows, folder: str | os.PathLike[str] | None = None) -> MappedRows:
    """Make all rows once, into a file that has no name and is gone with the process, however that ends.

    Parameters
    ----------
    rows : StoredRows
    folder : path-like, optional
        On whose disk it lies; by default that of temporary files.

    Raises
    ------
    InputError
        If a row cannot be made, or the disk has no room.
    """
    place = temporary_folder(folder)
    with tempfile.TemporaryFile(dir=place, buffering=0) as file:
        for part in blocks(rows.shape) if math.prod(rows.shape) else ():
            _write(np.ascontiguousarray(rows[part]), file, rows, place)
        return MappedRows(np.memmap(file, dtype=rows.dtype, mode="r", shape=rows.shape))


def _write(part: NDArray[Any], file: Any, rows: StoredRows, place: Path) -> None:
    try:
        left = part.data.cast("B")
        while len(left):  # ndarray.tofile, and a file with a buffer, can lose the end without a word on a full disk
            left = left[file.write(left) :]
    except OSError as error:
        must = f"the disk of {str(place)!r} must hold {show_size(_bytes(rows.shape, rows.dtype.itemsize))} of rows"
        raise InputError(must, str(error), "make room, or set keep='none'") from error


def place_for(
    shape: tuple[int, ...], itemsize: int, keep: str = "auto", folder: str | os.PathLike[str] | None = None
) -> str:
    """Return where rows are kept: "memory", "disk", or "none" where they are made again every time.

    Reading rows from disk is several times as fast as making them again: disk is chosen if it has room for twice as
    much.

    Parameters
    ----------
    shape : tuple of int
        (N, *shape).
    itemsize : int
        Bytes of a value as it is kept; it then becomes a float32.
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
    return "disk" if shutil.disk_usage(temporary_folder(folder)).free >= 2 * _bytes(shape, itemsize) else "none"


def temporary_folder(folder: str | os.PathLike[str] | None) -> Path:
    """Return an existing folder: the one that is named, what it is to lie in, or that of large temporary files.

    That is ``TMPDIR``, else /var/tmp: on many systems /tmp lies in memory, which is what these files are to spare.
    """
    usual = _LARGE if "TMPDIR" not in os.environ and os.access(_LARGE, os.W_OK) else tempfile.gettempdir()
    place = Path(usual if folder is None else folder)
    while not place.is_dir() and place != place.parent:
        place = place.parent
    return place


def _bytes(shape: tuple[int, ...], itemsize: int) -> int:
    return math.prod(shape) * itemsize
