"""Blocks that are read and prepared once: whenever they are wanted again, they come from a file of their own."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from glia.data.stream.prepared_rows import check_keep
from glia.data.stream.scratch import Scratch, bytes_of, scratch
from glia.data.stream.shuffle import Arrays, Blocks, Ints

KEEPS = ("auto", "disk", "none")


class KeptBlocks:
    """Blocks as others, of which each is asked for once and then kept on disk.

    Parameters
    ----------
    blocks : Blocks
        All their arrays are of the same dtypes and shapes but for the rows.
    place : Scratch
        Where they are kept.

    Notes
    -----
    Unpacking and preparing a row of a Parquet file costs several times as much as reading it prepared.
    """

    ready = True

    def __init__(self, blocks: Blocks, place: Scratch) -> None:
        self.blocks, self.place = blocks, place
        self._forms: list[tuple[np.dtype[Any], tuple[int, ...]]] = []

    @property
    def counts(self) -> Ints:
        """Rows of each block."""
        return self.blocks.counts

    def fingerprint(self) -> str:
        """Return what the blocks themselves do: where they are kept changes nothing."""
        return str(self.blocks.fingerprint())  # type: ignore[attr-defined]  # those of a fit have one

    def read(self, block: int) -> Arrays:
        """Return the rows of a block."""
        if block in self.place:
            rows = int(self.counts[block])
            found = tuple(np.empty((rows, *shape), dtype) for dtype, shape in self._forms)
            if self.place.read(block, [bytes_of(array) for array in found]):
                return found
        arrays = self.blocks.read(block)
        self._forms = self._forms or [(array.dtype, array.shape[1:]) for array in arrays]
        self.place.write(block, [bytes_of(np.ascontiguousarray(array)) for array in arrays])
        return arrays


def keep_blocks(
    blocks: Blocks, row_bytes: int, keep: str = "auto", folder: str | os.PathLike[str] | None = None
) -> Blocks:
    """Return blocks that are kept on disk once they were read, where that is wanted.

    Parameters
    ----------
    blocks : Blocks
    row_bytes : int
        Of a row's arrays.
    keep : {"auto", "disk", "none"}
        "auto" keeps them if the disk has room for twice as much.
    folder : path-like, optional
        Of the disk.

    Raises
    ------
    InputError
        If ``keep`` is another word, or "disk" where no file can be made.
    """
    check_keep(keep, KEEPS)
    place = scratch(row_bytes * math.fsum(blocks.counts), keep, folder)
    return blocks if place is None else KeptBlocks(blocks, place)
