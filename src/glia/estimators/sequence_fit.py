"""From a file of labelled sequences to what a run needs of it: a table with a row for each, an estimator, columns."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.counts import counted
from glia.core.errors import InputError, near
from glia.core.protocols import Task
from glia.core.source_kinds import looks_like_series, source_kind
from glia.data import Column, Schema, Table, read
from glia.data.schema import check_role
from glia.data.series import SequencePreparation, Sequences, as_sequences, from_nested, nested_frame, sequences_of
from glia.estimators.large_rows import keep_for
from glia.estimators.raw_settings import common_settings, refuse_settings
from glia.estimators.sequence_classifier import SequenceClassifier
from glia.estimators.sequence_regressor import SequenceRegressor
from glia.estimators.settings import FitSettings
from glia.estimators.step_table import label_table, labels_steps, lists, ordered_steps, split_labels

ORDERS = "orders the steps"
"""Why a column of times is not learned from."""
_FROM_FILE = ("drop", "weight", "group", "time", "roles", "id")


def is_sequences(settings: FitSettings, source: Any = None) -> bool:
    """Tell whether a run learns from sequences: steps with an id, arrays, or a file of the UCR archive."""
    data = settings.data if source is None else source
    if settings.id is not None:
        return True
    if source_kind(data) == "sequences":
        return True
    return settings.target == "label" and looks_like_series(data)


def read_sequence_table(settings: FitSettings, source: Any = None) -> Table:
    """Return labelled sequences as a table with a row for each.

    Where the target differs within sequences, it is a label for every step: a list in each row.

    Raises
    ------
    InputError
        If columns are missing, or a group or weight is not the same in all steps of a sequence.
    """
    data = settings.data if source is None else source
    if len(settings.targets) != 1:
        raise InputError("sequences have one target", f"target={settings.target!r}", "name one column")
    if settings.id is not None:
        return _long(settings, data)
    given = [name for name in _FROM_FILE if getattr(settings, name)]
    if given:
        got = ", ".join(f"{name}={getattr(settings, name)!r}" for name in given)
        raise InputError("these name columns of a long table", got, "leave them out, or name the id")
    values, y = arrays_of(data)
    if y is None:
        raise InputError("a file to learn from must hold the answers", f"{str(data)!r} without 'y'", "store them as y")
    sequences = _shortened(as_sequences(values), settings.max_rows)
    target = settings.targets[0]
    if target in sequences.channels:
        raise InputError("the target must not be named like a channel", repr(target), "choose another --target")
    if y.ndim == 2:
        kept = np.concatenate([row[:n] for row, n in zip(y, sequences.lengths, strict=False)])
        named = _channel_columns(nested_frame(sequences), sequences)
        return label_table(sequences, pl.Series(kept), target, beside={}, columns=named, name=Path(data).name)
    frame = nested_frame(sequences).insert_column(0, pl.Series(target, y[: len(sequences)]))
    columns = (_target_column(frame, target, "stored as y"), *_channel_columns(frame, sequences))
    return Table(frame, Schema(columns, (), len(frame)), Path(data).name)


def _long(settings: FitSettings, data: Any) -> Table:
    target, time, id = settings.targets[0], settings.time, settings.id or ""
    steps = _steps(data, settings.drop, settings.max_rows)
    asked = {"id": id, "target": target, "time": time, "group": settings.group, "weight": settings.weight}
    for what, name in asked.items():
        if name is not None and name not in steps.columns:
            raise InputError(f"the {what} must be a column", repr(name), near(name, steps.columns))
    named = [name for name in asked.values() if name is not None]
    if len(set(named)) < len(named):
        raise InputError("a column can have one part to play", ", ".join(f"{k}={v!r}" for k, v in asked.items() if v))
    kept = [name for name in (target, settings.group, settings.weight) if name is not None]
    first = _first_of(steps, id, kept)
    for name in (name for name in kept if name != target):
        _check_same(first, id, name)
    rest = steps.drop(kept)
    words = [name for name in rest.columns if name not in (id, time) and not _is_number(rest[name])]
    if words:
        got = f"{', '.join(map(repr, words[:5]))} of type {rest[words[0]].dtype}"
        raise InputError("channels must be numbers", got, "leave them out: --drop NAME")
    if (first[f"{target} differs"] > 1).any():
        return _labelled(settings, steps, rest, first, data)
    sequences = sequences_of(rest, id=id, time=time)
    frame = pl.concat([first.select(id, *kept), nested_frame(sequences)], how="horizontal")
    known = frame[target].is_not_null().to_numpy()
    columns = _beside(settings, frame)
    columns.insert(1, _target_column(frame, target, "of all steps of a sequence"))
    if time is not None:
        times = steps.group_by(id, maintain_order=True).agg(pl.col(time).min())[time]
        frame = frame.insert_column(1, times.alias(time))
        columns.insert(1, Column(time, "ignored", str(steps[time].dtype), ORDERS, 0, steps[time].n_unique()))
    schema = Schema((*columns, *_channel_columns(frame, sequences)), (), int(known.sum()))
    return Table(frame.filter(known), schema, _name(data))


def _first_of(steps: pl.DataFrame, id: str, names: list[str]) -> pl.DataFrame:
    """Return of every sequence the first known value of these columns, and in "NAME differs" how many it has."""
    return steps.group_by(id, maintain_order=True).agg(
        *(pl.col(name).drop_nulls().first() for name in names),
        *(pl.col(name).drop_nulls().n_unique().alias(f"{name} differs") for name in names),
    )


def _check_same(first: pl.DataFrame, id: str, name: str) -> None:
    """Refuse a column that must have one value for a sequence and has several."""
    wrong = first.filter(pl.col(f"{name} differs") > 1)
    if wrong.height:
        got = f"{counted(wrong.height, 'sequence')} with several, {wrong[id][0]!r} first"
        raise InputError(f"all steps of a sequence must have the same {name!r}", got, "correct the rows")


def _beside(settings: FitSettings, frame: pl.DataFrame) -> list[Column]:
    """Return the columns that say of a sequence which it is, and what group and weight it has."""
    id = str(settings.id)
    columns = [Column(id, "id", str(frame[id].dtype), "tells sequences apart", 0, frame.height)]
    for name, role in ((settings.group, "group"), (settings.weight, "weight")):
        if name is not None:
            columns.append(Column(name, check_role(role, name), str(frame[name].dtype)))
    return columns


def _name(data: Any) -> str:
    return Path(data).name if isinstance(data, (str, os.PathLike)) else "rows in memory"


def _labelled(settings: FitSettings, steps: pl.DataFrame, rest: pl.DataFrame, first: pl.DataFrame, data: Any) -> Table:
    """Return a table of sequences with a label for every step, and the time of every step where times are known."""
    id, time, target = str(settings.id), settings.time, settings.targets[0]
    channels = [name for name in rest.columns if name not in (id, time)]
    sequences, order = ordered_steps(rest, id=id, time=time, channels=channels)
    columns = _beside(settings, first)
    beside = {name: first[name] for name in (column.name for column in columns)}
    if time is not None:
        beside[time] = lists(steps[time].gather(order), sequences.lengths)
        columns.append(Column(time, "ignored", str(steps[time].dtype), ORDERS, 0, steps[time].n_unique()))
    columns += _channel_columns(nested_frame(sequences), sequences)
    labels = steps[target].gather(order)
    return label_table(sequences, labels, target, beside=beside, columns=columns, name=_name(data))


def _is_number(column: pl.Series) -> bool:
    kind = column.dtype
    return kind.is_numeric() or kind in (pl.Boolean, pl.Null)


def _steps(data: Any, drop: list[str], limit: int | None = None) -> pl.DataFrame:
    frame: pl.DataFrame = read(data, infer=False, limit=limit).frame
    return frame.drop([name for name in drop if name in frame.columns])


def _target_column(frame: pl.DataFrame, target: str, why: str) -> Column:
    values = frame[target]
    return Column(target, "target", str(values.dtype), why, values.null_count(), values.drop_nulls().n_unique())


def _channel_columns(frame: pl.DataFrame, sequences: Sequences) -> list[Column]:
    low, high = int(sequences.lengths.min()), int(sequences.lengths.max())
    said = f"{low:,} steps each" if low == high else f"{low:,} to {high:,} steps"
    missing = np.isnan(sequences.values).sum(axis=0)
    return [
        Column(name, "sequence", str(frame[name].dtype), "a channel", 0, frame.height, _note(said, int(gaps)))
        for name, gaps in zip(sequences.channels, missing, strict=True)
    ]


def _note(said: str, gaps: int) -> str:
    return f"{said}; {gaps:,} values are missing" if gaps else said


def _shortened(sequences: Sequences, limit: int | None) -> Sequences:
    return sequences if limit is None else sequences[slice(0, limit)]


def arrays_of(path: Any) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return what a file of arrays holds: series (N, T) or (N, T, C), and their targets where they are there.

    Targets are (N,), or (N, T): a label for every step.

    Raises
    ------
    InputError
        If it is no such file, or it has no ``X``.
    """
    name = repr(str(path))
    if source_kind(path) != "sequences":
        if not looks_like_series(path):
            raise InputError("a file of series must be .npz, or as the UCR archive has them", name, "or name the id")
        try:
            rows = np.loadtxt(path, ndmin=2)
        except ValueError as error:
            raise InputError("a file of series must hold numbers", f"{name}: {str(error).splitlines()[0]}") from error
        labels = rows[:, 0]
        return rows[:, 1:], labels.astype(np.int64) if (labels == np.rint(labels)).all() else labels
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:  # which leaves broken ones open
            found = {key: archive[key] for key in archive.files if key in ("X", "y")}
    except (OSError, ValueError, zipfile.BadZipFile, KeyError, EOFError) as error:
        got = f"{name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        raise InputError("a file of arrays must be a .npz of plain arrays", got) from error
    if "X" not in found:
        raise InputError(
            "a file of arrays must hold X, (N, T) or (N, T, C)", f"{name} without it", "np.savez(f, X=X, y=y)"
        )
    X, y = found["X"], found.get("y")
    if y is not None and y.shape not in ((len(X),), X.shape[:2]):
        must = "y must have one value for each sequence, or one for each of its steps"
        raise InputError(must, f"shape {y.shape} for X of shape {X.shape}")
    return X, y


