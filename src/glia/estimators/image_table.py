"""Tables with a column of pictures: as frames are handed in, and as a run reads them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

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


def check_one_picture(schema: Schema) -> None:
    """Raise an ``InputError`` unless just one column holds pictures."""
    names = schema.names("image")
    if len(names) != 1:
        got = ", ".join(map(repr, names)) or "none"
        raise InputError("one column of a table must hold pictures", got, "give the others another role, or drop them")


def pictures_of(column: pl.Series) -> ImageRows:
    """Return the pictures that a column names.

    Raises
    ------
    InputError
        If a row has none.
    """
    values = column.to_list()
    lacking = [place for place, value in enumerate(values) if value is None]
    if lacking:
        shown = ", ".join(str(place + 1) for place in lacking[:MOST_NAMED])
        got = f"none in {len(lacking):,} of {len(values):,} rows (row {shown})"
        raise InputError(f"every row must have a picture in {column.name!r}", got, "leave these rows out")
    return ImageRows(values, values)


def with_readable_pictures(table: Table) -> Table:
    """Return the rows whose pictures can be read, with findings that name the others.

    Raises
    ------
    InputError
        If several columns hold pictures, or no picture can be read.
    """
    check_one_picture(table.schema)
    name = table.schema.names("image")[0]
    with quiet_pillow(), ThreadPoolExecutor(min(4, 2 * cores())) as pool:
        wrong = list(pool.map(_trouble, table.frame[name].to_list()))
    keep = np.array([not one for one in wrong])
    broken = [(path, why) for path, why in zip(table.frame[name].to_list(), wrong, strict=True) if why]
    if not broken:
        return table
    if not keep.any():
        got = f"{len(broken):,} that cannot, e.g. {broken[0][0]}: {broken[0][1]}"
        raise InputError(f"some picture of {name!r} must be readable", got, "check the paths; they begin at the table")
    found = broken_findings("broken-picture", name, [(path or "", why) for path, why in broken])
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
