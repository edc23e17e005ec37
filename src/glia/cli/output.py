"""What the command line prints and writes: answers on stdout, tables that fit the terminal, frames by suffix."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glia.core.errors import InputError
from glia.core.files import atomic_path
from glia.core.results import Result, Table, jsonable

if TYPE_CHECKING:
    import polars as pl

WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    ".csv": lambda frame, path: frame.write_csv(path),
    ".tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    ".parquet": lambda frame, path: frame.write_parquet(path),
    ".arrow": lambda frame, path: frame.write_ipc(path),
    ".feather": lambda frame, path: frame.write_ipc(path),
    ".jsonl": lambda frame, path: frame.write_ndjson(path),
}


@dataclass(frozen=True)
class Terminal:
    """Where answers go.

    Parameters
    ----------
    quiet : bool
        Print nothing.
    json : bool
        Print one JSON object and nothing else.
    command : str
        What was typed.
    """

    quiet: bool = False
    json: bool = False
    command: str = "glia"

    def answer(self, result: Result) -> None:
        """Print a result: its sentence and its tables, or all of it as JSON."""
        self.report(result.to_dict(), result.summary(), result.tables())

    def report(self, data: dict[str, Any], sentence: str, tables: list[Table]) -> None:
        """Print ``data`` as JSON if that was asked for, else the sentence and the tables."""
        if self.json:
            print(json.dumps(jsonable(data), ensure_ascii=False, allow_nan=False))
        elif not self.quiet:
            print(sentence)
            for table in tables:
                print()
                show(table)


def check_suffix(path: str) -> None:
    """Check that frames can be written to ``path``, before any work is done.

    Raises
    ------
    InputError
        If its suffix is none of those that are known, or it is a folder.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        known = ", ".join(WRITERS)
        raise InputError(
            f"the output must end in one of {known}", repr(path), "choose one of these, e.g. predictions.parquet"
        )
    if Path(path).is_dir():
        raise InputError("the output must be a file", f"the folder {path!r}", "give a file name inside it")


def write_frame(frame: pl.DataFrame, path: str) -> None:
    """Write a frame atomically, in the format that the suffix names.

    Raises
    ------
    InputError
        If the suffix is unknown or the folder cannot be written to.
    """
    check_suffix(path)
    with atomic_path(path) as aside:
        WRITERS[Path(path).suffix.lower()](frame, aside)


def show(table: Table) -> None:
    """Print a table: with Rich on a terminal, as aligned text elsewhere or when ``NO_COLOR`` is set."""
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        _show_rich(table)
    else:
        print(plain(table))


def plain(table: Table) -> str:
    """Return a table as aligned text, numbers on the right."""
    rows = [table.columns, *([cell(value) for value in row] for row in table.rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.columns))]
    right = _numeric(table)
    lines = [
        "  ".join(text.rjust(w) if r else text.ljust(w) for text, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([table.title, *(f"  {line}" for line in lines)])


def cell(value: Any) -> str:
    """Return a value as a person reads it: four significant digits, nothing for ``None``, one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())


def _numeric(table: Table) -> list[bool]:
    def is_number(value: Any) -> bool:
        return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))

    columns = [[row[i] for row in table.rows] for i in range(len(table.columns))]
    return [bool(column) and all(is_number(value) for value in column) for column in columns]


def _show_rich(table: Table) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(
        title=Text(table.title), box=SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False
    )
    for column, right in zip(table.columns, _numeric(table), strict=True):
        drawn.add_column(Text(column), justify="right" if right else "left")
    for row in table.rows:
        drawn.add_row(*(Text(cell(value)) for value in row))  # as Text, or names in brackets would be taken for markup
    Console().print(drawn)
