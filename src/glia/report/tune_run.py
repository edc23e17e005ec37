"""A whole tuning: search on training and validation rows, fit the best, measure it once on the test rows, write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glia.core.errors import InputError
from glia.core.files import write_json, write_text
from glia.core.results import Interval
from glia.core.seeds import derive
from glia.core.toml import value_text
from glia.data import Split, Table, split_rows
from glia.data.schema import RAW_ROLES
from glia.estimators.choices import FOLDED_ROWS, MEMBERS
from glia.estimators.persist import save
from glia.estimators.raw_kinds import LABELS, kind_of
from glia.estimators.seen_classes import check_seen
from glia.estimators.settings import FitSettings
from glia.estimators.step_scores import steps_difference
from glia.estimators.table_fit import (
    TableFit,
    dividing,
    fit_table,
    make_estimator_for,
    read_rows,
    split_method,
    targets,
    weights,
)
from glia.objectives import paired_difference, primary_metric
from glia.objectives.metric import Metric
from glia.report.step_run import labelled_steps
from glia.report.tune_page import render_tune
from glia.tuning.default_space import default_space, first_choice, raw_space
from glia.tuning.progress import Progress
from glia.tuning.result import TuneResult
from glia.tuning.settings import TuneSettings, descriptions, searchable
from glia.tuning.space import Space, read_space
from glia.tuning.store import check_file
from glia.tuning.tune import Problem, as_plan, search, seconds_of
from glia.tuning.validation import draw_folds

HEADING = "What glia tune searches: low and high ends (log: evenly by logarithms), or choices."


@dataclass(frozen=True)
class TuneRun:
    """What a tuning left: its result, its record and the files by name."""

    result: TuneResult
    record: dict[str, Any]
    files: dict[str, str]


def tune_run(
    settings: TuneSettings,
    *,
    space: str | None = None,
    resume: bool = False,
    command: str = "",
    say: Callable[[str], None] = lambda line: None,
    tell: Callable[[Progress], None] | None = None,
) -> TuneRun:
    """Tune as the settings say and write the folder.

    Parameters
    ----------
    settings : TuneSettings
    space : str, optional
        TOML file of the space; without one the default, less what the settings fix.
    resume : bool
        Go on with the study in the folder.
    command : str
        What was typed.
    say, tell : callable
        Told what is going on, and how far the search is.

    Raises
    ------
    InputError
        If data, settings or space cannot be used; nothing is then left behind.
    KeyboardInterrupt
        After Ctrl-C: what was found until then is written, and the message says where.
    """
    folder = Path(settings.out)
    study = Path(settings.study) if settings.study is not None else folder / "study.db"
    _check_places(folder, study, settings, resume)
    say(f"reading {settings.data}")
    problem, split = problem_of(settings)
    found = space_of(settings, space, problem, len(split.train))
    found.check(searchable(), problem.make)
    as_plan(settings.plan, problem.make({}), found, None)
    folder.mkdir(parents=True, exist_ok=True)
    where = f"{len(split.train):,} {problem.answers.noun}, judged by {problem.validation}"
    say(f"searching {len(found.names)} settings on {where}")
    result, error = search(
        problem,
        found,
        trials=settings.trials,
        budget=seconds_of(settings.time_budget),
        path=study,
        sampler=settings.sampler,
        halving=settings.plan,
        seed=settings.seed,
        first=first_choice(len(split.train)),
        about={"settings": described(settings)},
        tell=tell,
    )
    if result.best is None and error is not None and result.stopped != "interrupted":
        raise error
    files = {"study": str(study), "space": str(folder / "space.toml")}
    write_text(folder / "space.toml", found.to_toml(descriptions(), HEADING))
    if result.best is not None:
        members = _members(settings, len(split.train)) if problem.several else settings.members
        best = settings.fit_settings(**result.best_settings, members=members)
        files["settings"] = str(folder / "settings.toml")
        write_text(folder / "settings.toml", best.to_toml())
        if result.stopped != "interrupted":
            say(f"fitting the best of {len(result.done())} trials")
            result = _tested(settings, best, result, folder / "model.glia", say)
            files["model"] = str(folder / "model.glia")
    run = _write(folder, result, files, command, settings)
    if result.stopped == "interrupted":
        raise KeyboardInterrupt(
            f"{len(result.done())} trials are kept in {study}; the same command with --resume goes on"
        )
    return run


def _check_places(folder: Path, study: Path, settings: TuneSettings, resume: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError("out must be a folder", f"the file {str(folder)!r}", "choose another name")
    if settings.study is not None:
        check_file(study)
    if resume and not study.exists():
        raise InputError("there must be a study to go on with", f"no file {str(study)!r}", "leave --resume away")
    if study.exists() and settings.study is None and not resume:
        got = f"{str(study)!r}, which holds one"
        raise InputError(
            "a search begins in a folder without a study", got, "go on with --resume, or give another --out"
        )


def problem_of(settings: TuneSettings) -> tuple[Problem, Split]:
    """Return what is tuned: the rows of training and validation. Test rows are not handed on."""
    table = read_rows(settings)
    kind = kind_of(table.schema, settings)
    y, task = targets(table, settings)
    make_estimator_for(table.schema, settings.fit_settings(), task)  # which may refuse what trials do without
    if len(table) < 30:
        noun = "rows with a target" if kind is None else kind.answered
        raise InputError(f"tuning needs at least 30 {noun}", f"{len(table)}", "give more")
    strata = y if kind is None else kind.strata(y)
    divided = dividing(settings)
    method = split_method(divided)
    split = split_rows(
        table,
        y=strata if strata.ndim == 1 else None,
        task=task if strata.ndim == 1 else None,
        method=method,
        group=settings.group,
        time=divided.time,
        test_fraction=settings.test_fraction,
        validation_fraction=settings.validation_fraction,
        random_state=settings.seed,
    )
    inside = np.union1d(split.train, split.valid)
    learned = split if settings.folds is None else replace(split, train=inside)
    (check_seen if kind is None else kind.check_seen)(learned, y, task)
    weight = None if settings.weight is None else weights(table.frame[settings.weight])[inside]
    folds = [(np.searchsorted(inside, split.train), np.searchsorted(inside, split.valid))]
    if settings.folds is not None:
        classes = strata[inside] if strata.ndim == 1 and task != "regression" else None
        groups = table.frame[settings.group].to_numpy()[inside] if method == "group" and settings.group else None
        seed = derive(settings.seed, "validation")
        folds = draw_folds(len(inside), classes, folds=settings.folds, groups=groups, seed=seed)

    def make(chosen: dict[str, Any]) -> Any:
        return make_estimator_for(table.schema, settings.fit_settings(**chosen, members=1), task)

    rows: Table = table.take(inside)
    return Problem(make, searchable(), rows, y[inside], weight, folds), split


def space_of(settings: TuneSettings, given: str | None, problem: Problem, rows: int) -> Space:
    """Return what is searched: a setting that was given is not."""
    schema = problem.X.schema
    plain = not schema.names(*RAW_ROLES) and kind_of(schema, settings) is None
    fixed = [name for name in searchable() if name in settings.model_fields_set]
    if given is None:
        return (default_space(rows) if plain else raw_space()).without(fixed)
    space = read_space(given)
    both = [name for name in space.names if name in fixed]
    if both:
        got = f"{both[0]!r} in {given!r} and in the settings"
        raise InputError("a setting is either given or searched", got, "leave one of them away")
    return space


def _members(settings: TuneSettings, rows: int) -> int | str:
    """Return how many networks of the best settings are fitted: as many as of Glia's own choice."""
    several = settings.members == "auto" and rows <= FOLDED_ROWS and settings.workers == 1
    return MEMBERS[settings.effort] if several else settings.members


