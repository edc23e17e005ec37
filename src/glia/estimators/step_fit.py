"""A run that learns a label for every step: its estimator, and steps as columns for classic models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.data import Split
from glia.data.series import SequencePreparation, Sequences, from_nested
from glia.estimators.large_rows import keep_for
from glia.estimators.raw_settings import common_settings, refuse_settings
from glia.estimators.seen_classes import check_seen
from glia.estimators.sequence_labeler import SequenceLabeler
from glia.estimators.settings import FitSettings
from glia.estimators.step_table import flat_labels, known_values

BESIDE = 3
"""Steps before and after a step that classic models are shown with it."""
_WITHOUT = ("loss", "l1", "l2", "members", "bagging", "class_weight", "balance", "threshold", "cost", "workers")
_NOT_TAKEN = ("objective", "members", "bootstrap")


def make_step_estimator(settings: FitSettings, task: Task, verbose: int = 0) -> SequenceLabeler:
    """Return an unfitted estimator of labels of steps with the settings of a run.

    Raises
    ------
    InputError
        If settings are for tables, or for one answer a row.
    """
    refuse_settings(settings, "sequences", but=("scale",))
    defaults = FitSettings.model_fields
    wrong = [name for name in _WITHOUT if getattr(settings, name) != defaults[name].default]
    wrong = [name for name in wrong if name != "members" or settings.members != 1]
    if wrong:
        got = ", ".join(f"{name}={getattr(settings, name)!r}" for name in wrong)
        raise InputError(
            "these settings are for one answer a row, and here every step has a label", got, "leave them away"
        )
    if settings.scale not in ("auto", "standard", "per_series", "none"):
        raise InputError("sequences are scaled standard, per_series or not", f"scale={settings.scale!r}", "")
    scale = "standard" if settings.scale == "auto" else settings.scale
    common = {key: value for key, value in common_settings(settings, verbose).items() if key not in _NOT_TAKEN}
    return SequenceLabeler(**{**common, "preparation": SequencePreparation(scale=scale, keep=keep_for(settings))})


def check_seen_steps(split: Split, y: NDArray[Any], task: Task) -> None:
    """Refuse a division of sequences by which a model would be judged on labels that it never saw.

    Raises
    ------
    InputError
        If a label is at steps for validation or test only.
    """
    flat, there, row = flat_labels(y)
    owner = row[there]
    train, valid, test = (np.flatnonzero(np.isin(owner, part)) for part in (split.train, split.valid, split.test))
    check_seen(replace(split, train=train, valid=valid, test=test), known_values(flat, there), task)


def step_columns(
    train: pl.DataFrame, test: pl.DataFrame, beside: int = 0
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, str]]:
    """Return steps as rows for classic models: their channels, and those of steps near them; and the columns' roles.

    Parameters
    ----------
    train, test : polars.DataFrame
        Sequences: a list for each channel.
    beside : int
        Steps before and after that are shown too; missing beyond the ends of a sequence.
    """
    made = [_shown(from_nested(part), beside) for part in (train, test)]
    return made[0], made[1], dict.fromkeys(made[0].columns, "numeric")


def _shown(sequences: Sequences, beside: int) -> pl.DataFrame:
    ends = np.cumsum(sequences.lengths)
    place = np.arange(len(sequences.values))
    first, last = (np.repeat(edge, sequences.lengths) for edge in (ends - sequences.lengths, ends - 1))
    columns: dict[str, Any] = {}
    for shift in sorted(range(-beside, beside + 1), key=lambda by: (abs(by), by)):
        source = place + shift
        inside = (source >= first) & (source <= last)
        values = np.where(inside[:, None], sequences.values[np.clip(source, 0, len(place) - 1)], np.nan)
        for number, name in enumerate(sequences.channels):
            columns[f"{name} {shift:+d}" if shift else name] = values[:, number]
    return pl.DataFrame(columns)
