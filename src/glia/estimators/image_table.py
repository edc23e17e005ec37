"""Tables with columns of pictures: as frames are handed in, and as a run reads them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from glia.core.counts import counted
from glia.core.errors import InputError
from glia.core.hardware import cores
from glia.data import Schema, Table, learn_schema
from glia.data.broken_files import MOST_NAMED, broken_findings
from glia.data.findings import arrange
from glia.data.images import ImageRows, look_at
from glia.data.images.decode import quiet_pillow


def is_frame(X: Any) -> bool:
    """Tell whether rows are a frame of Polars, pandas or the like."""
    return hasattr(X, "columns") and not isinstance(X, Table)


def as_table(X: Any) -> Table | None:
    """Return a frame of several columns with its roles; ``None`` for anything else.

    Raises
    ------
    InputError
        If none of the columns holds pictures.
    """
    if not is_frame(X) or len(X.columns) < 2:
        return None
    frame, schema = learn_schema(X)
    if not schema.names("image"):
        why = "; ".join(f"{column.name}: {column.reason}" for column in schema.columns[:6])
        raise InputError(
            "one column must hold paths of pictures", why, "use Classifier or Regressor, or glia.read(…, roles=…)"
        )
    return Table(frame, schema)


def check_pictures(schema: Schema) -> None:
    """Raise an ``InputError`` unless a column holds pictures."""
    if not schema.names("image"):
        raise InputError("a column of the table must hold pictures", "none", "use Classifier or Regressor")


def pictures_of(frame: pl.DataFrame) -> ImageRows:
    """Return the pictures that columns name: those of the first column, then those of the second, and so on.

    Raises
    ------
    InputError
        If a row has none.
    """
    found: list[str] = []
    for column in frame.iter_columns():
        values = column.to_list()
        lacking = [place for place, value in enumerate(values) if value is None]
        if lacking:
            shown = ", ".join(str(place + 1) for place in lacking[:MOST_NAMED])
            got = f"none in {len(lacking):,} of {counted(len(values), 'row')} (row {shown})"
            raise InputError(f"every row must have a picture in {column.name!r}", got, "leave these rows out")
        found += values
    return ImageRows(found, found)


def with_readable_pictures(table: Table) -> Table:
    """Return the rows whose pictures can be read, with findings that name the others.

    Raises
    ------
    InputError
        If no row has pictures that can all be read.
    """
    check_pictures(table.schema)
    keep, found = np.ones(len(table), dtype=bool), []
    for name in table.schema.names("image"):
        paths = table.frame[name].to_list()
        with quiet_pillow(), ThreadPoolExecutor(min(4, 2 * cores())) as pool:
            wrong = list(pool.map(_trouble, paths))
        broken = [(path or "", why) for path, why in zip(paths, wrong, strict=True) if why]
        keep &= np.array([not why for why in wrong])
        if not keep.any() and broken:
            got = f"{len(broken):,} that cannot, e.g. {broken[0][0]}: {broken[0][1]}"
            do = "check the paths; they begin at the table"
            raise InputError(f"some picture of {name!r} must be readable", got, do)
        found += broken_findings("broken-picture", name, broken)
    if not found:
        return table
    schema = replace(table.schema, warnings=arrange([*found, *table.schema.warnings]))
    return replace(table.take(keep), schema=schema)


def _trouble(path: str | None) -> str:
    """Return why a picture cannot be read; empty where it can."""
    if path is None:
        return "no path"
    try:
        look_at(path)
    except InputError as error:
        return error.got or error.must
    return ""
