"""Parquet and Arrow files: any stretch of rows, without the others."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import polars as pl

from glia.core.errors import InputError
from glia.data.stream.footer import row_groups

Stretch = tuple[int, int]
"""First row and number of rows."""


class ColumnarFile:
    """A Parquet or an Arrow file.

    Parameters
    ----------
    path : Path
    kind : {"Parquet", "Arrow"}

    Attributes
    ----------
    rows : int
    schema : dict
        Column → Polars type.

    Raises
    ------
    InputError
        If the file is not whole.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.path, self.kind = path, kind
        self._groups = [rows for rows, _ in row_groups(path)] if kind == "Parquet" else []
        try:
            self.schema = dict(self._scan().collect_schema())
            self.rows = sum(self._groups) if kind == "Parquet" else int(self._scan().select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise damaged(self, f"{str(error).splitlines()[0]}") from error

    def _scan(self) -> pl.LazyFrame:
        if self.kind == "Parquet":
            return pl.scan_parquet(self.path, glob=False, hive_partitioning=False)
        return pl.scan_ipc(self.path, glob=False, hive_partitioning=False)

    def stretches(self, most: int) -> list[Stretch]:
        """Return stretches of about ``most`` rows that follow one another: whole row groups where these are small.

        Of a larger group, a part costs unpacking whole pages of it: parts are not made smaller than they must be.
        """
        found: list[Stretch] = []
        start = waiting = 0
        for rows in self._groups or [self.rows]:
            if waiting and waiting + rows > most:
                found.append((start, waiting))
                start, waiting = start + waiting, 0
            waiting += rows
            if waiting > most:
                parts = -(-waiting // most)
                ends = [start + waiting * i // parts for i in range(parts + 1)]
                found += [(a, b - a) for a, b in pairwise(ends)]
                start, waiting = start + waiting, 0
        return [*found, (start, waiting)] if waiting else found

    def packs(self, most: int) -> bool:
        """Whether a row group has more rows than ``most``, so that stretches are parts of it."""
        return max(self._groups, default=0) > most

    def read(self, stretch: Stretch, schema: dict[str, pl.DataType], columns: list[str]) -> pl.DataFrame:
        """Return columns for the rows of a stretch, in the types of ``schema``.

        Raises
        ------
        InputError
            If the file is damaged there.
        """
        start, count = stretch
        query = self._scan().select(pl.col(name).cast(schema[name]) for name in columns)
        try:
            frame = query.slice(start, count).collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            where = f"rows {start + 1:,} to {start + count:,} cannot be read"
            raise damaged(self, f"{where}: {str(error).splitlines()[0]}") from error
        if frame.height != count:
            raise damaged(self, f"{frame.height:,} of the {count:,} rows from {start + 1:,} on")
        return frame


def damaged(file: ColumnarFile, why: str) -> InputError:
    """Return the error of a file that is not whole."""
    return InputError(f"a {file.kind} file must be whole", f"{str(file.path)!r}: {why}", "write or download it again")