def described(settings: TuneSettings) -> dict[str, str]:
    """Return what of the settings must be the same when a study goes on: all that changes scores."""
    left = {
        "data",
        "out",
        "time_budget",
        "checkpoint_every",
        "baselines",
        "bootstrap",
        "importance_repeats",
        "coverage",
        "device",
    }
    fields = settings.fit_settings().model_dump()
    more = {"folds": settings.folds}
    return {
        name: value_text(value) for name, value in {**fields, **more}.items() if value is not None and name not in left
    }


def _tested(
    settings: TuneSettings, best: FitSettings, result: TuneResult, model: Path, say: Callable[[str], None]
) -> TuneResult:
    """Return the result with what the test rows say, which are looked at here for the first and only time."""
    tuned = _fitted(best)
    save(tuned.estimator, model, target=settings.target)
    rows, truth = tuned.part("test")
    weight = None if tuned.weight is None else tuned.weight[tuned.split.test]
    resamples = max(50, settings.bootstrap)
    found = tuned.estimator.evaluate(rows, truth, weight, n_boot=resamples)
    result = replace(result, test=found.metrics, n_test=len(truth))
    if not settings.untuned:
        return result
    say("fitting Glia's own choice of settings, to compare")
    plain = _fitted(settings.fit_settings())
    own = plain.estimator.evaluate(rows, truth, weight, n_boot=resamples)
    primary = primary_metric(tuned.task)
    compare = _steps_difference if tuned.kind is LABELS else _rows_difference
    difference = compare(tuned, plain, primary, resamples)
    return replace(result, untuned=own.metrics, difference=difference, primary=primary.name)


