"""Targets of a stream: the same values and classes from every block, whichever of them occur in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.data import Table, check_target
from glia.data.markers import strip_and_clear
from glia.data.stream import Survey
from glia.data.stream.statistics import MOST_VALUES
from glia.data.unify import cast_columns, words_to_strings
from glia.objectives import class_weights


class StreamTargets:
    """Reads the target columns of frames that were unified with the schema.

    Parameters
    ----------
    survey : Survey
    classes : bool
        Whether classes are learned, as by ``Classifier``, or quantities.

    Attributes
    ----------
    names : tuple of str
    task : Task
    classes : ndarray or None
        All classes that occur anywhere in the stream, where one target has classes.
    counts : ndarray or None
        Rows of each class.

    Raises
    ------
    InputError
        If a target cannot be learned from.
    """

    def __init__(self, survey: Survey, classes: bool) -> None:
        self.names = survey.table.schema.names("target")
        kinds = {name: _known(survey, name) for name in self.names}
        for name, (values, _) in kinds.items():
            if classes and values is None:
                got = f"more than {MOST_VALUES:,} different values of {name!r}"
                raise InputError(
                    "a target of classes must have fewer", got, "fit a Regressor, or choose another target"
                )
            check_target(_with_all(survey.table, name, values), name, None if classes else "regression")
        self.labels = {name: _array(values) for name, (values, _) in kinds.items() if classes and values is not None}
        self.classes: NDArray[Any] | None = None
        self.counts: NDArray[np.int64] | None = None
        self.task: Task = "regression"
        if classes and len(self.names) == 1:
            name = self.names[0]
            found, inverse = np.unique(self.labels[name], return_inverse=True)
            self.classes = found
            self.counts = np.bincount(inverse, weights=kinds[name][1]).astype(np.int64)
            self.task = "binary" if len(found) == 2 else "multiclass"
        elif classes:
            self.labels = {name: np.unique(values) for name, values in self.labels.items()}
            many = next((name for name, values in self.labels.items() if len(values) > 2), None)
            if many is not None:
                got = f"{len(self.labels[many])} of {many!r}"
                raise InputError("several targets must all have two classes", got, "fit them one by one")
            self.task = "multilabel"

    def values(self, frame: pl.DataFrame) -> NDArray[Any]:
        """Return the targets of rows, (N,) or (N, T): labels, 0/1 per label, or numbers.

        Raises
        ------
        InputError
            If a quantity is no number.
        """
        if self.task == "regression":
            found = np.stack([_numbers(frame.get_column(name)) for name in self.names], axis=1)
            return found[:, 0] if len(self.names) == 1 else found
        arrays = {name: _array(frame.get_column(name)) for name in self.names}
        if self.task != "multilabel":
            return arrays[self.names[0]]
        return np.stack([np.searchsorted(self.labels[name], array) for name, array in arrays.items()], axis=1)

    def class_factors(self, wanted: Any) -> NDArray[np.float64] | None:
        """Return the weight of each class, (C,), for ``class_weight``; their mean over all rows is 1."""
        if wanted is None or self.classes is None or self.counts is None:
            return None
        if isinstance(wanted, str):
            class_weights(self.classes, wanted)  # refuses unknown words
            factors = self.counts.sum() / (len(self.counts) * self.counts)
        else:
            factors = class_weights(self.classes, wanted, classes=[*wanted, *self.classes])
        return np.asarray(factors * self.counts.sum() / (factors * self.counts).sum(), dtype=np.float64)


def _known(survey: Survey, name: str) -> tuple[pl.Series | None, list[int]]:
    """Return the values of a target anywhere in the stream, in the schema's type, and how often each occurs."""
    values = survey.statistics.column(name).values
    if values is None:
        return None, []
    raw = pl.DataFrame({name: pl.Series(list(values), strict=False), "count": list(values.values())})
    cleared, _ = strip_and_clear(words_to_strings(raw))
    column = survey.table.schema.column(name)
    if cleared.schema[name] != survey.table.frame.schema[name]:
        cleared, _ = cast_columns(cleared, [column])
    known = cleared.filter(pl.col(name).is_not_null()).cast({name: survey.table.frame.schema[name]})
    return known.get_column(name), known.get_column("count").to_list()


def _with_all(table: Table, name: str, values: pl.Series | None) -> pl.DataFrame:
    """Return the kept rows of a target and every value once more, so that none is overlooked."""
    kept = table.frame.select(name)
    return kept if values is None else pl.concat([kept, values.to_frame()])


def _array(column: pl.Series) -> NDArray[Any]:
    array = column.to_numpy()
    return array.astype(str) if column.dtype in (pl.String, pl.Categorical, pl.Enum) or array.dtype == object else array


def _numbers(column: pl.Series) -> NDArray[np.float64]:
    values = column.cast(pl.Float64, strict=False)
    if values.null_count():
        bad = column.filter(values.is_null())[0]
        raise InputError(f"the target of a regression must be numbers: {column.name!r}", repr(bad), "fit a Classifier")
    return np.asarray(values.to_numpy())
