"""Arrays on disk: blocks of neighbouring rows of memory maps, whose pages do not stay."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.hardware import memory_bytes

Ints = NDArray[np.int64]
BLOCK_BYTES = 2**18
"""Bytes of a block: large enough that reading costs more than seeking, small enough that a pool holds many."""
_COPY_BYTES = 16  # a value as float64, as it is prepared, and as float32, twice: in order and shuffled
_FEWEST = 64
"""Blocks that there are at least, where there are as many rows: they are what is shuffled between pools."""


def is_mapped(array: Any) -> bool:
    """Whether an array's rows are on disk: a ``np.memmap`` or a view of one."""
    return isinstance(array, np.ndarray) and _mapping(array) is not None


def must_map(array: Any, share: float = 0.5) -> bool:
    """Whether rows on disk would not fit into memory with the copies that a fit makes of them.

    Parameters
    ----------
    array : Any
        What was handed in as rows; only memory maps are ever read piece by piece.
    share : float
        Of the machine's memory, what they may take, in (0, 1].
    """
    limit = memory_bytes()
    return is_mapped(array) and limit is not None and array.size * _COPY_BYTES > limit * share


def open_array(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Map an ``.npy`` file without reading it.

    Raises
    ------
    InputError
        If it is none, or holds Python objects, which would run code when read.
    """
    try:
        return np.asanyarray(np.load(Path(path), mmap_mode="r", allow_pickle=False))
    except (ValueError, OSError, EOFError) as error:
        raise InputError(
            "an array on disk must be a whole .npy file of numbers",
            f"{str(path)!r}: {error}",
            "write it with numpy.save",
        ) from error


class MappedBlocks:
    """Rows of arrays of equal length, in blocks.

    Parameters
    ----------
    arrays : sequence of ndarray (N, …)
        Memory maps, or arrays in memory.
    without : ndarray of int (H,), optional
        Rows that are left out, increasing.
    block_bytes : int
        Size of a block.

    Attributes
    ----------
    counts : ndarray of int (M,)
        Rows of each block.

    Notes
    -----
    Pages of the maps that were read are given back at once: the system keeps them as long as it has room, but they do
    not count as this program's memory.
    """

    def __init__(
        self, *arrays: NDArray[Any], without: NDArray[Any] | None = None, block_bytes: int = BLOCK_BYTES
    ) -> None:
        self.arrays = arrays
        total = len(arrays[0])
        if any(len(array) != total for array in arrays):
            raise InputError("arrays must have equally many rows", f"{[len(array) for array in arrays]}")
        self.without = np.zeros(0, dtype=np.int64) if without is None else np.asarray(without, dtype=np.int64)
        width = sum(array.dtype.itemsize * int(np.prod(array.shape[1:])) for array in arrays)
        step = max(1, min(block_bytes // max(1, width), -(-total // _FEWEST)))
        self.bounds: Ints = np.append(np.arange(0, total, step), total).astype(np.int64)
        self._lost = np.searchsorted(self.without, self.bounds)
        self.counts: Ints = (np.diff(self.bounds) - np.diff(self._lost)).astype(np.int64)
        self._maps = [found for array in arrays if (found := _mapping(array)) is not None]

    def read(self, block: int) -> tuple[NDArray[Any], ...]:
        """Return copies of the rows of a block."""
        start, stop = int(self.bounds[block]), int(self.bounds[block + 1])
        lost = self.without[self._lost[block] : self._lost[block + 1]] - start
        found = tuple(np.array(array[start:stop]) for array in self.arrays)
        release(self._maps)
        return tuple(np.delete(array, lost, axis=0) for array in found) if len(lost) else found

    def sample(self, size: int, rng: np.random.Generator) -> Ints:
        """Return the numbers of at most ``size`` of the rows in use, drawn at random, increasing."""
        total = int(self.bounds[-1])
        drawn = rng.choice(total, min(total, size + len(self.without)), replace=False)
        kept = np.setdiff1d(drawn, self.without)
        return np.sort(rng.permutation(kept)[:size]).astype(np.int64)


def gather(array: NDArray[Any], rows: Ints) -> NDArray[Any]:
    """Return copies of single rows of an array, giving its pages back every few thousand rows."""
    found = np.empty((len(rows), *array.shape[1:]), dtype=array.dtype)
    mapping = _mapping(array)
    for start in range(0, len(rows), 4096):
        found[start : start + 4096] = array[rows[start : start + 4096]]
        release([mapping] if mapping is not None else [])
    return found


def copied(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy of an array, giving its pages back where it is on disk."""
    found, mapping = np.array(array), _mapping(array)
    release([] if mapping is None else [mapping])
    return found


def release(maps: list[mmap.mmap]) -> None:
    """Give the pages of memory maps back to the system."""
    for mapping in maps:
        if hasattr(mapping, "madvise") and not mapping.closed:  # not on Windows, where the system does it by itself
            mapping.madvise(mmap.MADV_DONTNEED)


def _mapping(array: Any) -> mmap.mmap | None:
    while isinstance(array, np.ndarray):
        array = array.base
    return array if isinstance(array, mmap.mmap) else None
