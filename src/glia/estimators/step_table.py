"""Tables of steps with a label each: a row for every sequence, whose target and times are lists as long as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.counts import counted
from glia.core.errors import InputError
from glia.data import Column, Finding, Schema, Table
from glia.data.series import Sequences, nested_frame, sequences_of
from glia.data.series.describe_steps import FEW_VARY
from glia.data.targets import check_target, infer_task
from glia.estimators.settings import FitSettings

EACH = "a label for every step"
"""Why a column is a target that is learned step by step."""
_ROW = "__row of the file"


def labels_steps(schema: Schema | None) -> bool:
    """Tell whether the rows of a schema are sequences with a label for every step."""
    if schema is None:
        return False
    return any(column.role == "target" and column.reason == EACH for column in schema.columns)


def ordered_steps(
    steps: pl.DataFrame, *, id: str, time: str | None, channels: Sequence[str]
) -> tuple[Sequences, NDArray[np.intp]]:
    """Return sequences, and of each of their steps (S,) which row of the table it was.

    Raises
    ------
    InputError
        As ``sequences_of``; also without a channel.
    """
    if not channels:
        raise InputError("there must be channels: columns of numbers to learn from", "none", "leave fewer columns out")
    found = sequences_of(steps.with_row_index(_ROW), id=id, time=time, channels=[*channels, _ROW])
    order = found.values[:, -1].astype(np.intp)
    return Sequences(found.values[:, :-1], found.lengths, tuple(channels), found.ids), order


def lists(values: pl.Series, lengths: NDArray[np.intp]) -> pl.Series:
    """Return values of steps, one sequence after the other, as a list for each sequence."""
    number = np.repeat(np.arange(len(lengths)), lengths)
    frame = pl.DataFrame({"number": number, "values": values})
    return frame.group_by("number", maintain_order=True).agg("values")["values"]


def without_labels(values: pl.Series) -> pl.Series:
    """Return labels with missing ones, also NaN and empty words, as null."""
    if values.dtype.is_float():
        return values.fill_nan(None)
    if values.dtype == pl.String:
        return values.replace("", None)
    return values


def label_table(
    sequences: Sequences, labels: pl.Series, target: str, *, beside: dict[str, pl.Series], columns: list[Column],
    name: str,
) -> Table:  # fmt: skip
    """Return a row for every sequence that has a label somewhere.

    Parameters
    ----------
    sequences : Sequences
    labels : polars.Series (S,)
        Of all steps; null where it is not known.
    target : str
        Its name.
    beside : dict
        Further columns, (N,): the id, the times of the steps, group and weight.
    columns : list of Column
        Of the schema: of ``beside``, then of the channels.
    name : str
        Of the source.

    Raises
    ------
    InputError
        If no step has a label.
    """
    labels = without_labels(labels)
    if labels.null_count() == len(labels):
        raise InputError("some step must have a label", f"only missing ones in {target!r}", "choose another target")
    per_row = lists(labels, sequences.lengths)
    frame = pl.DataFrame({**beside, target: per_row}).hstack(nested_frame(sequences))
    known = per_row.list.drop_nulls().list.len().to_numpy() > 0
    several = int((per_row.list.drop_nulls().list.n_unique().to_numpy() > 1).sum())
    found = _findings(target, known, several, labels)
    own = Column(target, "target", str(per_row.dtype), EACH, labels.null_count(), labels.drop_nulls().n_unique())
    place = len(beside)
    schema = Schema((*columns[:place], own, *columns[place:]), found, int(known.sum()))
    return Table(frame.filter(known), schema, name)


def _findings(target: str, known: NDArray[np.bool_], several: int, labels: pl.Series) -> tuple[Finding, ...]:
    found = []
    if several < FEW_VARY * len(known):
        text = f"Labels differ within {counted(several, 'sequence')} of {len(known):,}, so that every step is labelled."
        found.append(Finding("few-vary", target, f"{text} If a sequence has one label, correct these rows."))
    left = int((~known).sum())
    if left:
        found.append(Finding("no-labels", target, f"{counted(left, 'sequence')} without any label: left out.", "info"))
    if labels.null_count():
        text = f"{counted(labels.null_count(), 'step')} of {len(labels):,} without a label: they do not count."
        found.append(Finding("steps-without-label", target, text, "info"))
    return tuple(found)


def split_labels(labels: pl.Series, lengths: NDArray[np.intp]) -> NDArray[Any]:
    """Return the labels of every sequence: an array (N,) of arrays (T,), in which None stands for a missing one."""
    labels = without_labels(labels)
    whole = labels.dtype.is_float() and bool((labels.drop_nulls() == labels.drop_nulls().round()).all())
    labels = labels.cast(pl.Int64) if whole else labels
    flat = np.array(labels.to_list(), dtype=object) if labels.null_count() else labels.to_numpy()
    out = np.empty(len(lengths), dtype=object)
    for row, part in enumerate(np.split(flat, np.cumsum(lengths)[:-1])):
        out[row] = part.astype(str) if labels.dtype == pl.String and not labels.null_count() else part
    return out


def step_targets(table: Table, settings: FitSettings) -> tuple[NDArray[Any], Any]:
    """Return the labels of all sequences, (N,) of arrays (T,), and the task of a step.

    Raises
    ------
    InputError
        If labels are quantities, or of one class.
    """
    target = settings.targets[0]
    nested = table.frame[target]
    flat = nested.explode()
    known = flat.drop_nulls()
    task = infer_task(known) if settings.task == "auto" else settings.task
    if task in ("regression", "multilabel"):
        got = f"{known.n_unique():,} values of {target!r}, which differ within sequences"
        got = (
            got if settings.task == "auto" else f"task={settings.task!r} for {target!r}, which differs within sequences"
        )
        do = "for quantities there is glia forecast; if the numbers name classes, add --task multiclass"
        raise InputError("labels of steps must be classes", got, do)
    check_target(pl.DataFrame({target: known}), target, task)
    return split_labels(flat, nested.list.len().to_numpy().astype(np.intp)), task


def flat_labels(y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.intp]]:
    """Return the labels of all sequences' steps (S,), where there is one (S,), and each step's sequence (S,)."""
    flat = np.concatenate(list(y))
    row = np.repeat(np.arange(len(y)), [len(part) for part in y])
    there = np.array([one is not None for one in flat]) if flat.dtype == object else np.ones(len(flat), bool)
    return flat, there, row


def known_values(flat: NDArray[Any], there: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the labels that are there, of their own type."""
    return np.array(flat[there].tolist()) if flat.dtype == object else flat[there]


def rarest_labels(y: NDArray[Any]) -> NDArray[Any]:
    """Return the rarest label of every sequence, by which sequences are divided evenly into parts, (N,)."""
    flat, there, row = flat_labels(y)
    values, codes, counts = np.unique(known_values(flat, there), return_inverse=True, return_counts=True)
    order = np.lexsort((counts[codes], row[there]))
    first = np.flatnonzero(np.diff(row[there][order], prepend=-1))
    return np.asarray(values[codes[order][first]])
