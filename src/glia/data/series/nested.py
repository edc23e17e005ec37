"""Sequences as rows of a table: one column for each channel, with a list of numbers in every row."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from glia.core.errors import InputError
from glia.data.series.sequences import Sequences, from_parts


def nested_frame(sequences: Sequences) -> pl.DataFrame:
    """Return one row for each sequence and one column of lists for each channel; NaN where a value is missing."""
    row = np.repeat(np.arange(len(sequences)), sequences.lengths)
    columns: dict[str, Any] = {}
    for place, name in enumerate(sequences.channels):
        steps = pl.DataFrame({"row": row, "value": sequences.values[:, place]})
        columns[name] = steps.group_by("row", maintain_order=True).agg("value")["value"]
    return pl.DataFrame(columns)


def from_nested(frame: pl.DataFrame) -> Sequences:
    """Return the sequences of a frame whose columns hold lists of numbers.

    Raises
    ------
    InputError
        If a column holds anything else, or the lists of a row are not equally long.
    """
    if not frame.width or not frame.height:
        raise InputError("there must be rows and channels", f"{frame.height} rows, {frame.width} columns")
    columns, lengths = [], None
    for name in frame.columns:
        kind = frame[name].dtype
        if not isinstance(kind, (pl.List, pl.Array)) or not kind.inner.is_numeric():
            do = "for a long table call glia.data.series.sequences_of(frame, id=..., time=...)"
            raise InputError("channels must hold a list of numbers in each row", f"{name!r} of type {kind}", do)
        column = frame[name].cast(pl.List(pl.Float64))
        own = column.list.len().fill_null(0).to_numpy().astype(np.intp)
        if lengths is not None and (own != lengths).any():
            row = int(np.flatnonzero(own != lengths)[0])
            got = f"{lengths[row]} in {frame.columns[0]!r} and {own[row]} in {name!r} of row {row}"
            raise InputError("all channels of a sequence must have as many steps", got)
        lengths = own
        values = column.filter(column.list.len() > 0).explode().fill_null(float("nan")).to_numpy()
        columns.append(values.astype(np.float64))
    if lengths is None:
        raise InputError("there must be channels", "none")
    return from_parts(np.stack(columns, 1), lengths, tuple(frame.columns))
