"""What each column looks like: how much is missing, how many values, and their distribution in a few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from glia.core.results import jsonable
from glia.report.groups import roles_of
from glia.report.words import shorten

BINS = 24
TOP = 5


def data_profile(frame: pl.DataFrame, schema: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Describe every column of a table.

    Parameters
    ----------
    frame : polars.DataFrame
        The rows.
    schema : mapping, optional
        Column → role, or a schema as in a run's record (``{"columns": [{"name", "role"}]}``).

    Returns
    -------
    list of dict
        For each column ``name, role, dtype, rows, missing`` (share), ``unique`` (missing not counted), and either
        ``histogram`` (``edges, counts``; 24 bins, the outermost one per cent of values in the end bins) with
        ``numbers`` (``min, median, max, mean``), or ``top`` (``value, count, share``; the five most frequent) with
        ``other`` (rows with any other value).
    """
    roles = roles_of(schema)
    return [_column(frame[name], roles.get(name, "")) for name in frame.columns]


def _column(column: pl.Series, role: str) -> dict[str, Any]:
    nested = column.dtype.is_nested() or column.dtype == pl.Object
    found: dict[str, Any] = {
        "name": column.name,
        "role": role,
        "dtype": str(column.dtype),
        "rows": len(column),
        "missing": column.null_count() / len(column) if len(column) else 0.0,
        "unique": None if nested else column.drop_nulls().n_unique(),
    }
    if nested or not len(column):
        return found
    ordered = column.dtype.is_numeric() or column.dtype.is_temporal()
    if (ordered and role not in ("categorical", "ordinal", "target")) or (role == "target" and found["unique"] > 20):
        found |= _distribution(column)
    elif role not in ("text", "id"):
        found |= _most_frequent(column)
    return dict(jsonable(found))


def _distribution(column: pl.Series) -> dict[str, Any]:
    if not (column.dtype.is_numeric() or column.dtype.is_temporal()):
        return _most_frequent(column)
    values = column.to_physical().cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return {}
    low, high = (float(q) for q in np.quantile(values, [0.005, 0.995]))
    if not high > low:
        low, high = float(values.min()), float(values.max())
    counts, edges = np.histogram(np.clip(values, low, high), bins=BINS, range=(low, high) if high > low else None)
    middle: Any = float(np.median(values))
    numbers: dict[str, Any] = {"min": values.min(), "median": middle, "max": values.max(), "mean": values.mean()}
    if column.dtype.is_temporal():
        numbers = {"min": str(column.min()), "median": str(column.median()), "max": str(column.max())}
    return {"histogram": {"edges": edges, "counts": counts}, "numbers": numbers}


def _most_frequent(column: pl.Series) -> dict[str, Any]:
    known = column.drop_nulls().cast(pl.String, strict=False)
    counted = known.to_frame("value").group_by("value").len().sort(["len", "value"], descending=[True, False])
    top = [
        {"value": shorten(value, 80), "count": count, "share": count / len(known)}
        for value, count in counted.head(TOP).iter_rows()
    ]
    return {"top": top, "other": len(known) - sum(t["count"] for t in top)}
