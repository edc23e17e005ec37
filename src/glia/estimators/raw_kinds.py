"""Kinds of rows that a run can learn from beside tables and pictures: sounds and sequences, each in one entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from glia.core.source_kinds import source_kind
from glia.data import Schema, Table
from glia.estimators.audio_fit import audio_columns, audio_copies, make_audio_estimator, read_audio_table
from glia.estimators.sequence_fit import (
    is_sequences,
    make_sequence_estimator,
    read_sequence_table,
    sequence_columns,
    sequence_copies,
)
from glia.estimators.settings import FitSettings

Columns = Callable[[pl.DataFrame, pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame, dict[str, str]]]


@dataclass(frozen=True)
class RawKind:
    """How rows of a kind are read, learned from, looked through for copies, and turned into columns.

    Parameters
    ----------
    role : {"audio", "sequence"}
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
    """

    role: str
    noun: str
    read: Callable[..., Table]
    make: Callable[..., Any]
    copies: Callable[..., int]
    columns: Columns


SOUNDS = RawKind("audio", "sounds", read_audio_table, make_audio_estimator, audio_copies, audio_columns)
SEQUENCES = RawKind(
    "sequence", "sequences", read_sequence_table, make_sequence_estimator, sequence_copies, sequence_columns
)


def raw_kind(settings: FitSettings, source: Any = None) -> RawKind | None:
    """Return the kind of a run's rows, ``None`` where they are a table's or pictures."""
    data = settings.data if source is None else source
    if is_sequences(settings, source):
        return SEQUENCES
    return SOUNDS if source_kind(data) == "audio" else None


def kind_of(schema: Schema) -> RawKind | None:
    """Return the kind of rows that a table holds, ``None`` where they are plain ones or pictures."""
    return next((kind for kind in (SOUNDS, SEQUENCES) if schema.names(kind.role)), None)
