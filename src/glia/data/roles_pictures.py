"""Columns that hold paths of pictures: told by the names and by whether the files are there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from glia.core.source_kinds import is_picture_name

SHARE = 0.95
"""Least share of values that must be names of pictures."""
_LOOKED, _TRIED = 200, 20


def picture_names(values: Sequence[str]) -> bool:
    """Tell whether words are names of picture files, by their ends."""
    return bool(values) and sum(is_picture_name(value.strip()) for value in values) >= SHARE * len(values)


def are_there(values: Sequence[str]) -> bool:
    """Tell whether some of the first files exist."""
    return any(Path(value.strip()).is_file() for value in values[:_TRIED])


def with_places(frame: pl.DataFrame, folder: str | os.PathLike[str], named: Sequence[str] = ()) -> pl.DataFrame:
    """Return a table whose paths of pictures can be opened from here.

    Parameters
    ----------
    frame : polars.DataFrame
        As it was read.
    folder : path-like
        Where the table lies: relative paths begin there.
    named : sequence of str
        Columns that hold paths of pictures; others are found by the names of the files, and count if these exist.

    Returns
    -------
    polars.DataFrame
        Relative paths in these columns begin with ``folder``; all else is as it was.
    """
    root, found = Path(folder), []
    for name, dtype in frame.schema.items():
        if dtype != pl.String:
            continue
        values = [value for value in frame[name].drop_nulls().head(_LOOKED).to_list() if value.strip()]
        asked = name in named
        if asked or (picture_names(values) and are_there([str(root / value.strip()) for value in values[:_TRIED]])):
            found.append(name)
    columns = [
        pl.Series(
            name, [None if value is None or not value.strip() else str(root / value.strip()) for value in frame[name]]
        )
        for name in found
    ]
    return frame.with_columns(columns) if columns else frame
