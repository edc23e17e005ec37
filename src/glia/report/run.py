"""A whole run: fit, judge against classic models, look inside, and write the folder that people keep."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glia import __version__
from glia.core.errors import InputError
from glia.core.files import atomic_path, write_json, write_text
from glia.core.results import jsonable
from glia.data import Schema, Split
from glia.engine.checkpointing import Checkpoints
from glia.engine.distributed.place import place
from glia.engine.distributed.settings import sharing
from glia.engine.intervals import Every, read_interval
from glia.estimators.baselines import Baseline, fit_baselines
from glia.estimators.image_fit import FILE, beside_classic_columns
from glia.estimators.persist import save
from glia.estimators.raw_kinds import LABELS, TEXTS
from glia.estimators.settings import FitSettings
from glia.estimators.table_fit import TableFit, fit_table
from glia.explain.checks import quick_check
from glia.explain.permutation import permutation_importance
from glia.explain.shap import shap
from glia.objectives import coverage, evaluate, metrics, metrics_for, paired_difference, primary_metric, reliability
from glia.objectives.evaluation import EvaluationResult
from glia.report.best_effort import best_within, searched_choice
from glia.report.effects import leading_effects
from glia.report.evidence import curves, data_profile, decided, hardest_rows, weak_groups
from glia.report.explanation import explanation_record
from glia.report.html import render
from glia.report.metric_record import metric_data, resamples
from glia.report.network_record import network_record
from glia.report.pictures import with_pictures
from glia.report.run_folder import OUTPUTS, RunFolder
from glia.report.step_run import step_record
from glia.report.verdict import verdict
from glia.report.word_explanation import words_of

_PACKAGES = ("torch", "numpy", "scikit-learn", "polars")
_IMPORTANCE_ROWS = 2000
_PICTURE_ROWS = 400  # pictures are decoded again for every shuffled column
_BACKGROUND_ROWS = 1000


@dataclass(frozen=True)
class Run:
    """What a run left: its record, its folder, the verdict in words and the files by name."""

    record: dict[str, Any]
    folder: Path
    verdict: str
    files: dict[str, Path]


@dataclass(frozen=True)
class _Judged:
    """Predictions of a model for the test rows, as metrics want them."""

    prediction: NDArray[Any]
    probability: NDArray[np.float64] | None

    def for_metric(self, name: str) -> NDArray[Any]:
        if metrics.get(name).needs == "probability" and self.probability is not None:
            return self.probability
        return self.prediction


def fit_run(
    settings: FitSettings, *, quiet: bool = False, command: str = "", source: Any = None, resume: bool = False
) -> Run | None:
    """Fit as the settings say and write the run's folder.

    Of several workers, the first judges and writes; the others return ``None`` when the training is done.

    A run that was killed goes on when it is run again in its folder; with ``resume``, other settings are refused there.

    Raises
    ------
    InputError
        If the data or settings cannot be used; nothing is then left behind.
    KeyboardInterrupt
        After Ctrl-C during training; the best weights so far are saved, and the message says where.
    """
    say = _speaker(quiet)
    folder = RunFolder(settings.out)
    folder.check()
    began = time.perf_counter()
    first = place().first
    marked = folder.running(settings, command, resumed=resume) if first else nullcontext()
    with marked, sharing(settings.distribution):
        checkpoint = None
        if read_interval(settings.checkpoint_every) != Every():
            checkpoint = Checkpoints(folder.checkpoints, settings.checkpoint_every, replace=not resume, say=say)
        wanted, searched = best_within(settings, folder.checkpoints, say)
        fitted = fit_table(wanted, source, verbose=0 if quiet else 1, say=say, checkpoint=checkpoint)
        if not first:
            if fitted.estimator.interrupted_:
                raise KeyboardInterrupt
            return None
        record = _judge(fitted, settings, folder, say)
        record["search"] = searched
        record["choices"] = {**record["choices"], **searched_choice(searched)}
        record["timings"]["total"] = time.perf_counter() - began
        say("writing the model and the report")
        files = _write(folder.path, fitted, settings, record)
    folder.finish()
    return Run(record, folder.path, record["verdict"], files)


def _judge(fitted: TableFit, settings: FitSettings, folder: RunFolder, say: Callable[[str], None]) -> dict[str, Any]:
    """Return the record of the fit; after Ctrl-C, in training or now, keep the model and say where it is."""
    model = folder.path / "model.glia"
    if fitted.estimator.interrupted_:
        if not fitted.estimator.n_iter_:
            raise KeyboardInterrupt(f"before the first epoch was done; {folder.go_on or 'nothing was written'}")
        save(fitted.estimator, model, target=settings.target)
        weights = f"the best weights so far (epoch {fitted.estimator.best_epoch_}) are in {model}"
        raise KeyboardInterrupt("; ".join(part for part in (weights, folder.go_on) if part))
    try:
        return build_record(fitted, settings, folder.begun().get("command", ""), say)
    except KeyboardInterrupt:
        save(fitted.estimator, model, target=settings.target)
        done = f"training was done: the model is in {model}; there is no report"
        raise KeyboardInterrupt("; ".join(part for part in (done, folder.go_on) if part)) from None


def build_record(
    fitted: TableFit, settings: FitSettings, command: str = "", say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Return everything that is known of a run, as plain JSON data."""
    record = _facts(fitted, settings, command)
    if len(fitted.split.test) == 0:
        raise InputError("a run needs test rows", "none", "make test_fraction larger")
    if fitted.kind is LABELS:
        return _told(record | step_record(fitted, settings, record, say))
    rows, y = fitted.part("test")
    estimator, task = fitted.estimator, fitted.task
    n_boot = resamples(settings.bootstrap, len(y))
    weight = None if fitted.weight is None else fitted.weight[fitted.split.test]
    probability = None if task == "regression" else estimator.predict_proba(rows)
    prediction = estimator.predict(rows) if probability is None else estimator.decide(probability)
    network = _Judged(prediction, probability)
    say(f"judging on {len(y):,} test rows")
    classes = None if task in ("regression", "multilabel") else estimator.classes_
    scores = evaluate(task, y, prediction, probability, weight, classes=classes, n_boot=max(n_boot, 1))
    record["metrics"] = {"test": metric_data(scores, bool(n_boot))}
    if probability is not None:
        record |= decided(estimator, y, prediction, weight)
    if settings.baselines:
        start = time.perf_counter()
        say("fitting classic models to compare with")
        record |= _against_classic(fitted, settings, network, y, weight, n_boot)
        record["timings"]["baselines"] = time.perf_counter() - start
    start = time.perf_counter()
    say("looking inside")
    record |= _inside(fitted, settings, network, rows, y)
    record["timings"]["evidence"] = time.perf_counter() - start
    return _told(record)


