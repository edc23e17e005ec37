"""A study: which configurations were tried and how well they did, shared by processes and taken up again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from glia.core.errors import InputError
from glia.core.results import jsonable
from glia.core.seeds import derive
from glia.tuning.lock import FileLock
from glia.tuning.samplers import make_sampler, samplers
from glia.tuning.space import Space
from glia.tuning.store import PATIENCE, close_storage, load_optuna, open_storage, quiet_optuna

NAME = "glia"
RETRIES = 2
"""A configuration whose process was killed is tried so often again: what kills a process may be the configuration."""


@dataclass(frozen=True)
class Trial:
    """One configuration and what is known of it.

    Parameters
    ----------
    slot : int
        Its number, from 0; a configuration that is tried again keeps it, and with it all its seeds.
    settings : dict
        Setting → value.
    state : {"complete", "stopped", "failed", "running", "waiting"}
        ``stopped`` before it had all its epochs, because others did better.
    score : float or None
        The less, the better; ``None`` where there is none that is finite.
    first : float or None
        Its score at the first rung, where all configurations had equally many epochs.
    epochs : int
        Of training; 0 where that is not known.
    seconds : float
        That it took, its share of what it was trained with.
    retries : int
        How often it was begun again after its process had died.
    why : str
        Of a failure.
    """

    slot: int
    settings: dict[str, Any]
    state: str
    score: float | None
    first: float | None
    epochs: int
    seconds: float
    retries: int = 0
    why: str = ""


@dataclass(frozen=True)
class Candidate:
    """A configuration to be tried: ``raw`` as Optuna knows it, ``settings`` as it is used."""

    slot: int
    raw: dict[str, Any]
    settings: dict[str, Any]
    handle: Any
    retries: int


class Study:
    """Proposes configurations and keeps their scores; less is better.

    Every process that works on a study holds a lock of its own while it does, by which the others see that it lives.
    What a dead process had begun is marked as failed and queued again, with the same settings and seeds.

    Parameters
    ----------
    space : Space
        What is searched.
    path : Path, optional
        File to keep the study in; in memory without one.
    trials : int
        Configurations in all, of all processes.
    sampler : str
        A name of ``samplers``.
    seed : int
        Of all proposals.
    about : mapping
        What the study is about: name → plain value, which must be the same whenever it goes on.
    first : mapping, optional
        Settings that are tried first, where they lie in the space.
    """

    def __init__(
        self,
        space: Space,
        path: Path | None = None,
        *,
        trials: int = 50,
        sampler: str = "tpe",
        seed: int = 0,
        about: Mapping[str, Any] | None = None,
        first: Mapping[str, Any] | None = None,
    ) -> None:
        samplers.get(sampler)
        self.space, self.path, self.trials, self.sampler, self.seed = space, path, trials, sampler, seed
        self.about = {**jsonable(dict(about or {})), "space": _written(space), "sampler": sampler, "seed": seed}
        self.first = None if first is None else space.encode(first)
        self.me = uuid.uuid4().hex
        self._optuna = load_optuna()
        self._alive: FileLock | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(quiet_optuna(self._optuna))
            with self._alone():
                self._storage = open_storage(self._optuna, self.path)
                stack.callback(close_storage, self._storage)
                self._study = self._optuna.create_study(storage=self._storage, study_name=NAME, load_if_exists=True)
                self._compare()
                if self.path is not None:
                    folder = self._workers()
                    folder.mkdir(exist_ok=True)
                    self._alive = FileLock(folder / self.me)
                    self._alive.acquire()
            self._distributions = self.space.distributions(self._optuna)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Queue again what this process had begun, and let go of the file."""
        with self._stack:
            self.give_back()
            if self._alive is not None:
                self._alive.release(remove=True)
                with suppress(OSError):  # others are still at work
                    self._workers().rmdir()

    def ask(self, like: Candidate | None = None, shared: tuple[str, ...] = ()) -> Candidate | None:
        """Return the next configuration, or ``None`` when there are as many as wanted.

        Those that a dead process had begun come first. Of a new one, the settings ``shared`` are those of ``like``.
        """
        with self._alone():
            self._reap()
            found = self._study.get_trials(deepcopy=False)
            waiting = [t for t in found if t.state.name == "WAITING"]
            slot = sum(map(self._is_first, found))
            if not waiting and slot >= self.trials:
                return None
            fixed = self.first if slot == 0 else {name: like.raw[name] for name in shared} if like else None
            self._study.sampler = make_sampler(self._optuna, self.sampler, derive(self.seed, "proposal", slot), fixed)
            handle = self._study.ask(self._distributions)
            again = handle.user_attrs.get("again")
            handle.set_user_attr("worker", self.me)
            raw = dict(handle.params)
        return Candidate(
            slot if again is None else again["slot"],
            raw,
            self.space.decode(raw),
            handle,
            0 if again is None else again["retries"],
        )

    def report(self, candidate: Candidate, epochs: int, score: float) -> None:
        """Keep a score that a configuration had after so many epochs."""
        candidate.handle.report(score, epochs)

    def finish(self, candidate: Candidate, score: float, seconds: float, *, complete: bool = True) -> None:
        """Keep the last word on a configuration; not ``complete`` where others were better before its end."""
        candidate.handle.set_user_attr("seconds", seconds)
        states = self._optuna.trial.TrialState
        if complete:
            self._study.tell(candidate.handle, score)
        else:
            self._study.tell(candidate.handle, state=states.PRUNED)

    def fail(self, candidate: Candidate, why: str) -> None:
        """Note that a configuration cannot be used."""
        candidate.handle.set_user_attr("why", why[:300])
        self._study.tell(candidate.handle, state=self._optuna.trial.TrialState.FAIL)

    def give_back(self) -> None:
        """Queue again what this process has begun and not finished."""
        with self._alone():
            for trial in self._running():
                if trial.user_attrs.get("worker") == self.me:
                    self._requeue(trial, "its process was interrupted", counts=False)

    def records(self) -> tuple[Trial, ...]:
        """Return what is known of every configuration, in the order of their numbers."""
        found: dict[int, Trial] = {}
        slot = 0
        for trial in self._study.get_trials(deepcopy=False):
            again = trial.user_attrs.get("again")
            own = slot if again is None else int(again["slot"])
            slot += self._is_first(trial)
            if self._is_first(trial) or again is not None:
                found[own] = self._record(trial, own, 0 if again is None else int(again["retries"]))
        return tuple(found[slot] for slot in sorted(found))

    def importance(self, trials: tuple[Trial, ...]) -> dict[str, float]:
        """Return how much of the differences between first scores is due to each setting, in sum 1; see ``fanova``."""
        return fanova(self._optuna, self.space, trials, derive(self.seed, "importance"))

    def _record(self, trial: Any, slot: int, retries: int) -> Trial:
        params = trial.params or trial.system_attrs.get("fixed_params", {})
        steps = sorted(trial.intermediate_values)
        states = {"COMPLETE": "complete", "PRUNED": "stopped", "FAIL": "failed", "WAITING": "waiting"}
        score = trial.values[0] if trial.values and trial.state.name == "COMPLETE" else None
        if score is None and steps:
            score = trial.intermediate_values[steps[-1]]
        first = trial.intermediate_values[steps[0]] if steps else score
        return Trial(
            slot,
            self.space.decode(params),
            states.get(trial.state.name, "running"),
            _finite(score),
            _finite(first),
            int(steps[-1]) if steps else 0,
            float(trial.user_attrs.get("seconds", 0.0)),
            retries,
            str(trial.user_attrs.get("why", "")),
        )

    def _workers(self) -> Path:
        return Path(f"{self.path}.workers")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep the other processes from asking, so that no two get one number and no dead one is queued twice."""
        if self.path is None:
            yield
            return
        if not self.path.parent.is_dir():
            raise InputError(
                "the folder of a study must exist", repr(str(self.path.parent)), "make it, or choose another"
            )
        lock = FileLock(Path(f"{self.path}.lock"))
        if not lock.acquire(PATIENCE):
            raise InputError(
                "a study can be written to by one process at a time", f"{str(self.path)!r}, held for {PATIENCE:.0f} s"
            )
        try:
            yield
        finally:
            lock.release()

    def _compare(self) -> None:
        """Keep what the study is about, or check that it still is."""
        kept = self._study.user_attrs.get("about")
        if kept is None:
            self._study.set_user_attr("about", self.about)
            return
        differing = [name for name in {**kept, **self.about} if kept.get(name) != self.about.get(name)]
        if differing:
            raise InputError(
                f"a study goes on with what it began with: the same {', '.join(self.about)}",
                f"another {' and another '.join(differing)} than {str(self.path)!r} has",
                "go on with the same, or give another --study",
            )

    def _is_first(self, trial: Any) -> bool:
        """Whether a trial is the first of its configuration, and was not cut off before that was chosen."""
        return "again" not in trial.user_attrs and set(trial.params) >= set(self.space.names)

    def _running(self) -> list[Any]:
        return [t for t in self._study.get_trials(deepcopy=False) if t.state.name == "RUNNING"]

    def _reap(self) -> None:
        """Queue again what dead processes had begun."""
        dead: dict[str, bool] = {self.me: False}
        for trial in self._running():
            worker = str(trial.user_attrs.get("worker", ""))
            if worker not in dead:
                dead[worker] = not worker or self._is_dead(worker)
            if dead[worker]:
                self._requeue(trial, "its process was killed")

    def _is_dead(self, worker: str) -> bool:
        file = self._workers() / worker
        if not file.exists():
            return True
        lock = FileLock(file)
        if not lock.acquire():
            return False
        lock.release(remove=True)
        return True

    def _requeue(self, trial: Any, why: str, *, counts: bool = True) -> None:
        again = trial.user_attrs.get("again")
        if again is None and self._is_first(trial):
            numbers = [t.number for t in self._study.get_trials(deepcopy=False) if self._is_first(t)]
            again = {"slot": numbers.index(trial.number), "retries": 0}
        self._storage.set_trial_user_attr(trial._trial_id, "why", why)
        self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)
        if again is not None and again["retries"] < RETRIES:
            again = {"slot": again["slot"], "retries": again["retries"] + counts}
            params = dict(trial.system_attrs.get("fixed_params") or {}) | dict(trial.params)
            self._study.enqueue_trial(params, user_attrs={"again": again})


def fanova(optuna: Any, space: Space, trials: tuple[Trial, ...], seed: int) -> dict[str, float]:
    """Return the share of the variance of the scores' ranks that each setting explains by itself.

    Functional analysis of variance over a random forest (Hutter, Hoos and Leyton-Brown, ICML 2014). Scores at the first
    rung are compared, where every configuration had equally many epochs, and by their ranks, since a single one that
    went astray would else decide everything.

    Parameters
    ----------
    optuna : module
    space : Space
        Settings with a single value are left out.
    trials : tuple of Trial
        Those without a first score count as the worst.
    seed : int
    """
    done = [t for t in trials if t.state in ("complete", "stopped")]
    free = [name for name in space.names if len({repr(t.settings[name]) for t in done}) > 1]
    if len(done) < 4 or not free or len({t.first for t in done}) < 2:
        return {}
    order = sorted({t.first for t in done if t.first is not None})
    ranks = {value: place for place, value in enumerate(order)}
    part = Space({name: space.dimensions[name] for name in free})
    distributions = part.distributions(optuna)
    with quiet_optuna(optuna):
        study = optuna.create_study()
        for t in done:
            raw = part.encode({name: t.settings[name] for name in free})
            value = float(len(order) if t.first is None else ranks[t.first])
            study.add_trial(optuna.create_trial(params=raw, distributions=distributions, value=value))
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed % 2**32)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(value) for name, value in found.items()}


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and abs(float(value)) != float("inf") and value == value else None


def _written(space: Space) -> dict[str, Any]:
    return {
        name: jsonable(d.plain()) if not hasattr(d, "labels") else {"choices": list(d.labels)}
        for name, d in space.dimensions.items()
    }
