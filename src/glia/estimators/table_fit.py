"""From a table and a target's name to a fitted estimator: what ``glia.fit`` and ``glia fit`` do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import is_classifier

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.core.source_kinds import source_kind
from glia.data import Schema, Split, Table, check_target, infer_task, read, split_rows
from glia.data.preparation import Preparation
from glia.data.stream import Stream
from glia.engine.checkpointing import Checkpoints
from glia.estimators.choices import choose_members, usual_optimizer
from glia.estimators.classifier import Classifier
from glia.estimators.image_fit import copies, make_image_estimator, read_image_table
from glia.estimators.image_table import with_readable_pictures
from glia.estimators.raw_kinds import LABELS, SEQUENCES, TEXTS, RawKind, kind_of, raw_kind
from glia.estimators.raw_settings import named_roles
from glia.estimators.regressor import Regressor
from glia.estimators.seen_classes import check_seen
from glia.estimators.settings import FitSettings
from glia.estimators.step_table import labels_steps, step_targets
from glia.estimators.stream_table import stream_of
from glia.nn import networks
from glia.nn.numeric_embeddings import BY_BINS
from glia.objectives import Objective


@dataclass
class TableFit:
    """A fitted estimator with the rows that it was made from and judged by.

    Parameters
    ----------
    estimator : Classifier or Regressor
    table : Table
        All rows that were read.
    split : Split
        Which of them are for training, validation and test.
    y : ndarray (N,) or (N, T)
        Targets of all rows; where steps have labels, an array of them for each row.
    weight : ndarray (N,) or None
    task : Task
    timings : dict
        Seconds per stage.
    streamed : int or None
        Training rows that stayed on disk.
    kind : RawKind or None
        What rows are where they are neither plain ones nor pictures.
    """

    estimator: Any
    table: Table
    split: Split
    y: NDArray[Any]
    weight: NDArray[np.float64] | None
    task: Task
    timings: dict[str, float] = field(default_factory=dict)
    streamed: int | None = None
    kind: RawKind | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each part; of a stream all that were learned from, not only the sample that ``table`` holds."""
        found = {name: len(getattr(self.split, name)) for name in ("train", "valid", "test")}
        return found if self.streamed is None else {**found, "train": self.streamed}

    def part(self, name: str) -> tuple[Table, NDArray[Any]]:
        """Return the rows and targets of ``"train"``, ``"valid"`` or ``"test"``."""
        index = getattr(self.split, name)
        return self.table.take(index), self.y[index]


def fit(data: Any, target: str | list[str] | None = None, **settings: Any) -> Any:
    """Fit a network to a table and return the fitted estimator.

    Parameters
    ----------
    data : str, Path, frame, array or Table
        A file (CSV, Parquet, Arrow, JSON lines), a folder of them, or rows in memory; or a folder of pictures with a
        sub-folder per class.
    target : str or list of str, optional
        The column or columns to predict; of pictures by default the sub-folder.
    **settings
        Fields of ``FitSettings``: ``epochs=20``, ``roles={"zip": "categorical"}``, ….

    Returns
    -------
    Classifier, Regressor or ImageClassifier
        ``split_`` says which rows it has not seen: ``split_.test``.

    Raises
    ------
    InputError
        If the data or settings cannot be used; the message says what to do.
    """
    seed = settings.pop("random_state", settings.pop("seed", 0))
    path = isinstance(data, str) or hasattr(data, "__fspath__")
    named: dict[str, Any] = {} if target is None else {"target": target}
    checked = FitSettings(data=str(data) if path else "rows in memory", seed=seed, **named, **settings)
    if checked.time_budget is not None:
        got, do = f"time_budget={checked.time_budget!r}", "call glia.tune, or type glia fit --effort best --time-budget"
        raise InputError("glia.fit fits once, without a search", got, do)
    return fit_table(checked, data).estimator