def _rows_difference(tuned: TableFit, plain: TableFit, primary: Metric, n_boot: int) -> Interval:
    """Return by how much the tuned model is better on the test rows."""
    rows, truth = tuned.part("test")
    weight = None if tuned.weight is None else tuned.weight[tuned.split.test]
    labels = primary.needs == "prediction"
    sides = [one.estimator.predict(rows) if labels else one.estimator.predict_proba(rows) for one in (tuned, plain)]
    first, second = sides if primary.greater_is_better else sides[::-1]
    classes = getattr(tuned.estimator, "classes_", None) if tuned.task in ("binary", "multiclass") else None
    return paired_difference(tuned.task, primary, truth, first, second, weight, classes=classes, n_boot=n_boot)


def _steps_difference(tuned: TableFit, plain: TableFit, primary: Metric, n_boot: int) -> Interval:
    """Return the same of labelled steps, whose sequences are drawn whole."""
    rows, _ = tuned.part("test")
    steps, classes = labelled_steps(tuned, tuned.split.test), tuned.estimator.classes_
    found = [np.concatenate(one.estimator.predict_proba(rows))[steps.there] for one in (tuned, plain)]
    sides = [(classes[probability.argmax(axis=1)], probability) for probability in found]
    first, second = sides if primary.greater_is_better else sides[::-1]
    return steps_difference(
        tuned.task, primary, steps.y, first, second, steps.row, classes=classes, sample_weight=steps.weight,
        n_boot=n_boot,
    )  # fmt: skip


def _fitted(settings: FitSettings) -> TableFit:
    fitted = fit_table(settings)
    if fitted.estimator.interrupted_:
        raise KeyboardInterrupt("while fitting the best settings; they are kept, and --resume fits them again")
    return fitted


def _write(folder: Path, result: TuneResult, files: dict[str, str], command: str, settings: TuneSettings) -> TuneRun:
    files = {**files, "record": str(folder / "tune.json"), "report": str(folder / "report.html")}
    record = {
        **result.to_dict(), "summary": result.summary(), "files": files, "command": command,
        "name": Path(settings.data).name, "target": settings.target,
    }  # fmt: skip
    write_json(folder / "tune.json", record)
    write_text(folder / "report.html", render_tune(record))
    return TuneRun(result, record, files)
