"""Blocks that are read and prepared once: whenever they are wanted again, they come from a file of their own."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import weakref
from typing import IO, Any

import numpy as np

from glia.core.errors import InputError
from glia.data.stream.prepared_rows import check_keep
from glia.data.stream.row_store import temporary_folder
from glia.data.stream.shuffle import Arrays, Blocks, Ints

KEEPS = ("auto", "disk", "none")


class KeptBlocks:
    """Blocks as others, of which each is asked for once and then kept on disk.

    Parameters
    ----------
    blocks : Blocks
        All their arrays are of the same dtypes and shapes but for the rows.
    folder : path-like, optional
        On whose disk the file lies; by default that of temporary files.

    Notes
    -----
    Unpacking and preparing a row of a Parquet file costs several times as much as reading it prepared. The file has no
    name and is gone with the process, however that ends. Where the disk has no more room, what is kept stays in use and
    further blocks are read as before.
    """

    def __init__(self, blocks: Blocks, folder: str | os.PathLike[str] | None = None) -> None:
        self.blocks = blocks
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=temporary_folder(folder), buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._forms: list[tuple[np.dtype[Any], tuple[int, ...]]] = []
        self._places: dict[int, int] = {}
        self._end: int | None = 0

    @property
    def counts(self) -> Ints:
        """Rows of each block."""
        return self.blocks.counts

    def fingerprint(self) -> str:
        """Return what the blocks themselves do: where they are kept changes nothing."""
        return str(self.blocks.fingerprint())  # type: ignore[attr-defined]  # those of a fit have one

    def read(self, block: int) -> Arrays:
        """Return the rows of a block."""
        kept = self._kept(block) if block in self._places else None
        if kept is not None:
            return kept
        if block in self._places:  # the disk lost something: nothing in the file is relied on any more
            self._places, self._end = {}, None
        arrays = self.blocks.read(block)
        self._keep(block, arrays)
        return arrays

    def _keep(self, block: int, arrays: Arrays) -> None:
        if self._end is None:
            return
        self._forms = self._forms or [(array.dtype, array.shape[1:]) for array in arrays]
        end = self._end
        try:
            self._file.seek(end)
            for array in arrays:
                left = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
                end += len(left)
                while len(left):  # a file without a buffer may take a part
                    left = left[self._file.write(left) :]
        except OSError:
            self._end = None  # no room: the blocks themselves are still there
            return
        self._places[block], self._end = self._end, end

    def _kept(self, block: int) -> Arrays | None:
        """Return the rows of a block from the file, ``None`` if it ends before them."""
        rows = int(self.counts[block])
        self._file.seek(self._places[block])
        found = tuple(np.empty((rows, *shape), dtype) for dtype, shape in self._forms)
        for array in found:
            left = array.reshape(-1).view(np.uint8).data
            while len(left):
                got = self._file.readinto(left)  # type: ignore[attr-defined]  # a file without a buffer has it
                if not got:
                    return None
                left = left[got:]
        return found


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
    if keep == "none":
        return blocks
    try:
        room = shutil.disk_usage(temporary_folder(folder)).free >= 2 * row_bytes * math.fsum(blocks.counts)
        return KeptBlocks(blocks, folder) if room or keep == "disk" else blocks
    except OSError as error:
        if keep == "auto":
            return blocks
        must = "keep='disk' needs a folder of temporary files that can be written to"
        raise InputError(must, str(error), "set TMPDIR, or keep='none'") from error