def sequences_from(path: Any, schema: Schema | None, target: str | None) -> tuple[Any, Any]:
    """Return the sequences of a file as a fitted model takes them, and their targets or ``None``.

    Targets of a model that labels steps are an array (N,) of arrays (T,); None stands for a missing one.

    Parameters
    ----------
    path : path-like
    schema : Schema, optional
        Of the model: which columns are the id, the times and the channels.
    target : str, optional
        Column of the targets.

    Raises
    ------
    InputError
        If the file does not hold what the model was fitted to.
    """
    ids = () if schema is None else schema.names("id")
    if schema is None or not ids:
        return _from_arrays(path, schema)
    steps, sequences, order = _known_steps(path, schema)
    if target is None or target not in steps.columns:
        return sequences, None
    if labels_steps(schema):
        return sequences, split_labels(steps[target].gather(order), sequences.lengths)
    first = _first_of(steps, ids[0], [target])
    _check_same(first, ids[0], target)
    return sequences, first[target]


def _known_steps(path: Any, schema: Schema) -> tuple[pl.DataFrame, Sequences, NDArray[np.intp]]:
    """Return the rows of a long table, the sequences of the fitted channels, and of each step its row."""
    steps, time, id = _steps(path, []), time_of(schema), schema.names("id")[0]
    channels = list(schema.names("sequence"))
    for name in (id, *([] if time is None else [time]), *channels):
        if name not in steps.columns:
            raise InputError(
                "the rows must have the columns that were fitted", f"no {name!r}", near(name, steps.columns)
            )
    return steps, *ordered_steps(steps, id=id, time=time, channels=channels)


