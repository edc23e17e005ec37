"""The way in: a file or a frame becomes a table with roles."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from glia.core.errors import InputError
from glia.data.findings import arrange
from glia.data.frames import nan_to_null, to_frame
from glia.data.read_files import read_file
from glia.data.roles import learn_schema, plain_schema
from glia.data.roles_pictures import with_places
from glia.data.schema import Finding
from glia.data.table import Table


def read(
    source: Any,
    *,
    target: str | Sequence[str] | None = None,
    roles: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    limit: int | None = None,
    infer: bool = True,
) -> Table:
    """Read a table and find out what its columns are for.

    Parameters
    ----------
    source : str, Path, frame, array, list or Table
        A file: CSV, TSV and other delimited text (also ``.gz``), Parquet, Arrow, Feather, JSON lines; its kind is found
        from its content. Or rows in memory: everything that ``to_frame`` takes.
    target : str or sequence of str, optional
        Column or columns to be predicted. Rows in which one of them is missing are left out.
    roles : mapping of str to str, optional
        Column → role, instead of the inferred one.
    drop : sequence of str
        Columns to leave out.
    limit : int, optional
        Largest number of rows to read.
    infer : bool
        Whether to infer roles and to look for what is wrong. Without it, types alone decide: for rows that go to
        ``unify`` with the schema of a model.

    Notes
    -----
    Paths of pictures in a file's columns are relative to the file's folder.

    Returns
    -------
    Table

    Raises
    ------
    InputError
        If the source cannot be read, or does not hold what the arguments name; the message says what to do.
    """
    if limit is not None and limit < 1:
        raise InputError("limit must be at least 1", f"limit={limit}", "leave it out to read all rows")
    frame, name, notes = _load(source, limit)
    if isinstance(source, (str, os.PathLike)):
        asked = [column for column, role in (roles or {}).items() if role == "image"]
        frame = with_places(frame, Path(source).parent, asked)
    if not infer:
        return Table(nan_to_null(frame), plain_schema(frame, target=target, roles=roles, drop=drop), name)
    frame, schema = learn_schema(frame, target=target, roles=roles, drop=drop)
    table = Table(frame, replace(schema, warnings=arrange([*notes, *schema.warnings])), name)
    return _with_target(table)


def _load(source: Any, limit: int | None) -> tuple[pl.DataFrame, str, list[Finding]]:
    if isinstance(source, (str, os.PathLike)):
        frame, notes = read_file(Path(source), limit)
        name = Path(source).name.removesuffix(".gz")
        return frame, name.rpartition(".")[0] or name, notes
    if isinstance(source, pl.LazyFrame) and limit is not None:
        source = source.head(limit)
    frame = to_frame(source)
    name = source.name if isinstance(source, Table) else "table"
    return frame if limit is None else frame.head(limit), name, []


def _with_target(table: Table) -> Table:
    """Return the rows whose targets are known."""
    names = table.schema.names("target")
    if not names or not any(table.frame.select(names).null_count().row(0)):
        return table
    # a mask that is there already is faster than ``drop_nulls``
    known = table.frame.filter(table.frame.select(pl.all_horizontal(pl.col(names).is_not_null())).to_series())
    if not known.height:
        shown = " and ".join(repr(name) for name in names)
        raise InputError(
            "the target must have values",
            f"target={shown} with only missing ones in {len(table):,} rows",
            "choose another target, or fill it in",
        )
    left_out = len(table) - known.height
    warnings = [finding for finding in table.schema.warnings if finding.code != "target-missing"]
    message = f"{left_out:,} of {len(table):,} rows have no target and were left out."
    finding = Finding("target-missing", names[0] if len(names) == 1 else None, message)
    return replace(table, frame=known, schema=replace(table.schema, warnings=arrange([finding, *warnings])))
