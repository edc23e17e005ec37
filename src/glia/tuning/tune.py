"""The search for good settings: what ``glia.tune``, ``TunedEstimator`` and ``glia tune`` do."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight

from glia.core.errors import InputError, near
from glia.core.seeds import derive
from glia.data import Table
from glia.engine.intervals import read_interval
from glia.estimators.large_rows import LargeRows
from glia.estimators.settings import FitSettings
from glia.estimators.table_fit import make_estimator
from glia.tuning.answers import Answers, answers_of
from glia.tuning.configured import configured, known_settings
from glia.tuning.default_space import first_choice, space_for
from glia.tuning.family import Family
from glia.tuning.halving import Halving
from glia.tuning.prepared import Preparations, is_network
from glia.tuning.progress import Clock, Progress
from glia.tuning.result import TuneResult
from glia.tuning.scoring import check_score, metric_name, score
from glia.tuning.search import Search
from glia.tuning.space import Space, read_space
from glia.tuning.study import Study, Trial
from glia.tuning.validation import Folds, as_rows, count, draw_folds, take

TASKS = ("binary", "multiclass", "multilabel", "regression")
MEASURES = ("loss", "label_smoothing", "class_weight", "balance", "objective", "target_transform")
"""Settings that change what a validation loss means, so that their losses must not be compared."""


@dataclass(frozen=True)
class Problem:
    """What is tuned, and on which rows.

    Parameters
    ----------
    make : callable
        Settings → unfitted estimator.
    known : tuple of str
        Names of settings that can be searched.
    X, y, weight
        Rows, targets (labels of steps as an array (N,) of arrays) and weights (or ``None``), test rows not among them.
    folds : list of (train, valid)
        Row numbers.
    """

    make: Callable[[dict[str, Any]], Any]
    known: tuple[str, ...]
    X: Any
    y: NDArray[Any]
    weight: NDArray[np.float64] | None
    folds: Folds

    @property
    def answers(self) -> Answers:
        """What is right for these rows."""
        return answers_of(self.make({}))

    @property
    def validation(self) -> str:
        """What judges, in words.

        Raises
        ------
        InputError
            If there is nothing to judge by.
        """
        answers = self.answers
        amounts = [answers.amount(self.y[held]) for _, held in self.folds]
        return amounts[0] if len(amounts) == 1 else f"{len(amounts)} folds of {len(self.y):,} {answers.noun}"

    @property
    def several(self) -> bool:
        """Whether several networks can be one estimator."""
        return "members" in self.make({}).get_params(deep=False)

    def parts(self) -> list[tuple[Any, Any]]:
        """Return rows, targets and weights of every fold's two parts."""
        return [(self._part(train), self._part(held)) for train, held in self.folds]

    def _part(self, index: NDArray[np.intp]) -> tuple[Any, Any, Any]:
        return take(self.X, index), self.y[index], None if self.weight is None else self.weight[index]