def unlabelled_steps(path: Any, schema: Schema | None) -> Any:
    """Return the sequences of a file for a model that labels their steps: with their id and their times, if there.

    Raises
    ------
    InputError
        If the file does not hold what the model was fitted to.
    """
    if schema is None or not schema.names("id"):
        return _from_arrays(path, schema, answers=False)[0]
    steps, sequences, order = _known_steps(path, schema)
    id, time = schema.names("id")[0], time_of(schema)
    frame = nested_frame(sequences).insert_column(0, pl.Series(id, list(sequences.ids), dtype=steps[id].dtype))
    if time is not None:
        frame = frame.insert_column(1, lists(steps[time].gather(order), sequences.lengths).alias(time))
    return Table(frame, Schema(tuple(column for column in schema.columns if column.name in frame.columns)), str(path))


def time_of(schema: Schema) -> str | None:
    """Return the column by which steps are ordered, where there is one."""
    return next((column.name for column in schema.columns if column.reason == ORDERS), None)


def _from_arrays(path: Any, schema: Schema | None, *, answers: bool = True) -> tuple[Sequences, Any]:
    values, y = arrays_of(path)
    sequences = as_sequences(values)
    if not answers:
        return sequences, None
    each = labels_steps(schema)
    if y is not None and (y.ndim == 2) != each:
        must = "y must hold one label for each step" if each else "y must hold one value for each sequence"
        raise InputError(must, f"shape {y.shape} in {str(path)!r}", "hand in what the model was fitted to")
    if y is None or not each:
        return sequences, y
    kept = np.concatenate([row[:n] for row, n in zip(y, sequences.lengths, strict=True)])
    return sequences, split_labels(pl.Series(kept), sequences.lengths)


