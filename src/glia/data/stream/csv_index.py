"""Where the rows of a delimited text file begin: one pass over its bytes, so that any stretch can be read alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.data.read_sniff import Dialect

STEP = 512
"""Rows between two places that are remembered."""
_PIECE = 1 << 22
_LONGEST = 1 << 26
Ints = NDArray[np.int64]


def index_rows(path: Path, dialect: Dialect) -> tuple[Ints, int]:
    """Return the byte at which every 512th row begins, and after them the file's length; and the number of rows.

    A line end between quotation marks belongs to a field. Marks are counted for that: an even number before a line end
    means that it ends a row, for a mark inside of a quoted field is written twice.

    Raises
    ------
    InputError
        If a row does not end within 64 MB: most likely a quotation mark is not closed.
    """
    size = path.stat().st_size
    places: list[Ints] = []
    rows = int(not dialect.header)  # the header's line end begins row 0; without a header, row 0 begins with the file
    start = 3 if dialect.encoding == "utf-8-sig" else 0
    if rows:
        places.append(np.array([start], dtype=np.int64))
    last = 0
    for ends in _row_ends(path, ord(dialect.newline)):
        if not len(ends):
            continue
        last = int(ends[-1])
        numbers = rows + np.arange(len(ends))
        places.append(ends[numbers % STEP == 0])
        rows += len(ends)
    if last == size:
        rows -= 1  # nothing comes after the last line end
        if rows % STEP == 0 and places and len(places[-1]):
            places[-1] = places[-1][:-1]
    return np.concatenate([*places, np.array([size], dtype=np.int64)]), max(rows, 0)


def _row_ends(path: Path, newline: int) -> Iterator[Ints]:
    """Yield the places after line ends that end rows, piece by piece."""
    inside = np.uint8(0)
    start = last = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            data = np.frombuffer(piece, np.uint8)
            if b'"' in piece:
                quoted = np.bitwise_xor.accumulate((data == 34).view(np.uint8)) ^ inside
                ends = np.flatnonzero((data == newline) & (quoted == 0))
                inside = quoted[-1]
            else:
                ends = np.zeros(0, dtype=np.int64) if inside else np.flatnonzero(data == newline)
            if len(ends):
                last = start + int(ends[-1]) + 1
            start += len(piece)
            if start - last > _LONGEST:
                raise InputError(
                    "a text file must be a table",
                    f"{str(path)!r}, in which no row ends after byte {last:,}",
                    "correct it: most likely a quotation mark is not closed",
                )
            yield ends + (start - len(piece) + 1)
