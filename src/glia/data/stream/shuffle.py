"""The shuffle buffer: pools of blocks from everywhere in the files, each pool in random order.

A stream is read in blocks of neighbouring rows. Every pool takes one block at random out of each stretch of the files,
so that its rows stand for the whole however they are sorted on disk, and puts its rows in random order. Which block is
where, and how many rows every pool has, is known before anything is read: leaving out the first batches costs nothing.
"""

from __future__ import annotations

import math
import mmap
import threading
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng

Ints = NDArray[np.int64]
Arrays = tuple[NDArray[Any], ...]
POOLS, BLOCKS = 6, 12
"""A pass has so many pools where each has so many blocks at least: training waits until the first one is full."""


class Blocks(Protocol):
    """Rows in pieces that can be read in any order.

    Those that cost little beside what is done with them may say so: ``ready``.
    """

    @property
    def counts(self) -> Ints:
        """Rows of each block, (M,)."""

    def read(self, block: int) -> Arrays:
        """Return the rows of a block: arrays of ``counts[block]`` rows each, always of the same number and dtypes."""


def plan_pools(counts: Ints, capacity: int, seed: int, number: int) -> list[Ints]:
    """Divide blocks into pools of at most ``capacity`` rows (or one block each, where a block is larger than that).

    Parameters
    ----------
    counts : ndarray of int (M,)
        Rows of each block, in the order of the files.
    capacity : int
        Most rows of a pool.
    seed, number : int
        The random stream, and the epoch.

    Returns
    -------
    list of ndarray
        The blocks of each pool, in the order of the pools; together every block that has rows, once.
    """
    filled = np.flatnonzero(counts)
    if not len(filled):
        return []
    each = max(1, capacity // int(counts.max()))
    pools = max(-(-len(filled) // each), min(POOLS, len(filled) // BLOCKS), 1)
    rng = numpy_rng(seed, "pools", number)
    places = np.concatenate([rng.permutation(pools) for _ in range(0, len(filled), pools)])[: len(filled)]
    # Of the last stretch, which may be short, random pools get one block each. Sorting is stable: pools are in order.
    order = np.argsort(places, kind="stable")
    bounds = np.searchsorted(places[order], np.arange(1, pools))
    return [filled[part] for part in np.split(order, bounds) if len(part)]


def room(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an empty array in memory that goes back to the system as soon as the array is gone.

    Memory of the C library would stay with the process, and in pieces, where large blocks come and go on two threads.
    """
    size = math.prod(shape)
    return np.frombuffer(mmap.mmap(-1, max(1, size * dtype.itemsize)), dtype, size).reshape(shape)


def fill_pool(blocks: Blocks, chosen: Ints, rng: np.random.Generator, stop: threading.Event) -> Arrays | None:
    """Return the rows of the chosen blocks in random order; ``None`` when told to stop before all were read.

    Rows go to their final places one block at a time: besides the pool no more than one block is held.
    """
    total = int(blocks.counts[chosen].sum())
    places = rng.permutation(total)
    pool: Arrays = ()
    start = 0
    for block in chosen:
        if stop.is_set():
            return None
        piece = blocks.read(int(block))
        pool = pool or tuple(room((total, *array.shape[1:]), array.dtype) for array in piece)
        rows = places[start : start + len(piece[0])]
        for target, array in zip(pool, piece, strict=True):
            target[rows] = array
        start += len(rows)
    return pool


def pools(
    blocks: Blocks, capacity: int, seed: int, number: int, skip: int = 0, stop: threading.Event | None = None
) -> Iterator[Arrays]:
    """Yield the rows of epoch ``number`` pool by pool, the first ``skip`` rows left out.

    Pools that are left out whole are not read.
    """
    stop = stop or threading.Event()
    for place, chosen in enumerate(plan_pools(blocks.counts, capacity, seed, number)):
        rows = int(blocks.counts[chosen].sum())
        if skip >= rows:
            skip -= rows
            continue
        pool = fill_pool(blocks, chosen, numpy_rng(seed, "pool", number, place), stop)
        if pool is None:
            return
        yield tuple(array[skip:] for array in pool) if skip else pool
        del pool
        skip = 0


def cut(pieces: Iterator[Arrays], size: int, total: int) -> Iterator[Arrays]:
    """Cut ``total`` rows that come in pieces into batches of ``size``; those inside of a piece are views.

    A lone last row is left out, as in memory: see ``glia.engine.rows.epoch_order``.
    """
    left = total - 1 if total > size > 1 and total % size == 1 else total
    rest: list[Arrays] = []
    waiting = 0
    for piece in pieces:
        start = 0
        while start < len(piece[0]) and left:
            stop = min(len(piece[0]), start + min(size, left) - waiting)
            part = tuple(array[start:stop] for array in piece)
            start, waiting = stop, waiting + len(part[0])
            if waiting < min(size, left):
                rest.append(tuple(array.copy() for array in part))  # a view would keep the whole piece in memory
                continue
            left -= waiting
            yield tuple(np.concatenate(arrays) for arrays in zip(*rest, part, strict=True)) if rest else part
            rest, waiting = [], 0
        del piece
