"""Rows that stay on disk: the noun ``Stream``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.hardware import memory_bytes
from glia.data.schema import Schema, check_role
from glia.data.stream.block_reader import BlockReader
from glia.data.stream.file_set import FileSet
from glia.data.stream.kept_blocks import KEEPS
from glia.data.stream.memory import DEFAULT, Budget, parse_size, show_size
from glia.data.stream.prepared_rows import check_keep
from glia.data.stream.shuffle import BLOCKS, POOLS
from glia.data.stream.statistics import StreamStatistics
from glia.data.stream.survey import Parts, Survey, survey
from glia.data.table import Table

_FEWEST, _MOST = 2048, 65_536
_POOL_BLOCKS = 32
_WORKING_COPIES = 4


class Stream:
    """A table on disk that is read piece by piece.

    Parameters
    ----------
    source : str, Path, or list of these
        A Parquet, Arrow or CSV file, a folder of them, or a pattern such as ``"logs/*.parquet"``.
    target : str or sequence of str, optional
        Column or columns to be predicted. Rows in which one of them is missing are left out.
    roles : mapping of str to str, optional
        Column → role, instead of the inferred one.
    drop : sequence of str
        Columns that are not read.
    weight : str, optional
        Column of row weights.
    memory : int or str
        What rows may take of the memory, such as ``"500MB"``; the program itself comes on top, about 400 MB with torch.
    parts : Parts, optional
        How many rows are kept in memory as sample, validation and test part; fewer where ``memory`` does not allow it.
    keep : {"auto", "disk", "none"}
        Whether rows stay in temporary files: unpacked from the pass over all of them on, where they are parts of large
        row groups, and prepared from a fit's first epoch on, where it has several, of which the later ones then cost a
        fraction. "auto" does if the disk has room for twice as much.
    limit : int, optional
        Use only so many rows from the beginning (rounded up to a block).
    random_state : int
        Seed of the parts.

    Raises
    ------
    InputError
        If the files cannot be streamed; the message says what to do.

    Notes
    -----
    Opening looks at the files' footers, or of CSV files at all bytes once. ``statistics``, ``schema``, ``sample``,
    ``valid`` and ``test`` need a pass over all rows, which is taken once. Every row has a random number of its own, so
    that these parts do not depend on the size of blocks.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        target: str | Sequence[str] | None = None,
        roles: Mapping[str, str] | None = None,
        drop: Sequence[str] = (),
        weight: str | None = None,
        memory: int | str = DEFAULT,
        parts: Parts | None = None,
        keep: str = "auto",
        limit: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.files = FileSet(source)
        self.targets = () if target is None else (target,) if isinstance(target, str) else tuple(target)
        self.roles = {name: check_role(role, name) for name, role in (roles or {}).items()}
        for name in self.roles:
            self.files.require(name, "roles")
        if weight is not None:
            self.files.require(weight, "weight")
            self.roles[weight] = "weight"
        for name in self.targets:
            self.files.require(name, "target")
        self.weight = weight or next((name for name, role in self.roles.items() if role == "weight"), None)
        self.drop = (drop,) if isinstance(drop, str) else tuple(drop)
        self.budget = Budget(parse_size(memory))
        self.random_state = random_state
        check_keep(keep, KEEPS)
        self.keep = keep
        kept = int(self.budget.kept / (1.5 * max(1, self.files.row_bytes)))  # a sample holds half as much again
        self.parts = (parts or Parts()).within(kept)
        self._limit(limit)
        self._survey: Survey | None = None

    def _limit(self, limit: int | None) -> None:
        if limit is not None and limit < 1:
            raise InputError("limit must be at least 1", f"limit={limit}", "leave it out to use all rows")
        rows = len(self.files) if limit is None else min(limit, len(self.files))
        blocks = self.files.blocks(self._block_rows(rows))
        self.blocks = [block for block in blocks if block.first < rows]
        together = self.budget.together // max(1, self.files.row_bytes)
        self._reader = BlockReader(self.files, self.blocks, together, self.keep)

    def _block_rows(self, rows: int) -> int:
        """Return a size of blocks that lets pools hold enough of them to stand for the whole."""
        width = 4 * len(self.files.schema)
        by_pool = self.budget.pool_rows(width) // _POOL_BLOCKS
        by_memory = self.budget.block // max(1, self.files.row_bytes)
        by_rows = rows // (POOLS * BLOCKS)
        return max(1, min(max(_FEWEST, min(by_pool, by_rows, _MOST)), by_memory))

    @property
    def name(self) -> str:
        """What to call it: the file's name, or the folder's where there are several."""
        paths = self.files.paths
        if len(paths) == 1:
            return paths[0].stem
        return Path(os.path.commonpath(paths)).name or "stream"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(self.files.schema)

    def survey(self) -> Survey:
        """Read all rows once, at the first call: statistics, and the rows that stay in memory."""
        if self._survey is None:
            self._survey = survey(
                self._reader,
                targets=self.targets,
                roles=self.roles,
                drop=self.drop,
                parts=self.parts,
                seed=self.random_state,
                name=self.name,
            )
        return self._survey

    @property
    def statistics(self) -> StreamStatistics:
        """Counts, moments, extremes and categories of every column, from all rows."""
        return self.survey().statistics

    @property
    def schema(self) -> Schema:
        """Roles of the columns, learned from the sample, with counts from all rows."""
        return self.survey().table.schema

    @property
    def sample(self) -> Table:
        """The training rows that stay in memory: those from which roles and preparation are learned."""
        return self._part("train")

    @property
    def valid(self) -> Table:
        """The rows for early stopping and calibration."""
        return self._part("valid")

    @property
    def test(self) -> Table:
        """The rows that no fit has seen."""
        return self._part("test")

    def _part(self, name: str) -> Table:
        found = self.survey()
        return found.table.take(getattr(found.split, name))

    def read(self, block: int, columns: Sequence[str]) -> tuple[pl.DataFrame, NDArray[np.int64]]:
        """Return columns of one block, and the numbers of its rows, (N,)."""
        return self._reader.read(block, list(columns))

    @property
    def unpacked(self) -> bool:
        """Whether rows lie unpacked in a temporary file since the survey."""
        return self._reader.unpacked

    def with_target(self, target: str | Sequence[str]) -> Stream:
        """Return the same stream with another target; statistics are gathered anew."""
        other = object.__new__(Stream)
        other.__dict__.update(self.__dict__)
        other.targets = (target,) if isinstance(target, str) else tuple(target)
        for name in other.targets:
            self.files.require(name, "target")
        other._survey = self._survey if other.targets == self.targets else None
        return other

    def __len__(self) -> int:
        return sum(block.stretch[1] for block in self.blocks)

    def __repr__(self) -> str:
        files = self.files
        many = f"{len(files.paths)} {files.kind} files" if len(files.paths) > 1 else f"{files.kind} file"
        target = "".join(f", target {name!r}" for name in self.targets)
        return (
            f"Stream {self.name!r}: {len(self):,} rows × {len(self.columns)} columns{target} "
            f"({many}, {show_size(files.size)}; {len(self.blocks):,} blocks, {show_size(self.budget.total)} for rows)"
        )


def must_stream(source: Any, share: float = 0.5) -> bool:
    """Whether a table would not fit into memory: it is a folder, a pattern or a list, or a file that is too large.

    Parameters
    ----------
    source : Any
        What was handed in as data; only paths are ever streamed.
    share : float
        Of the machine's memory, what the rows and their copies may take, in (0, 1].
    """
    if isinstance(source, (list, tuple)):
        return bool(source) and all(isinstance(one, (str, os.PathLike)) for one in source)
    if not isinstance(source, (str, os.PathLike)):
        return False
    path = Path(os.path.expanduser(source))
    if not path.is_file():
        return path.is_dir() or (not path.exists() and "*" in path.name)
    limit = memory_bytes()
    if limit is None or path.stat().st_size * _WORKING_COPIES * 4 < limit * share:
        return False  # however well it is packed
    try:
        files = FileSet(path)
    except InputError:
        return False  # whatever is wrong with it, reading it says so
    return len(files) * files.row_bytes * _WORKING_COPIES > limit * share