def fit_table(
    settings: FitSettings,
    source: Any = None,
    *,
    verbose: int = 0,
    say: Callable[[str], None] = lambda line: None,
    checkpoint: Checkpoints | None = None,
) -> TableFit:
    """Read, split and fit as the settings say; ``say`` is told what is going on."""
    start = time.perf_counter()
    raw, divided = raw_kind(settings, source), dividing(settings, source)
    method = split_method(divided)
    say(f"reading {settings.data}")
    folder = raw is None and source_kind(settings.data if source is None else source) == "images"
    stream = None if folder or raw is not None else stream_of(settings, source)
    table = read_rows(settings, source, stream=stream, say=say)
    raw = None if stream is not None else kind_of(table.schema, settings)
    pictures = bool(table.schema.names("image"))
    y, task = targets(table, settings)
    if not table.schema.inputs():
        why = "; ".join(f"{column.name}: {column.reason}" for column in table.schema.columns[:6])
        raise InputError("at least one column must be usable", why, "see glia describe, and set --role")
    if len(table) < 10:
        noun, do = ("rows with a target", "give more rows") if raw is not LABELS else (
            "sequences with labels", "give more, or cut long ones into parts that have ids of their own")  # fmt: skip
        raise InputError(f"a fit needs at least 10 {noun}", f"{len(table)} in {table.name}", do)
    weight = None if settings.weight is None else weights(table.frame[settings.weight])
    strata = y if raw is None else raw.strata(y)
    split = stream.survey().split if stream is not None else _split(divided, table, strata, task, method)
    if folder or raw is not None:
        twice = copies if raw is None else raw.copies
        split = replace(split, duplicates=twice(table, split.train, split.valid, split.test))
    read_seconds = time.perf_counter() - start
    make = make_estimator_for if stream is None else _make_for_stream
    estimator = make(table.schema, settings, task, verbose).set_params(checkpoint=checkpoint)
    if stream is None and not pictures and raw is None and method == "random":
        split = folded(split, estimator)
    if stream is None:
        (check_seen if raw is None else raw.check_seen)(split, y, task)
    streamed = None if stream is None else int(stream.survey().counts.sum())
    found = TableFit(estimator, table, split, y, weight, task, {"read": read_seconds}, streamed, raw)
    what = raw.noun if raw is not None else "pictures" if folder else f"rows, {len(table.schema.inputs())} columns"
    say(f"training on {found.counts['train']:,} {what} ({task})")
    start = time.perf_counter()
    if stream is not None:
        estimator.fit(stream)
    else:
        rows, values = found.part("train")
        part = None if weight is None else weight[split.train]
        estimator.fit(rows, values, part, validation=found.part("valid") if len(split.valid) else None)
    estimator.set_params(checkpoint=None)  # the folder is this fit's, and not of one that may follow
    estimator.split_, estimator.target_name_ = split, settings.target
    found.timings["fit"] = time.perf_counter() - start
    return found


def folded(split: Split, estimator: Any) -> Split:
    """Return a split whose validation rows are training rows, where every network holds out a fold of its own."""
    whole = np.union1d(split.train, split.valid)
    several = choose_members(estimator.get_params(deep=False), len(whole), classes=is_classifier(estimator)) > 1
    own = estimator.members == "auto" and not estimator.bootstrap and getattr(estimator, "balance", "none") == "none"
    judged = len(split.valid) > 0 and estimator.early_stopping is not False
    return replace(split, train=whole, valid=whole[:0]) if own and several and judged else split


