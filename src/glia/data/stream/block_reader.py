"""Blocks of files as frames: in order during the one pass before training, and later in any order."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.data.stream.file_set import Block, FileSet
from glia.data.stream.scratch import Scratch, scratch

Ints = NDArray[np.int64]


class BlockReader:
    """The rows of files, block by block.

    Parameters
    ----------
    files : FileSet
    blocks : list of Block
        In the order of the files.
    together : int
        Most rows that are read at once where all are read in order; a block may have more.
    keep : {"auto", "disk", "none"}
        Whether blocks stay unpacked in a temporary file from the first time on that all are read in order, where they
        are parts of what is packed together. "auto" does if the disk has room for twice as much.

    Notes
    -----
    A part of a Parquet file's row group cannot be unpacked without its neighbours: 14,000 of a million rows of 17
    numbers took 14 ms, the whole group 107. Unpacked once, they take 0.5.
    """

    def __init__(self, files: FileSet, blocks: list[Block], together: int = 0, keep: str = "none") -> None:
        self.files, self.blocks, self.together, self.keep = files, blocks, together, keep
        self._unpacked: Scratch | None = None

    @property
    def unpacked(self) -> bool:
        """Whether all blocks lie in the temporary file."""
        return self._unpacked is not None and all(i in self._unpacked for i in range(len(self.blocks)))

    def in_order(self, columns: list[str]) -> Iterator[tuple[Block, pl.DataFrame, Ints]]:
        """Yield each block, its columns, and the numbers of its rows among all files' rows, (N,).

        Raises
        ------
        TypesChanged
            If text holds values of other types than were seen so far.
        InputError
            If a file is damaged.
        """
        packed = self.files.packed(self.blocks)
        if self._unpacked is None and packed:
            self._unpacked = scratch(sum(block.stretch[1] for block in self.blocks) * self.files.row_bytes, self.keep)
        number = 0
        for run in self._runs() if packed else ([block] for block in self.blocks):
            first, rows = run[0].stretch[0], sum(block.stretch[1] for block in run)
            frame, ids = self.files.read(Block(run[0].file, (first, rows), run[0].first), columns)
            for block in run:
                start = block.stretch[0] - first
                part = frame[start : start + block.stretch[1]]
                self._keep(number, part)
                yield block, part, ids[start : start + part.height]
                number += 1

    def read(self, number: int, columns: list[str]) -> tuple[pl.DataFrame, Ints]:
        """Return columns of one block, and the numbers of its rows: see ``in_order``."""
        block = self.blocks[number]
        frame = self._kept(number, columns)
        if frame is None:
            return self.files.read(block, columns)
        return frame, block.first + np.arange(frame.height)

    def _runs(self) -> Iterator[list[Block]]:
        """Yield the blocks in runs of neighbours of one file that are read together."""
        run: list[Block] = []
        for block in self.blocks:
            rows = sum(other.stretch[1] for other in run) + block.stretch[1]
            if run and (block.file != run[0].file or rows > self.together):
                yield run
                run = []
            run.append(block)
        yield run

    def _keep(self, number: int, frame: pl.DataFrame) -> None:
        if self._unpacked is not None and number not in self._unpacked:
            packed = io.BytesIO()
            frame.write_ipc_stream(packed, compression="uncompressed")
            self._unpacked.write(number, [packed.getbuffer()])

    def _kept(self, number: int, columns: list[str]) -> pl.DataFrame | None:
        """Return columns of a block from the temporary file, ``None`` where they are not in it."""
        if self._unpacked is None or number not in self._unpacked:
            return None
        data: Any = np.empty(self._unpacked.size(number), dtype=np.uint8)
        if not self._unpacked.read(number, [memoryview(data)]):
            return None
        try:
            return pl.read_ipc_stream(io.BytesIO(data), columns=columns)
        except pl.exceptions.ColumnNotFoundError:  # one that was left out when all were read
            return None