def tune(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    space: Any = None,
    trials: int = 50,
    time_budget: float | str | None = None,
    study: str | Path | None = None,
    folds: Any = None,
    validation_fraction: float = 0.2,
    sampler: str = "tpe",
    halving: Any = "auto",
    scoring: Any = None,
    sample_weight: Any = None,
    random_state: Any = 0,
    tell: Callable[[Progress], None] | None = None,
) -> TuneResult:
    """Search for the settings that do best on rows which are not trained on.

    Parameters
    ----------
    estimator : estimator or {"binary", "multiclass", "multilabel", "regression"}
        What is tuned: any estimator of scikit-learn's contract, or a task, for Glia's network of that task.
    X, y : array-like
        Rows and targets, of a ``SequenceLabeler`` the labels of all steps; keep test rows back.
    space : mapping, Space or path, optional
        See ``read_space``; Glia's own networks have a default.
    trials : int
        Configurations to try, at least 1; of a shared study in all.
    time_budget : float or str, optional
        Seconds, or "90s", "10m", "1h"; configurations under way are then judged by what they have reached.
    study : path, optional
        SQLite file that keeps all trials: the search goes on where it ended, and several processes of one machine can
        work on it at once.
    folds : int or iterable of (train, valid), optional
        Judge by cross-validation instead of by one part.
    validation_fraction : float
        Share of the rows that judges where there are no folds.
    sampler : {"tpe", "random"}
        How configurations are proposed.
    halving : "auto", bool or Halving
        Stop poor configurations early, and train those of one architecture in one computation; "auto" does so with
        Glia's networks, unless ``scoring`` is given or the loss itself is searched.
    scoring : str or callable, optional
        A score of scikit-learn's, the more the better; by default the loss, log loss or root mean squared error. Of
        labels of steps, a name is a score of all labelled steps; a function gets sequences and their labels.
    sample_weight : array-like, optional
        Weights of rows, in training and judging.
    random_state : int, None or RandomState
        Seed; the same seed gives the same trials where one process works alone and no time is set.
    tell : callable, optional
        Called with every ``Progress``.

    Returns
    -------
    TuneResult

    Raises
    ------
    InputError
        If something handed in cannot be used.
    MissingExtraError
        If Optuna is not installed.

    Notes
    -----
    After Ctrl-C, a warning says so, and the result holds what was found until then.
    """
    seed = int(random_state) if isinstance(random_state, (int, np.integer)) else _drawn(random_state)
    base = _estimator(estimator)
    X, answers = as_rows(X), answers_of(base)
    values = answers.read(X, y)
    if count(X) != len(values):
        raise InputError("there must be a target for every row", f"{len(values)} targets for {count(X)} rows")
    if len(values) < 2:
        raise InputError("tuning needs at least two rows", "1 sample (n_samples=1)", "hand in more rows")
    drawn = draw_folds(
        len(values), answers.strata(values), folds=folds, fraction=validation_fraction, seed=derive(seed, "validation")
    )
    weight = None if sample_weight is None else _check_sample_weight(sample_weight, values, dtype=np.float64)
    problem = Problem(
        lambda settings: configured(base, settings), tuple(known_settings(base)), X, values, weight, drawn
    )
    if space is None and not is_network(base):
        raise InputError("a search space must be given for this estimator", type(base).__name__, 'e.g. {"C": Real(…)}')
    found = space_for(base, len(drawn[0][0])) if space is None else read_space(space)
    result, error = search(
        problem, found, trials=trials, budget=seconds_of(time_budget), path=study, sampler=sampler, halving=halving,
        scoring=scoring, seed=seed, first=first_choice(len(drawn[0][0])), tell=tell,
    )  # fmt: skip
    if result.stopped == "interrupted":
        warnings.warn("tuning was interrupted; the trials so far are kept", stacklevel=2)
    if result.best is None and error is not None and result.stopped == "all done":
        raise error
    return result


def search(
    problem: Problem,
    space: Space,
    *,
    trials: int = 50,
    budget: float | None = None,
    path: str | Path | None = None,
    sampler: str = "tpe",
    halving: Any = "auto",
    scoring: Any = None,
    seed: int = 0,
    first: Mapping[str, Any] | None = None,
    about: Mapping[str, Any] | None = None,
    tell: Callable[[Progress], None] | None = None,
) -> tuple[TuneResult, Exception | None]:
    """Search as ``tune`` does; return the result, and the first error of a trial where there was one."""
    if isinstance(trials, bool) or not isinstance(trials, (int, np.integer)) or trials < 1:
        raise InputError("trials must be a whole number of at least 1", f"trials={trials!r}")
    space.check(problem.known, problem.make)
    example = problem.make({})
    if scoring is not None:
        check_score(example, problem.y, scoring)
    plan, validation = as_plan(halving, example, space, scoring), problem.validation
    described = {
        "rows": fingerprint(problem), "search": repr(plan), "scoring": str(scoring), **(about or {}),
    }  # fmt: skip
    study = Study(
        space, None if path is None else Path(path), trials=int(trials), sampler=sampler, seed=seed, about=described,
        first=first,
    )  # fmt: skip
    clock = Clock(budget, tell)
    with study:
        work = Search(study, clock)
        stopped, metric, epochs = _worked(work, problem, plan, scoring, example, seed)
        study.give_back()
        records = study.records()
        done = sum(t.state in ("complete", "stopped", "failed") for t in records)
        if stopped == "all done" and done < trials and clock.over():
            stopped = "time is up"
        result = TuneResult(
            metric=metric,
            validation=validation,
            sampler=sampler,
            halving=plan is not None,
            epochs=epochs,
            wanted=int(trials),
            trials=records,
            best=best_trial(records),
            importance=study.importance(records),
            default=study.first is not None and not isinstance(example, LargeRows),  # of these, Glia chooses otherwise
            seconds=clock.seconds,
            stopped=stopped,
            n_train=len(problem.folds[0][0]),
            n_valid=len(problem.folds[0][1]),
            noun=problem.answers.noun,
            logarithmic=tuple(name for name, found in space.dimensions.items() if getattr(found, "log", False)),
        )
    return result, next(iter(work.errors), None)