def make_sequence_estimator(settings: FitSettings, task: Task, verbose: int = 0) -> Any:
    """Return an unfitted estimator of sequences with the settings of a run.

    Raises
    ------
    InputError
        If settings are for tables.
    """
    refuse_settings(settings, "sequences", but=("scale",))
    if settings.scale not in ("auto", "standard", "per_series", "none"):
        raise InputError("sequences are scaled standard, per_series or not", f"scale={settings.scale!r}", "")
    scale = "standard" if settings.scale == "auto" else settings.scale
    preparation = SequencePreparation(scale=scale, keep=keep_for(settings))
    common = {**common_settings(settings, verbose), "preparation": preparation}
    if task == "regression":
        return SequenceRegressor(**common)
    return SequenceClassifier(
        **common, class_weight=settings.class_weight, balance=settings.balance, threshold=settings.rule.value
    )


def sequence_copies(table: Table, train: NDArray[Any], valid: NDArray[Any], test: NDArray[Any]) -> int:
    """Return how many validation and test sequences are, value for value, also among those learned from before them."""
    names = list(table.schema.names("sequence"))
    hashes = table.frame.select(pl.struct(pl.col(names).list.eval(pl.element().hash()).list.sum()).hash()).to_series()
    own = hashes.to_numpy()
    in_valid = np.isin(own[valid], own[train])
    in_test = np.isin(own[test], own[np.concatenate([train, valid])])
    return int(in_valid.sum() + in_test.sum())


def sequence_columns(train: pl.DataFrame, test: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, str]]:
    """Return sequences as columns for classic models: of each channel the mean, spread, ends and slope; the length.

    Also returned are the columns' roles.
    """
    made = [_statistics(part) for part in (train, test)]
    return made[0], made[1], dict.fromkeys(made[0].columns, "numeric")


def _statistics(frame: pl.DataFrame) -> pl.DataFrame:
    sequences = from_nested(frame)
    found: dict[str, Any] = {"steps": sequences.lengths.astype(float)}
    parts = np.split(sequences.values, np.cumsum(sequences.lengths)[:-1])
    for place, name in enumerate(sequences.channels):
        rows = [_described(part[:, place]) for part in parts]
        for key in rows[0]:
            found[f"{name} {key}"] = [row[key] for row in rows]
    return pl.DataFrame(found)


def _described(values: NDArray[np.float64]) -> dict[str, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return dict.fromkeys(("mean", "spread", "least", "greatest", "first", "last", "change", "lag 1"), 0.0)
    steps, spread = np.diff(known), float(known.std())
    near = float(np.mean((known[1:] - known.mean()) * (known[:-1] - known.mean()))) if len(known) > 1 else 0.0
    return {
        "mean": float(known.mean()), "spread": spread, "least": float(known.min()), "greatest": float(known.max()),
        "first": float(known[0]), "last": float(known[-1]),
        "change": float(np.abs(steps).mean()) if len(steps) else 0.0, "lag 1": near / (spread**2 + 1e-12),
    }  # fmt: skip
