"""The files of a stream as one table: common columns and types, and blocks that can be read in any order."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.counts import counted
from glia.core.errors import InputError, near
from glia.data.stream.columnar import ColumnarFile, Stretch
from glia.data.stream.csv_file import CsvFile, TypesChanged, common
from glia.data.stream.files import find_files, kind_of

_SHOWN, _LOOK = 5, 512
_NARROW = {"Int8": 1, "UInt8": 1, "Int16": 2, "UInt16": 2, "Int32": 4, "UInt32": 4, "Float32": 4, "Date": 4}


class Block(NamedTuple):
    """A stretch of rows of one file; ``first`` is the number of its first row among all files' rows."""

    file: int
    stretch: Stretch
    first: int


class FileSet:
    """Files of one kind with the same columns.

    Parameters
    ----------
    source : path, folder, pattern or list of these
        See ``find_files``.

    Attributes
    ----------
    schema : dict
        Column → Polars type, in the order of the first file; numbers of different types are widened.

    Raises
    ------
    InputError
        If there are no files, their kinds or columns differ, or one is damaged.
    """

    def __init__(self, source: Any) -> None:
        self.paths: tuple[Path, ...] = find_files(source)
        kinds = {path: kind_of(path) for path in self.paths}
        self.kind = kinds[self.paths[0]]
        other = next((path for path, kind in kinds.items() if kind != self.kind), None)
        if other is not None:
            got = f"{str(self.paths[0])!r} ({self.kind}) and {str(other)!r} ({kinds[other]})"
            raise InputError("all files of a stream must be of one kind", got, "keep each kind in a folder of its own")
        self.files: list[ColumnarFile | CsvFile] = [
            CsvFile(path) if self.kind == "CSV" else ColumnarFile(path, self.kind) for path in self.paths
        ]
        self.offsets = np.concatenate([[0], np.cumsum([file.rows for file in self.files])]).astype(np.int64)
        self.schema = self._common_schema()
        if not len(self):
            raise InputError(
                "a stream must have rows", f"none in {counted(len(self.files), 'file')}", "hand in files with rows"
            )

    def __len__(self) -> int:
        return int(self.offsets[-1])

    @property
    def size(self) -> int:
        """Bytes of all files on disk."""
        return sum(path.stat().st_size for path in self.paths)

    @cached_property
    def row_bytes(self) -> int:
        """Bytes that a row takes in memory, as the first 512 rows do; by its types where these cannot be read."""
        by_type = sum(_width(dtype) for dtype in self.schema.values())
        rows = min(_LOOK, self.files[0].rows)
        try:
            frame = self.files[0].read((0, rows), self.schema, list(self.schema))
        except (InputError, TypesChanged):  # what is wrong comes out when all rows are read
            return by_type
        return max(by_type, int(frame.estimated_size()) // max(1, frame.height))

    def blocks(self, most: int) -> list[Block]:
        """Return all rows in blocks of about ``most`` rows, in the order of the files."""
        return [
            Block(i, stretch, int(self.offsets[i]) + stretch[0])
            for i, file in enumerate(self.files)
            for stretch in file.stretches(most)
        ]

    def packed(self, blocks: list[Block]) -> bool:
        """Whether blocks are parts of what is packed together, so that reading one costs more than its rows."""
        most = max((block.stretch[1] for block in blocks), default=0)
        return any(isinstance(file, ColumnarFile) and file.packs(most) for file in self.files)

    def read(self, block: Block, columns: list[str]) -> tuple[pl.DataFrame, NDArray[np.int64]]:
        """Return the columns of the rows of a block, and the rows' numbers among all files' rows, (N,).

        Raises
        ------
        TypesChanged
            If text holds values of other types than were seen so far.
        InputError
            If the file is damaged there.
        """
        frame = self.files[block.file].read(block.stretch, self.schema, columns)
        return frame, block.first + np.arange(frame.height)

    def widen(self, schema: dict[str, pl.DataType]) -> None:
        """Take wider types for some columns."""
        self.schema = {name: schema.get(name, dtype) for name, dtype in self.schema.items()}

    def require(self, name: str, noun: str) -> None:
        """Raise an InputError unless there is a column of that name; the nearest is offered."""
        if name not in self.schema:
            raise InputError(f"{noun} must be a column of the stream", f"{noun}={name!r}", near(name, self.schema))

    def place(self, row: int) -> str:
        """Return where a row stands, for people: the file and the row in it, counted from 1."""
        file = int(np.searchsorted(self.offsets, row, side="right")) - 1
        return f"row {row - int(self.offsets[file]) + 1:,} of {str(self.paths[file])!r}"

    def _common_schema(self) -> dict[str, pl.DataType]:
        first = self.files[0]
        found = dict(first.schema)
        for file in self.files[1:]:
            lacking = [name for name in first.schema if name not in file.schema]
            further = [name for name in file.schema if name not in first.schema]
            if lacking or further:
                parts = [f"without {_shown(lacking)}"] * bool(lacking) + [f"with {_shown(further)}"] * bool(further)
                raise InputError(
                    "all files of a stream must have the same columns",
                    f"{str(file.path)!r} {' and '.join(parts)}, unlike {str(first.path)!r}",
                    "write them alike, or leave files out",
                )
            for name, dtype in file.schema.items():
                found[name] = self._one_type(name, found[name], dtype, file.path)
        return found

    def _one_type(self, name: str, one: pl.DataType, other: pl.DataType, path: Path) -> pl.DataType:
        numbers = one.is_numeric() and other.is_numeric()
        if one == other or numbers or pl.Null in (one, other) or self.kind == "CSV":
            return common(one, other)
        raise InputError(
            "a column must be of one type in all files of a stream",
            f"{name!r}: {one} in {str(self.paths[0])!r}, {other} in {str(path)!r}",
            "write the files alike, or leave the column out of them",
        )


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more


def _width(dtype: pl.DataType) -> int:
    if dtype.is_numeric() or dtype.is_temporal():
        return _NARROW.get(str(dtype), 8)
    return 1 if dtype == pl.Boolean else 24
