"""What is to be predicted: which task it is, and whether it can be learned at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from glia.core.errors import InputError, near
from glia.data.frames import to_frame

if TYPE_CHECKING:  # the module imports torch, which reading does without
    from glia.core.protocols import Task

MOST_CLASSES = 20
"""Most distinct whole numbers that are still taken for classes."""


def infer_task(target: pl.Series) -> Task:
    """Return the task that the values of a target suggest.

    Words and truth values are classes. Whole numbers are classes if there are two of them, or at most 20 that occur
    five times on average; all other numbers are a quantity.

    Parameters
    ----------
    target : polars.Series
        Values, (N,); missing ones are ignored.
    """
    known = target.drop_nulls()
    if known.dtype.is_float():
        known = known.drop_nans()
    distinct = known.n_unique()
    if not known.dtype.is_numeric():
        return "binary" if distinct <= 2 else "multiclass"
    whole = known.dtype.is_integer() or bool((known == known.round()).all())
    if not whole:
        return "regression"
    if distinct == 2:
        return "binary"
    return "multiclass" if distinct <= MOST_CLASSES and distinct * 5 <= len(known) else "regression"


def require_target(names: Sequence[str], target: str) -> None:
    """Raise an ``InputError`` unless ``target`` is among the columns; the nearest name is offered."""
    if target not in names:
        raise InputError("the target must be a column of the table", f"target={target!r}", near(target, names))


def check_target(frame: object, target: str, task: Task | None = None) -> None:
    """Refuse a target from which nothing can be learned.

    Parameters
    ----------
    frame : frame or Table
        Rows with the target.
    target : str
        Its name.
    task : {"binary", "multiclass", "multilabel", "regression"}, optional
        What is to be learned; inferred from the values if not given.

    Raises
    ------
    InputError
        If there is no such column, all its values are missing, there is one class or one value only, fewer than two
        rows have a value, a binary target has more than two values, or a quantity is not a number.
    """
    rows = to_frame(frame)
    require_target(rows.columns, target)
    values = rows.get_column(target)
    known = values.drop_nans() if values.dtype.is_float() else values
    known = known.drop_nulls()
    if not len(known):
        raise InputError(
            "the target must have values",
            f"target={target!r} with only missing ones in {len(values):,} rows",
            "choose another target, or fill it in",
        )
    if len(known) < 2:
        raise InputError("there must be at least two rows with a target", f"{len(known)} row", "hand in more rows")
    kind = task or infer_task(known)
    distinct = known.unique()
    if len(distinct) == 1:
        noun = "one value" if kind == "regression" else "one class"
        must = "a target must vary" if kind == "regression" else "the target must have at least two classes"
        raise InputError(must, f"target={target!r} with {noun}: {distinct[0]!r}", "choose another target, or more rows")
    if kind == "binary" and len(distinct) > 2:
        raise InputError(
            "a binary target must have two values",
            f"target={target!r} with {len(distinct)}",
            "choose the task 'multiclass' or 'regression'",
        )
    if kind == "regression" and not known.dtype.is_numeric():
        words = ", ".join(repr(str(value)) for value in distinct.sort().head(3))
        raise InputError(
            "the target of a regression must hold numbers",
            f"target={target!r} with {words}{', …' if len(distinct) > 3 else ''}",
            "choose another target, or fit a classifier",
        )