def read_rows(
    settings: FitSettings,
    source: Any = None,
    *,
    stream: Stream | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Table:
    """Return the rows that a run learns from, of whatever kind they are."""
    raw = raw_kind(settings, source)
    if raw is not None:
        return raw.read(settings, source)
    if source_kind(settings.data if source is None else source) == "images":
        return read_image_table(settings, source)
    return _read_table(settings, source, stream, say)


def make_estimator_for(schema: Schema, settings: FitSettings, task: Task, verbose: int = 0) -> Any:
    """Return an unfitted estimator with the settings of a run, for rows of whatever kind the schema says."""
    raw = kind_of(schema, settings)
    if raw is not TEXTS and settings.text_length != "auto":
        got = f"text_length={settings.text_length!r} without one"
        raise InputError("texts have a length where a network reads them", got, "--network text_convnet, or --backbone")
    if raw is not None:
        return raw.make(settings, task, verbose)
    if settings.backbone is not None and not schema.names("image"):
        got = f"backbone={settings.backbone!r}, and no column of them"
        raise InputError("this backbone reads pictures", got, "say which one holds paths: --role NAME=image")
    if schema.names("image"):
        return make_image_estimator(settings, task, verbose, beside=len(schema.inputs()) > 1)
    return make_estimator(settings, task, verbose)


def dividing(settings: FitSettings, source: Any = None) -> FitSettings:
    """Return the settings by which rows are divided into parts: of sequences, the time orders their steps instead."""
    return settings.replace(time=None) if raw_kind(settings, source) is SEQUENCES else settings


def _read_table(settings: FitSettings, source: Any, stream: Stream | None, say: Callable[[str], None]) -> Table:
    """Return the rows, of a stream a sample of them."""
    if stream is not None:
        say("the rows stay on disk: looking through them once")
        table = stream.survey().table
    else:
        table = read(
            settings.data if source is None else source,
            target=settings.target,
            roles=named_roles(settings),
            drop=settings.drop,
            limit=settings.max_rows,
        )
    if not table.schema.names("image"):
        return table
    if stream is not None:
        got = f"the column {table.schema.names('image')[0]!r}"
        raise InputError("a stream of rows holds no pictures", got, "set stream to false, or drop the column")
    return with_readable_pictures(table)


def _split(
    settings: FitSettings, table: Table, y: NDArray[Any], task: Task, method: Literal["random", "group", "time"]
) -> Split:
    """Return how the rows are divided."""
    return split_rows(
        table,
        y=y if y.ndim == 1 else None,
        task=task if y.ndim == 1 else None,
        method=method,
        group=settings.group,
        time=settings.time,
        test_fraction=settings.test_fraction,
        validation_fraction=settings.validation_fraction,
        random_state=settings.seed,
    )


def weights(column: pl.Series) -> NDArray[np.float64]:
    """Return the weights of rows, (N,).

    Raises
    ------
    InputError
        If one is missing or below 0, or all are 0.
    """
    values = column.cast(pl.Float64).to_numpy().astype(np.float64)
    wrong = np.flatnonzero(~(values >= 0))
    if len(wrong):
        got = f"{'a missing one' if np.isnan(values[wrong[0]]) else f'{values[wrong[0]]:g}'} in {column.name!r}"
        raise InputError("weights must be numbers of at least 0", got, "correct it, or drop the column")
    if not values.any():
        raise InputError("some weight must be above 0", f"only zeros in {column.name!r}", "choose another column")
    return values


def split_method(settings: FitSettings) -> Literal["random", "group", "time"]:
    """Return how rows are divided: as was said, else by the column that was named for it.

    A named group is not just passed over: its rows in two parts would make the test too easy.

    Raises
    ------
    InputError
        If columns of both kinds are named and nothing says which counts.
    """
    if settings.split != "random" or (settings.group is None and settings.time is None):
        return settings.split
    if settings.group is not None and settings.time is not None:
        named = f"group={settings.group!r} and time={settings.time!r}"
        raise InputError("rows are divided by group or by time", named, "set split to 'group' or to 'time'")
    return "time" if settings.group is None else "group"


def targets(table: Table, settings: FitSettings) -> tuple[NDArray[Any], Task]:
    """Return targets (N,) or (N, T) and the task; of steps with labels an array (N,) of arrays (T,).

    Raises
    ------
    InputError
        If a target cannot be learned from, or several do not go together.
    """
    if labels_steps(table.schema):
        return step_targets(table, settings)
    names = settings.targets
    wanted = None if settings.task == "auto" else settings.task
    kinds = {name: wanted or infer_task(table.frame[name]) for name in names}
    for name in names:
        single = {"multilabel": "binary"}.get(kinds[name], kinds[name])
        check_target(table.frame, name, single)  # type: ignore[arg-type]  # the mapping keeps to Task
    if len(names) == 1:
        return _values(table.frame[names[0]], kinds[names[0]]), kinds[names[0]]
    if set(kinds.values()) <= {"binary", "multilabel"}:
        codes = [np.unique(_values(table.frame[name], "binary"), return_inverse=True)[1] for name in names]
        return np.stack(codes, axis=1), "multilabel"
    if set(kinds.values()) == {"regression"}:
        return np.stack([_values(table.frame[name], "regression") for name in names], axis=1), "regression"
    shown = ", ".join(f"{name}: {kind}" for name, kind in kinds.items())
    raise InputError("several targets must all be quantities or all have two classes", shown, "fit them one by one")


def _values(column: pl.Series, task: str) -> NDArray[Any]:
    if task == "regression":
        values = column.cast(pl.Float64, strict=False)
        if values.null_count() > column.null_count():
            bad = column.filter(values.is_null())[0]
            raise InputError(
                f"the target of a regression must be numbers: {column.name!r}", repr(bad), "set the task to multiclass"
            )
        return values.to_numpy()
    array = column.to_numpy()
    return array.astype(str) if column.dtype in (pl.String, pl.Categorical, pl.Enum) or array.dtype == object else array


def _make_for_stream(schema: Schema, settings: FitSettings, task: Task, verbose: int = 0) -> Any:
    return make_estimator(settings, task, verbose)  # what stays on disk is a table, whatever its columns are


def make_estimator(settings: FitSettings, task: Task, verbose: int = 0) -> Any:
    """Return an unfitted estimator with the settings of a run."""
    shape = {
        "hidden": None if settings.hidden is None else tuple(settings.hidden),
        **{name: _given(getattr(settings, name)) for name in ("activation", "norm", "dropout", "numeric_embedding")},
    }
    shape = {name: value for name, value in shape.items() if value is not None}
    network: Any = settings.network
    if shape:
        network = shape if settings.network == "auto" else networks.get(settings.network)(**shape)
    prepare = {name: getattr(settings, name) for name in ("impute", "scale", "encode")}
    embedded = shape.get("numeric_embedding") in BY_BINS
    preparation: Any = "auto"
    if embedded or any(value != "auto" for value in prepare.values()):
        preparation = Preparation(**prepare, numeric_bins=32 if embedded else 0)
    optimizer: Any = settings.optimizer
    if settings.weight_decay != "auto":
        optimizer = usual_optimizer(settings.optimizer, float(settings.weight_decay), table=True)
    common = {
        "network": network, "preparation": preparation, "optimizer": optimizer,
        "objective": Objective(settings.loss, l1=settings.l1, l2=settings.l2),
        "lr": settings.lr, "schedule": settings.schedule, "batch_size": settings.batch_size,
        "epochs": settings.epochs, "validation_fraction": settings.validation_fraction,
        "early_stopping": "auto" if settings.early_stopping is True else settings.early_stopping,
        "effort": settings.effort, "precision": settings.precision, "device": settings.device,
        "random_state": settings.seed, "verbose": verbose, "members": settings.members if settings.workers == 1 else 1,
        "bootstrap": settings.bagging, "radial": settings.radial,
    }  # fmt: skip
    if task != "regression":
        return Classifier(
            **common, class_weight=settings.class_weight, balance=settings.balance, threshold=settings.rule.value
        )
    for name, default in (("balance", "none"), ("threshold", "auto"), ("cost", None)):
        if getattr(settings, name) != default:
            got = f"{name}={getattr(settings, name)!r} for a quantity"
            raise InputError(f"{name} is for classes", got, "leave it away, or set the task")
    return Regressor(**common)


def _given(value: Any) -> Any:
    return None if value == "auto" else value
