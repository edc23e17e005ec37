"""Kinds of rows that a run can learn from beside tables and pictures: sounds, sequences, texts, each in one entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.core.source_kinds import source_kind
from glia.data import Schema, Split, Table
from glia.estimators.audio_fit import audio_columns, audio_copies, make_audio_estimator, read_audio_table
from glia.estimators.seen_classes import check_seen
from glia.estimators.sequence_fit import (
    is_sequences,
    make_sequence_estimator,
    read_sequence_table,
    sequence_columns,
    sequence_copies,
)
from glia.estimators.settings import FitSettings
from glia.estimators.step_fit import check_seen_steps, make_step_estimator, step_columns
from glia.estimators.step_table import labels_steps, rarest_labels
from glia.estimators.text_fit import (
    is_texts,
    make_text_estimator,
    read_text_table,
    text_columns,
    text_copies,
    texts_alone,
)

Columns = Callable[[pl.DataFrame, pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame, dict[str, str]]]


@dataclass(frozen=True)
class RawKind:
    """How rows of a kind are read, learned from, looked through for copies, and turned into columns.

    Parameters
    ----------
    role : {"audio", "sequence", "text"}
        Of the columns that hold them.
    noun : str
        What rows are called.
    read : callable
        (settings, source) → ``Table``.
    make : callable
        (settings, task, verbose) → unfitted estimator.
    copies : callable
        (table, train, valid, test) → how many rows are in a later part again.
    columns : callable
        (training rows, test rows) → both as columns for classic models, and these columns' roles.
    shown : tuple of str
        Roles of the columns by which people know a row.
    strata : callable
        Targets → what rows are divided evenly by.
    check_seen : callable
        (split, targets, task): raises where a part has classes that are not learned.
    answered : str
        What rows with a target are called.
    """

    role: str
    noun: str
    read: Callable[..., Table]
    make: Callable[..., Any]
    copies: Callable[..., int]
    columns: Columns
    shown: tuple[str, ...] = ("id", "ignored", "group")
    strata: Callable[[NDArray[Any]], NDArray[Any]] = lambda y: y
    check_seen: Callable[[Split, NDArray[Any], Task], None] = check_seen
    answered: str = "rows with a target"


SOUNDS = RawKind("audio", "sounds", read_audio_table, make_audio_estimator, audio_copies, audio_columns)
SEQUENCES = RawKind(
    "sequence", "sequences", read_sequence_table, make_sequence_estimator, sequence_copies, sequence_columns
)
LABELS = RawKind(
    "sequence", "sequences with a label for every step", read_sequence_table, make_step_estimator, sequence_copies,
    step_columns, strata=rarest_labels, check_seen=check_seen_steps, answered="sequences with labels",
)  # fmt: skip
"""Which sequences are of this kind is known once they are read: their target differs within them."""
TEXTS = RawKind(
    "text", "texts", read_text_table, make_text_estimator, text_copies, text_columns, ("text", "id", "group")
)


def raw_kind(settings: FitSettings, source: Any = None) -> RawKind | None:
    """Return the kind of rows that a run was asked to read, ``None`` where they are a table's or pictures.

    Raises
    ------
    InputError
        If a network is to read texts, and the rows are of another kind.
    """
    data = settings.data if source is None else source
    found = SEQUENCES if is_sequences(settings, source) else SOUNDS if source_kind(data) == "audio" else None
    if not is_texts(settings):
        return found
    if found is not None or source_kind(data) == "images":
        got = f"{found.noun if found is not None else 'pictures'} in {str(data)!r}"
        name = "network" if settings.backbone is None else "backbone"
        raise InputError(f"{name}={getattr(settings, name)!r} reads texts", got, f"leave --{name} away")
    return TEXTS


def kind_of(schema: Schema, settings: FitSettings) -> RawKind | None:
    """Return the kind of rows that a table holds, ``None`` where they are plain ones or pictures.

    Texts are of a kind of their own where a network was asked for that reads them, and where they are all there is:
    among other columns they are words by their weights.
    """
    known = next((kind for kind in (SOUNDS, SEQUENCES) if schema.names(kind.role)), None)
    if known is SEQUENCES and labels_steps(schema):
        return LABELS
    return TEXTS if known is None and (is_texts(settings) or texts_alone(schema, settings)) else known
