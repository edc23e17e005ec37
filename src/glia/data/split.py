"""Three parts of a table, for training, choosing and testing: at random, by group, or by time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from glia.core.errors import InputError, near
from glia.core.seeds import derive
from glia.data.findings import row_hashes
from glia.data.frames import to_frame
from glia.data.split_methods import Ints, at_random, by_group, by_time, group_codes
from glia.data.table import Table
from glia.data.targets import infer_task

_METHODS = ("random", "group", "time")


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of the rows of three disjoint parts.

    Parameters
    ----------
    train, valid, test : ndarray of int64
        Row numbers from 0, increasing; together every row once. ``valid`` and ``test`` may be empty.
    method : str
        ``random``, ``stratified``, ``group`` or ``time``.
    duplicates : int
        Number of rows of ``valid`` and ``test`` that are exact copies of a row in an earlier part.
    """

    train: Ints
    valid: Ints
    test: Ints
    method: str
    duplicates: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return sizes, method, duplicates and row numbers as plain JSON data."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        sizes = {name: len(rows) for name, rows in parts.items()}
        rows = {name: rows.tolist() for name, rows in parts.items()}
        return {"method": self.method, "duplicates": self.duplicates, "sizes": sizes, "rows": rows}

    def __repr__(self) -> str:
        sizes = f"train {len(self.train):,}, valid {len(self.valid):,}, test {len(self.test):,}"
        return f"Split({self.method}: {sizes}; {self.duplicates:,} duplicates across parts)"


def split_rows(
    rows: Any,
    *,
    y: Any = None,
    task: str | None = None,
    method: Literal["random", "group", "time"] = "random",
    group: Any = None,
    time: Any = None,
    test_fraction: float = 0.2,
    validation_fraction: float = 0.15,
    random_state: int = 0,
) -> Split:
    """Divide rows into a training, a validation and a test part.

    Parameters
    ----------
    rows : frame, array, Table or int
        The rows, or only their number.
    y : array (N,), optional
        Target; by default that of a Table. Classes are spread evenly over the parts where ``method`` is random.
    task : {"binary", "multiclass", "multilabel", "regression"}, optional
        What is learned; inferred from ``y`` if not given.
    method : {"random", "group", "time"}
        ``group``: no group is in two parts. ``time``: the test part is the latest, the validation part comes before it.
    group, time : str or array (N,), optional
        A column of the rows, or values; by default the column of a Table with the role ``group``, or its only
        ``datetime`` column.
    test_fraction, validation_fraction : float
        Shares of all rows (of all groups' rows, as nearly as groups allow); may be 0.
    random_state : int
        Seed.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        If there are fewer rows, groups or points in time than parts, or an argument is not possible.
    """
    total, frame = _size(rows)
    parts = _check(total, method, test_fraction, validation_fraction)
    seed = derive(random_state, "split") % 2**32
    counts = (_share(total, test_fraction, parts), _share(total, validation_fraction, parts))
    name: str = method
    if method == "group":
        keys = group_codes(_values(rows, frame, group, "group", total))
        fractions = (test_fraction, validation_fraction)
        test, valid = by_group(keys, fractions, seed, parts)
    elif method == "time":
        test, valid = by_time(_values(rows, frame, time, "time", total), counts)
    else:
        classes = _classes(rows, y, task, total)
        name = "random" if classes is None else "stratified"
        test, valid = at_random(total, classes, counts, seed)
    train = np.setdiff1d(np.arange(total), np.concatenate([test, valid]))
    return Split(train, np.sort(valid), np.sort(test), name, _duplicates(frame, train, valid, test))


def _size(rows: Any) -> tuple[int, pl.DataFrame | None]:
    if isinstance(rows, (int, np.integer)):
        return int(rows), None
    frame = (
        rows.frame.select(rows.schema.names("target", "group") + rows.schema.inputs())
        if isinstance(rows, Table)
        else None
    )
    frame = to_frame(rows) if frame is None else frame
    return frame.height, frame


def _check(total: int, method: str, test_fraction: float, validation_fraction: float) -> int:
    """Return the number of parts that are not empty."""
    if method not in _METHODS:
        raise InputError(
            "the method of a split must be a known name", f"method={method!r}", near(str(method), _METHODS)
        )
    for name, value in (("test_fraction", test_fraction), ("validation_fraction", validation_fraction)):
        if not 0 <= value < 1:
            raise InputError(f"{name} must be at least 0 and below 1", f"{name}={value}", "choose for instance 0.2")
    if test_fraction + validation_fraction >= 1:
        got = f"test_fraction={test_fraction} and validation_fraction={validation_fraction}"
        raise InputError("the fractions must leave rows to train on", got, "choose smaller fractions")
    parts = 1 + (test_fraction > 0) + (validation_fraction > 0)
    if total < parts:
        got = f"{total} row{'s' * (total != 1)}"
        raise InputError(f"a split into {parts} parts needs at least {parts} rows", got, "hand in more rows")
    return parts


def _share(total: int, fraction: float, parts: int) -> int:
    return 0 if fraction == 0 else min(max(1, round(fraction * total)), total - parts + 1)


def _values(rows: Any, frame: pl.DataFrame | None, given: Any, noun: str, total: int) -> pl.Series:
    """Return the groups or times of the rows."""
    if given is None and isinstance(rows, Table):
        names = rows.schema.names("group" if noun == "group" else "datetime")
        given = names[0] if len(names) == 1 else None
    if given is None:
        must = f"a split by {noun} needs a column to go by"
        raise InputError(must, f"{noun}=None", f"name it, for instance {noun}='…'")
    if isinstance(given, str):
        source = rows.frame if isinstance(rows, Table) else frame
        known = source.columns if source is not None else []
        if source is None or given not in known:
            advice = near(given, known) if known else "hand in its values instead of its name"
            raise InputError(f"{noun} must name a column of the table", f"{noun}={given!r}", advice)
        return source.get_column(given)
    series = given if isinstance(given, pl.Series) else to_frame({noun: np.asarray(given)}).get_column(noun)
    if len(series) != total:
        got = f"{len(series)} values for {total} rows"
        raise InputError(f"{noun} must have one value per row", got, "hand in as many values as rows")
    return series


def _classes(rows: Any, y: Any, task: str | None, total: int) -> Ints | None:
    """Return class numbers of the rows, or ``None`` where there are no classes."""
    if y is None and isinstance(rows, Table) and len(rows.schema.names("target")) == 1:
        y = rows.target
    if y is None or task in ("regression", "multilabel"):
        return None
    series = y if isinstance(y, pl.Series) else None
    if series is None:
        array = np.asarray(y)
        if array.ndim > 1 and array.shape[1] > 1:
            return None
        series = to_frame({"y": array.reshape(len(array))}).get_column("y")
    if len(series) != total:
        raise InputError(
            "y must have one value per row", f"{len(series)} values for {total} rows", "hand in both alike"
        )
    if task is None and infer_task(series) == "regression":
        return None
    return series.cast(pl.String).rank("dense").fill_null(0).to_numpy().astype(np.int64)


def _duplicates(frame: pl.DataFrame | None, train: Ints, valid: Ints, test: Ints) -> int:
    hashes = None if frame is None else row_hashes(frame)
    if hashes is None:
        return 0
    values = hashes.to_numpy()
    in_valid = np.isin(values[valid], values[train])
    in_test = np.isin(values[test], values[np.concatenate([train, valid])])
    return int(in_valid.sum() + in_test.sum())