def _told(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as plain JSON data, with its verdict."""
    plain: dict[str, Any] = jsonable(record)
    plain["verdict"] = verdict(plain)
    return plain


def _facts(fitted: TableFit, settings: FitSettings, command: str) -> dict[str, Any]:
    estimator, table, split = fitted.estimator, fitted.table, fitted.split
    info = {
        m.name: {"greater_is_better": m.greater_is_better, "description": m.description}
        for m in metrics_for(fitted.task)
    }
    return {
        "glia": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "settings": settings.model_dump(),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "hardware": {"processor": _processor(), "threads": torch.get_num_threads(), "device": str(estimator._device)},
        "source": {"name": table.name, "rows": _rows(fitted), "columns": len(table.schema.columns)},
        "target": ", ".join(settings.targets),
        "task": fitted.task,
        "classes": [] if fitted.task == "regression" else [str(c) for c in estimator.classes_.tolist()],
        "schema": _schema_data(table.schema),
        "profile": data_profile(table.frame, table.schema.to_dict()),
        "split": _split_data(split, fitted.counts, sampled=fitted.streamed is not None),
        "network": network_record(estimator),
        "choices": estimator.choices_,
        "training": {
            "epochs": estimator.n_iter_,
            "best_epoch": estimator.best_epoch_,
            "seconds": fitted.timings["fit"],
            "stopped": estimator.stop_reason_,
            "events": estimator.events_,
        },
        "primary": primary_metric(fitted.task).name,
        "metric_info": info,
        "timings": dict(fitted.timings),
    }


def _rows(fitted: TableFit) -> int:
    """Return the rows of the source; of a stream those on disk, not the sample that the table holds."""
    return len(fitted.table) if fitted.streamed is None else fitted.table.schema.rows


def _split_data(split: Split, counts: dict[str, int], *, sampled: bool) -> dict[str, Any]:
    """Return how rows were divided: how many went where, and which (row numbers from 0).

    Of a stream the numbers are of the uniform sample that roles, preparation and classic models learn from.
    """
    parts = {name: getattr(split, name) for name in ("train", "valid", "test")}
    return {
        "method": split.method,
        "duplicates": split.duplicates,
        "rows": counts,
        "numbers": {name: part.tolist() for name, part in parts.items()},
        "sample": sum(len(part) for part in (split.train, split.valid)) if sampled else None,
    }


def _schema_data(schema: Schema) -> dict[str, Any]:
    """Return the schema as the report reads it: what is merely worth knowing is a note, not a warning."""
    data = schema.to_dict()
    notes = [{**one, "severity": "note" if one["severity"] == "info" else one["severity"]} for one in data["warnings"]]
    return {**data, "warnings": notes}


def _against_classic(
    fitted: TableFit, settings: FitSettings, network: _Judged, y: NDArray[Any], weight: Any, n_boot: int
) -> dict[str, Any]:
    task, estimator = fitted.task, fitted.estimator
    seen = np.sort(np.concatenate([fitted.split.train, fitted.split.valid]))  # they need no validation rows
    train, test, roles = _classic_rows(fitted, seen)
    found = fit_baselines(
        task,
        train,
        fitted.y[seen],
        test,
        roles=roles,
        sample_weight=None if fitted.weight is None else fitted.weight[seen],
        random_state=settings.seed,
    )
    classes = None if task in ("regression", "multilabel") else estimator.classes_
    scored: list[tuple[Baseline, EvaluationResult]] = [
        (b, evaluate(task, y, b.prediction, b.probability, weight, classes=classes, n_boot=max(n_boot, 1)))
        for b in found
    ]
    listed = [
        {"name": b.name, "metrics": metric_data(s, bool(n_boot)), "seconds": b.seconds, "note": b.note}
        for b, s in scored
    ]
    metric = primary_metric(task)
    sign = 1.0 if metric.greater_is_better else -1.0
    able = [(b, s) for b, s in scored if metric.name in s.metrics]
    own = evaluate(task, y, network.prediction, network.probability, classes=classes, n_boot=1).metrics
    if not able or metric.name not in own:
        return {"baselines": listed}
    best = max(able, key=lambda pair: sign * pair[1].metrics[metric.name].value)[0]
    a, b = network.for_metric(metric.name), _Judged(best.prediction, best.probability).for_metric(metric.name)
    gap = paired_difference(task, metric, y, a, b, weight, classes=classes, n_boot=max(n_boot, 100))
    low, high = sorted((sign * gap.low, sign * gap.high))
    outcome = "better" if low > 0 else "worse" if high < 0 else "tie"
    difference = {"value": sign * gap.value, "low": low, "high": high, "level": gap.level}
    comparison = {"baseline": best.name, "metric": metric.name, "difference": difference, "outcome": outcome}
    return {"baselines": listed, "comparison": comparison}


def _classic_rows(fitted: TableFit, seen: NDArray[Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Return training rows, test rows and the roles of their columns, as classic models take them."""
    frames = [fitted.table.take(index).frame for index in (seen, fitted.split.test)]
    raw = fitted.kind
    if raw is not None:
        held = list(fitted.table.schema.names(raw.role))
        return raw.columns(frames[0].select(held), frames[1].select(held))
    pictures = fitted.table.schema.names("image")
    inputs = [name for name in fitted.table.schema.inputs() if name not in pictures]
    roles: dict[str, Any] = {name: fitted.table.schema.role(name) for name in inputs}
    if not pictures:
        return frames[0].select(inputs), frames[1].select(inputs), roles
    train, test, found = beside_classic_columns(frames[0], frames[1], pictures, inputs)
    return train, test, roles | found


def _inside(fitted: TableFit, settings: FitSettings, network: _Judged, rows: Any, y: NDArray[Any]) -> dict[str, Any]:
    task, estimator = fitted.task, fitted.estimator
    found: dict[str, Any] = {}
    inputs = list(fitted.table.schema.inputs())
    pictures, raw = fitted.table.schema.names("image"), fitted.kind
    names = settings.targets if task in ("regression", "multilabel") else estimator.classes_.tolist()
    found["curves"] = curves(task, y, network.prediction, network.probability, names)
    losses = _row_losses(task, estimator, network, y)
    shown = [*inputs, *(name for name in (FILE,) if pictures and name in rows.frame.columns and name not in inputs)]
    if raw is not None:  # a row is known by its name, not by its thousand values
        shown = list(fitted.table.schema.names(*raw.shown)) or settings.targets
    found["hardest"] = hardest_rows(
        rows.frame.select(shown), y, network.prediction, network.probability, losses, rows=fitted.split.test
    )
    judged = network.prediction == y if task in ("binary", "multiclass") else losses
    if pictures:
        found["hardest"] = with_pictures(found["hardest"], pictures)
    columns = [name for name in inputs if name not in pictures and raw is None]
    if columns:  # pictures alone have neither columns to shuffle nor values to group by
        found["weak_groups"] = weak_groups(rows.frame.select(columns), judged, fitted.table.schema.to_dict())
    if task == "regression":
        found["intervals"] = _intervals(estimator, rows, y, settings.coverage)
    elif network.probability is not None:
        found["calibration"] = _calibration(estimator, rows, y, network.probability)
    if raw is TEXTS and settings.importance_repeats and settings.explain_rows >= 2:
        found["words"] = words_of(estimator, rows.frame[inputs[0]], network.prediction, y, settings)
    if columns and settings.importance_repeats >= 2:
        found["importance"] = _importance(fitted, settings, rows, y, inputs)
    if columns and not pictures and settings.importance_repeats and settings.explain_rows >= 2:
        background = fitted.table.take(fitted.split.train[:_BACKGROUND_ROWS]).frame.select(inputs)
        asked = rows.frame.select(inputs).head(settings.explain_rows)
        shares = shap(estimator, asked, background=background, random_state=settings.seed)
        shares = quick_check(estimator, asked, shares, background=background)
        effects = leading_effects(estimator, rows.frame.select(inputs), shares)
        found["explanation"] = {**explanation_record(shares), "effects": effects}
    return found


def _row_losses(task: str, estimator: Any, network: _Judged, y: NDArray[Any]) -> NDArray[np.float64]:
    """Return −log of the probability of the truth, or the absolute error in units of the target's spread, (N,)."""
    if network.probability is None:
        spread = np.std(y, axis=0)
        error = (np.abs(network.prediction - y) / np.where(spread > 0, spread, 1.0)).reshape(len(y), -1)
        return np.asarray(error.mean(axis=1), dtype=np.float64)
    clipped = np.clip(network.probability, 1e-7, 1 - 1e-7)
    if task == "multilabel":
        return np.asarray(-np.where(y == 1, np.log(clipped), np.log1p(-clipped)).mean(axis=1), dtype=np.float64)
    return np.asarray(-np.log(clipped[np.arange(len(y)), np.searchsorted(estimator.classes_, y)]), dtype=np.float64)


def _calibration(estimator: Any, rows: Any, y: NDArray[Any], probability: NDArray[np.float64]) -> dict[str, Any]:
    codes = estimator.target_.encode(y).astype(int)
    table = reliability(codes, probability)
    before = _without_temperature(estimator, rows)
    score = metrics.get("ece")
    task = estimator.task_
    classes = None if task == "multilabel" else estimator.classes_
    figures = {
        name: evaluate(task, y, estimator.target_.decide(p), p, classes=classes, names=[score.name], n_boot=200)
        for name, p in (("ece_before", before), ("ece", probability))
        if task in score.tasks
    }
    return {
        "temperature": estimator.temperature_,
        "bins": [
            {"low": b.low, "high": b.high, "confidence": b.claimed, "frequency": b.observed, "count": b.count}
            for b in table.bins
        ],
        **{name: metric_data(result, True).get(score.name) for name, result in figures.items()},
    }


def _without_temperature(estimator: Any, rows: Any) -> NDArray[np.float64]:
    kept = estimator.temperature_
    try:
        estimator.temperature_ = 1.0
        return np.asarray(estimator.predict_proba(rows))
    finally:
        estimator.temperature_ = kept


def _intervals(estimator: Any, rows: Any, y: NDArray[Any], nominal: float) -> dict[str, Any] | None:
    needed = nominal / (1 - nominal)
    if estimator.conformity_ is None or len(estimator.conformity_) < needed:
        return None
    low, high = (bound.reshape(len(y), -1) for bound in estimator.predict_interval(rows, nominal))
    share = float(np.mean([coverage(t, a, b) for t, a, b in zip(y.reshape(len(y), -1).T, low.T, high.T, strict=True)]))
    spread = 1.96 * np.sqrt(share * (1 - share) / len(y))
    return {
        "nominal": nominal,
        "coverage": {"value": share, "low": max(0.0, share - spread), "high": min(1.0, share + spread)},
        "width": float((high - low).mean()),
    }


def _importance(
    fitted: TableFit, settings: FitSettings, rows: Any, y: NDArray[Any], inputs: list[str]
) -> list[dict[str, Any]]:
    """Return how much the primary metric of a sample of test rows suffers when a column is shuffled."""
    task, estimator, metric = fitted.task, fitted.estimator, primary_metric(fitted.task)
    sample = slice(0, _PICTURE_ROWS if fitted.table.schema.names("image") else _IMPORTANCE_ROWS)
    frame, truth = rows.frame.select(inputs)[sample], y[sample]
    if task == "binary":
        truth = estimator.target_.encode(truth).astype(int)

    def score(known: NDArray[Any], predicted: NDArray[Any]) -> float:
        if task == "binary":
            return _area(known, predicted)
        if task == "regression":
            return float(np.sqrt(np.mean((known - predicted) ** 2)))
        return float(np.mean(known == predicted))

    predict = (lambda f: estimator.predict_proba(f)[:, 1]) if task == "binary" else estimator.predict
    found = permutation_importance(
        predict,
        frame,
        truth,
        score=score,
        metric=metric.name if task != "multilabel" else "accuracy",
        greater_is_better=task != "regression",
        repeats=settings.importance_repeats,
        random_state=settings.seed,
    )
    return [
        {"column": one.name, "value": one.importance, "low": one.interval.low, "high": one.interval.high}
        for one in found.columns
    ]


def _area(truth: NDArray[Any], score: NDArray[Any]) -> float:
    """Return the area under the ROC curve by ranks (ties count half); one half where only one class is there."""
    positive = truth == 1
    above, below = int(positive.sum()), int((~positive).sum())
    if not above or not below:
        return 0.5
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - above * (above + 1) / 2) / (above * below))


def _write(folder: Path, fitted: TableFit, settings: FitSettings, record: dict[str, Any]) -> dict[str, Path]:
    files = {name.partition(".")[0]: folder / name for name in OUTPUTS}
    record["files"] = {name: path.name for name, path in files.items()}
    save(fitted.estimator, files["model"], target=settings.target)
    with atomic_path(files["predictions"]) as aside:
        fitted.estimator.predict_frame(fitted.part("test")[0]).write_parquet(aside)
    history = fitted.estimator.history_
    history.save(files["history"])
    write_text(files["settings"], settings.to_toml())
    split = {key: value for key, value in record["split"].items() if key != "numbers"}
    write_text(files["report"], render({**record, "split": split}, history.to_list()))
    write_json(files["run"], record)
    return files


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _speaker(quiet: bool) -> Callable[[str], None]:
    def say(line: str) -> None:
        if not quiet:
            print(f"glia: {line}", file=sys.stderr, flush=True)

    return say