def _worked(
    work: Search, problem: Problem, plan: Halving | None, scoring: Any, example: Any, seed: int
) -> tuple[str, str, tuple[int, ...]]:
    """Search; return why it ended, what the scores are, and up to which epoch each rung trained."""
    stopped = "all done"
    if plan is None:
        try:
            work.one_by_one(lambda settings, slot: _cross_validated(problem, settings, scoring))
        except KeyboardInterrupt:
            stopped = "interrupted"
        return stopped, metric_name(example, scoring), ()
    preparations = Preparations(problem.parts(), problem.make)
    try:
        work.halve(plan, lambda group: Family(group, preparations, seed, work.clock.over))
    except KeyboardInterrupt:
        stopped = "interrupted"
    ready = preparations.any()
    name = ready.estimator._resolved.loss.name.replace("_", " ")
    return stopped, f"validation loss ({name})", plan.epochs(ready.choices(example).epochs)


def best_trial(trials: Sequence[Trial]) -> int | None:
    """Return the position of the trial with the least score; the first of equal ones."""
    scored = [(t.score, place) for place, t in enumerate(trials) if t.score is not None and t.state != "running"]
    return min(scored)[1] if scored else None


def as_plan(halving: Any, estimator: Any, space: Space, scoring: Any) -> Halving | None:
    """Return how brackets are thinned out, or ``None`` for one configuration at a time.

    Raises
    ------
    InputError
        If halving is asked for and cannot be had.
    """
    blocked = "" if is_network(estimator) else f"{type(estimator).__name__}, which is none of Glia's networks"
    blocked = blocked or ("" if scoring is None else f"scoring={scoring!r}, which needs whole fits")
    changing = [name for name in space.names if name in MEASURES]
    blocked = blocked or (f"{changing[0]!r} in the space, which changes what the loss means" if changing else "")
    if isinstance(halving, str) and halving == "auto":
        return None if blocked else Halving()
    if halving is False:
        return None
    if not isinstance(halving, (bool, Halving)):
        raise InputError("halving must be 'auto', True, False or Halving(…)", f"halving={halving!r}")
    if blocked:
        raise InputError("halving compares validation losses of Glia's networks", blocked, "set halving to False")
    return halving if isinstance(halving, Halving) else Halving()


def seconds_of(budget: float | str | None) -> float | None:
    """Return the seconds of a time budget.

    Raises
    ------
    InputError
        If it is no time above 0.
    """
    if budget is None:
        return None
    if isinstance(budget, str):
        found = read_interval(budget)
        if found.seconds is None:
            raise InputError("a time budget must be a time", repr(budget), "write 90s, 10m or 1h")
        return found.seconds
    if isinstance(budget, bool) or not budget > 0:
        raise InputError("a time budget must be above 0", f"time_budget={budget!r}")
    return float(budget)


def fingerprint(problem: Problem) -> str:
    """Return a digest of the rows, targets, weights and folds of a problem."""
    digest = hashlib.sha256()
    frame = problem.X.frame if isinstance(problem.X, Table) else problem.X
    digest.update(_spelt(frame).encode() if isinstance(frame, pl.DataFrame) else joblib.hash(frame).encode())
    for part in (problem.y, problem.weight, *(rows for fold in problem.folds for rows in fold)):
        digest.update(repr(_whole(part)).encode() if part is not None else b"-")
    return digest.hexdigest()[:32]


def _whole(part: NDArray[Any]) -> list[Any]:
    """Return all values as plain ones: NumPy leaves some out where it writes long arrays that stand in a list."""
    return [one.tolist() if isinstance(one, np.ndarray) else one for one in part.tolist()]


def _spelt(frame: pl.DataFrame) -> str:
    """Return the values of a frame as text; lists in its cells, such as sequences, have no place in a CSV."""
    return frame.write_json() if any(kind.is_nested() for kind in frame.dtypes) else frame.write_csv()


def _cross_validated(problem: Problem, settings: dict[str, Any], scoring: Any) -> float:
    """Return the mean score over the folds of an estimator with these settings."""
    found = []
    for (X, y, weight), (X_held, y_held, weight_held) in problem.parts():
        estimator = problem.make(settings)
        more: dict[str, Any] = {} if weight is None else {"sample_weight": weight}
        if is_network(estimator):
            more["validation"] = (X_held, y_held)
        estimator.fit(X, y, **more)
        if getattr(estimator, "interrupted_", False):
            raise KeyboardInterrupt
        found.append(score(estimator, X_held, y_held, weight_held, scoring))
    return float(np.mean(found))


def _estimator(given: Any) -> Any:
    if isinstance(given, str):
        if given not in TASKS:
            raise InputError("a task must be a known one", repr(given), near(given, TASKS))
        return make_estimator(FitSettings(data="rows in memory", target="y", members=1), given)  # type: ignore[arg-type]  # see TASKS
    if isinstance(given, type) or not hasattr(given, "get_params") or not hasattr(given, "fit"):
        raise InputError("what is tuned must be a task or an estimator", repr(given)[:80], "e.g. glia.Classifier()")
    return clone(given)


def _drawn(random_state: Any) -> int:
    return int(check_random_state(random_state).randint(2**31))
