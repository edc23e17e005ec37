"""A file without a name for pieces of data: each is written once and read whenever it is wanted again."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from typing import IO, Any

from glia.core.errors import InputError
from glia.data.stream.row_store import temporary_folder


class Scratch:
    """Pieces of data on disk, by number.

    Parameters
    ----------
    folder : path-like, optional
        On whose disk the file lies; by default that of temporary files.

    Raises
    ------
    OSError
        If no file can be made there.

    Notes
    -----
    The file is gone with the process, however that ends. Where the disk has no more room, what was written stays in
    use and further pieces are passed over; where it has lost something, nothing in it is relied on any more.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=temporary_folder(folder), buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._places: dict[int, tuple[int, int]] = {}
        self._end: int | None = 0

    def __contains__(self, number: int) -> bool:
        return number in self._places

    def write(self, number: int, parts: Sequence[memoryview]) -> None:
        """Write a piece: bytes that follow one another."""
        if self._end is None:
            return
        start = end = self._end
        try:
            self._file.seek(start)
            for left in parts:
                end += len(left)
                while len(left):  # a file without a buffer may take a part
                    left = left[self._file.write(left) :]
        except OSError:
            self._end = None  # no room
            return
        self._places[number], self._end = (start, end - start), end

    def size(self, number: int) -> int:
        """Return how many bytes a piece has."""
        return self._places[number][1]

    def read(self, number: int, parts: Sequence[memoryview]) -> bool:
        """Fill memory with the beginning of a piece; ``False`` if the file ends before that."""
        self._file.seek(self._places[number][0])
        for left in parts:
            while len(left):
                got = self._file.readinto(left)  # type: ignore[attr-defined]  # a file without a buffer has it
                if not got:
                    self._places, self._end = {}, None
                    return False
                left = left[got:]
        return True


def scratch(size: float, keep: str = "auto", folder: str | os.PathLike[str] | None = None) -> Scratch | None:
    """Return a file for about ``size`` bytes where that is wanted, else ``None``.

    Parameters
    ----------
    size : float
    keep : {"auto", "disk", "none"}
        "auto" wants it if the disk has room for twice as much.
    folder : path-like, optional
        Of the disk.

    Raises
    ------
    InputError
        If "disk" is asked for and no file can be made.
    """
    if keep == "none":
        return None
    try:
        room = shutil.disk_usage(temporary_folder(folder)).free >= 2 * size
        return Scratch(folder) if room or keep == "disk" else None
    except OSError as error:
        if keep == "auto":
            return None
        must = "keep='disk' needs a folder of temporary files that can be written to"
        raise InputError(must, str(error), "set TMPDIR, or keep='none'") from error


def bytes_of(array: Any) -> memoryview:
    """Return the memory of a contiguous array."""
    return memoryview(array.reshape(-1).view("uint8"))
