"""Columns that give the target away, as positions of the prepared rows and by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.protocols import Task
from glia.data.find_leaks import find_leaks

_TARGET = "target of the doctor"


@dataclass(frozen=True)
class Leak:
    """A column from which alone the target can be told.

    Parameters
    ----------
    column : str
    message : str
        What was measured, in words.
    """

    column: str
    message: str


def leaks(frame: pl.DataFrame, y: NDArray[Any], task: Task, *, random_state: int = 0) -> tuple[Leak, ...]:
    """Return the columns that ``glia.data.find_leaks`` finds for any of the targets.

    Parameters
    ----------
    frame : polars.DataFrame
        The rows as people read them.
    y : ndarray (N,) or (N, T)
        Class numbers, labels or values.
    task : Task
    """
    found: dict[str, Leak] = {}
    for column in np.asarray(y).reshape(len(y), -1).T:
        target = pl.Series(
            _TARGET, column if task == "regression" else np.char.add("class ", column.astype(int).astype(str))
        )
        table = frame.with_columns(target)
        for one in find_leaks(table, _TARGET, frame.columns, random_state, first=2000):
            if one.column is not None and one.column not in found:
                found[one.column] = Leak(one.column, one.message)
    return tuple(found.values())
