"""From a folder of sounds to what a run needs of it: a table of paths, an estimator, columns for classic models."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.counts import counted
from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.core.source_kinds import MANIFEST
from glia.data import Column, Finding, Schema, Table
from glia.data.audio import AudioFolder, AudioPreparation, read_audio_folder
from glia.data.broken_files import broken_findings, rare_class_findings
from glia.estimators.audio_classifier import AudioClassifier
from glia.estimators.audio_inputs import COLUMN
from glia.estimators.large_rows import keep_for
from glia.estimators.raw_settings import common_settings, refuse_settings
from glia.estimators.settings import FitSettings

FILE = "file"


def read_audio_table(settings: FitSettings, source: Any = None) -> Table:
    """Return a folder of sounds as a table of paths, classes and groups.

    Raises
    ------
    InputError
        If sounds have no class, or a group is asked for that nothing says.
    """
    for name in ("time", "weight"):
        if getattr(settings, name) is not None:
            raise InputError(f"{name} names a column of a table", f"{name}={getattr(settings, name)!r}", "leave it out")
    if len(settings.targets) != 1:
        raise InputError("sounds have one target", f"target={settings.target!r}", "name one column of the manifest")
    root = Path(settings.data if source is None else source)
    target, group = settings.targets[0], settings.group
    listed = (root / MANIFEST).is_file()
    wanted = (target, group) if listed else (None, None)
    folder = read_audio_folder(root, label=wanted[0], group=wanted[1], limit=settings.max_rows)
    loose = sum(not name for name in folder.classes)
    if loose:
        got = f"{loose} of {len(folder)} in {str(folder.root)!r} without one"
        do = f"sort them into folders that are named after their classes, or write {MANIFEST}"
        raise InputError("sounds to learn from must have a class", got, do)
    if group is not None and not all(folder.groups):
        got = f"{sum(not name for name in folder.groups)} of {len(folder)} without one"
        do = f"sort them into folders below those of their classes, or add the column to {MANIFEST}"
        raise InputError(f"every sound must have a {group}", got, do)
    return _table(folder, target, group)


def _table(folder: AudioFolder, target: str, group: str | None) -> Table:
    columns = {FILE: folder.names, COLUMN: folder.paths, target: folder.classes}
    if group is not None:
        columns[group] = folder.groups
    many, classes = len(folder), len(set(folder.classes))
    roles = [
        Column(FILE, "ignored", "String", "name of the sound", 0, many),
        Column(COLUMN, "audio", "String", "path of the sound", 0, many, note=_note(folder)),
        Column(target, "target", "String", "name of the sub-folder, or from the manifest", 0, classes),
    ]
    if group is not None:
        roles.append(Column(group, "group", "String", "whose sound it is", 0, len(set(folder.groups))))
    schema = Schema(tuple(roles), _findings(folder, target), many)
    return Table(pl.DataFrame(columns), schema, folder.root.resolve().name)


def _note(folder: AudioFolder) -> str:
    seconds = np.array([clip.seconds for clip in folder.clips])
    rates = sorted({clip.rate for clip in folder.clips})
    said = f"{seconds.min():.2g} to {seconds.max():.2g} s, {seconds.sum() / 60:.1f} min in all"
    return f"{said}; {', '.join(f'{rate:,}' for rate in rates[:4])} samples a second"


def _findings(folder: AudioFolder, target: str) -> tuple[Finding, ...]:
    found = broken_findings("broken-sound", COLUMN, folder.broken)
    cut = [name for name, clip in zip(folder.names, folder.clips, strict=True) if clip.truncated]
    if cut:
        text = f"{counted(len(cut), 'sound')} with fewer samples than the header says: {', '.join(cut[:5])}."
        found.append(Finding("truncated-sound", COLUMN, text))
    rates = {clip.rate for clip in folder.clips}
    by_class = {(name, clip.rate) for name, clip in zip(folder.classes, folder.clips, strict=True)}
    if len(rates) > 1 and len(by_class) == len(set(folder.classes)):
        text = "Each class has a rate of its own: what was above the lowest one's reach tells them apart."
        found.append(Finding("rate-by-class", target, text))
    return (*found, *rare_class_findings(target, folder.classes, "sounds"))


def make_audio_estimator(settings: FitSettings, task: Task, verbose: int = 0) -> Any:
    """Return an unfitted estimator of sounds with the settings of a run.

    Raises
    ------
    InputError
        If settings are for tables, or a quantity is to be predicted.
    """
    refuse_settings(settings, "sounds")
    if task not in ("binary", "multiclass"):
        raise InputError("sounds are told apart by classes", f"a task of {task}", "set the task to multiclass")
    return AudioClassifier(
        **common_settings(settings, verbose), preparation=AudioPreparation(keep=keep_for(settings)),
        augment=settings.augment, class_weight=settings.class_weight, balance=settings.balance,
        threshold=settings.rule.value,
    )  # fmt: skip


def audio_copies(table: Table, train: NDArray[Any], valid: NDArray[Any], test: NDArray[Any]) -> int:
    """Return how many validation and test files are, byte for byte, also among those learned from before them."""
    content = np.array([hashlib.blake2b(Path(p).read_bytes(), digest_size=16).hexdigest() for p in table.frame[COLUMN]])
    in_valid = np.isin(content[valid], content[train])
    in_test = np.isin(content[test], content[np.concatenate([train, valid])])
    return int(in_valid.sum() + in_test.sum())


def audio_columns(
    train: pl.DataFrame | Sequence[str], test: pl.DataFrame | Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, str]]:
    """Return sounds as columns for classic models: mean and deviation of each band of their log-mel spectra.

    Also returned are the columns' roles.
    """
    seen, asked = (_paths(part) for part in (train, test))
    preparation = AudioPreparation()
    made = [_statistics(part) for part in (preparation.fit_transform(seen), preparation.transform(asked))]
    return made[0], made[1], dict.fromkeys(made[0].columns, "numeric")


def _paths(part: pl.DataFrame | Sequence[str]) -> list[str]:
    return [str(path) for path in (part[COLUMN] if isinstance(part, pl.DataFrame) else part)]


def _statistics(prepared: NDArray[np.float32]) -> pl.DataFrame:
    values, mask = prepared[..., :-1].astype(np.float64), prepared[..., -1:]
    count = mask.sum(axis=1)
    mean = (values * mask).sum(axis=1) / count
    spread = np.sqrt((((values - mean[:, None]) * mask) ** 2).sum(axis=1) / count)
    names = [f"band {i + 1} {what}" for what in ("mean", "spread") for i in range(values.shape[2])]
    return pl.DataFrame(np.concatenate([mean, spread], axis=1), schema=names)
