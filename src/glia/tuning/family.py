"""Configurations of one architecture, trained in one computation, some epochs at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from glia.core.errors import TrainingError
from glia.core.seeds import derive
from glia.core.workload import suited_to
from glia.engine.callbacks import Callback
from glia.engine.loop import Trainer
from glia.engine.population import population_trainer
from glia.engine.population_trainer import PopulationTrainer
from glia.engine.rows import Rows
from glia.engine.schedules import as_schedule
from glia.estimators.choices import Choices
from glia.estimators.training import build_network
from glia.nn import count_parameters
from glia.nn.population import StackedPopulation
from glia.objectives import Objective
from glia.tuning.carry import carry
from glia.tuning.prepared import Preparations, Prepared
from glia.tuning.study import Candidate

MEMBERS = ("lr", "weight_decay", "l1", "l2", "dropout")
"""What configurations that are trained in one computation may differ in."""


class _Judge(Callback):
    """Validates all members after every epoch, keeps the best score of each, and ends the fit at a rung."""

    def __init__(self, held: Rows, members: int, stop: Callable[[], bool]) -> None:
        self.held, self.stop, self.until = held, stop, 0
        self.best = [math.inf] * members

    def on_epoch_end(self, trainer: Trainer, entry: dict[str, Any]) -> None:
        """Compare; a member whose training has failed has no score, however well it did before."""
        if not isinstance(trainer, PopulationTrainer):
            raise TypeError("members are judged in a population")
        found = trainer.validate(self.held)["members/valid/loss"]
        self.best = [
            math.inf if failed else min(best, math.inf if value is None else value)
            for best, value, failed in zip(self.best, found, trainer.failed, strict=True)
        ]
        if trainer.epoch >= self.until:
            trainer.stop_reason = "rung"
        elif self.stop():
            trainer.stop_reason = "time"


class _Course:
    """The members' training on one fold."""

    def __init__(self, family: Family, prepared: Prepared, stop: Callable[[], bool]) -> None:
        self.family, self.prepared = family, prepared
        known = prepared.estimator
        outputs = known._resolved.out_features(known.target_.outputs)
        made = [family.make(c.settings) for c in family.candidates]
        self.choices: list[Choices] = [prepared.choices(estimator) for estimator in made]
        self.penalties = [_penalties(estimator.objective) for estimator in made]
        self.networks: list[nn.Module] = [
            build_network(
                family.shared,
                known.layout_,
                outputs,
                derive(family.seed, "configuration", c.slot),
                prepared.x,
            ).to(known._device)
            for c in family.candidates
        ]
        self.judge = _Judge(prepared.held, len(made), stop)
        self.trainer = self._make()

    def _make(self) -> PopulationTrainer:
        first = self.choices[0]
        return population_trainer(
            self.networks,
            self.prepared.estimator._resolved.loss,
            self.prepared.train,
            None,
            epochs=first.epochs,
            batch_size=first.batch_size,
            optimizer=first.optimizer,
            lr=None if first.lr is None else [float(c.lr or 0.0) for c in self.choices],
            weight_decay=[float(c.optimizer.weight_decay) for c in self.choices],
            l1=[one.l1 for one in self.penalties],
            l2=[one.l2 for one in self.penalties],
            dropout=self.family.dropout(),
            schedule=as_schedule(first.schedule),
            precision="bfloat16" if self.prepared.estimator.precision == "bfloat16" else "float32",
            callbacks=[self.judge],
            random_state=derive(self.family.seed, "rows"),
        )

    def advance(self, epochs: int) -> list[float]:
        """Train up to an epoch; return the members' best scores so far, the less the better."""
        trainer, train = self.trainer, self.prepared.train
        self.judge.until = epochs
        together = len(self.networks) if isinstance(trainer.population, StackedPopulation) else 1
        work = 6 * count_parameters(self.networks[0]) * together * min(trainer.batch_size, len(train))
        try:
            with suited_to(work, batched=together > 1):
                trainer.fit(train, None)
        except TrainingError:  # the losses of all members have stopped being finite
            self.judge.best = [math.inf] * len(self.networks)
        if trainer.stop_reason == "interrupted":
            raise KeyboardInterrupt
        return list(self.judge.best)

    def keep(self, members: Sequence[int]) -> None:
        """Go on with some of the members."""
        for name in ("networks", "choices", "penalties"):
            setattr(self, name, [getattr(self, name)[k] for k in members])
        self.judge.best = [self.judge.best[k] for k in members]
        old, self.trainer = self.trainer, self._make()
        carry(old, self.trainer, members)


class Family:
    """Configurations that differ in nothing but ``MEMBERS``.

    The learning rate's schedule is that of the whole training from the start. So the last configurations have, in the
    end, been trained as they would have been alone.

    Parameters
    ----------
    candidates : sequence of Candidate
        At least one.
    preparations : Preparations
        Rows of the folds, and what makes an estimator of settings.
    seed : int
        Of the order of rows; every configuration's initial weights come from its own number.
    stop : callable
        Whether to end after the running epoch.
    """

    def __init__(
        self, candidates: Sequence[Candidate], preparations: Preparations, seed: int, stop: Callable[[], bool]
    ) -> None:
        self.candidates, self.make, self.seed = list(candidates), preparations.make, seed
        shares = [c.settings.get("dropout", 0.0) for c in candidates]
        most = self.candidates[max(range(len(shares)), key=lambda k: float(shares[k] or 0.0))]
        self.shared = self._network(most, preparations)  # with dropout layers where any member needs them
        folds = preparations.of(most.settings)
        self.courses = [_Course(self, prepared, stop) for prepared in folds]
        self.epochs = self.courses[0].choices[0].epochs
        self.seconds = [0.0] * len(self.candidates)

    def _network(self, candidate: Candidate, preparations: Preparations) -> Any:
        return preparations.of(candidate.settings)[0].choices(self.make(candidate.settings)).network

    def dropout(self) -> list[float] | None:
        """Return the members' dropout where that is searched and any has some."""
        shares = [float(c.settings["dropout"]) for c in self.candidates if _is_share(c.settings.get("dropout"))]
        return shares if len(shares) == len(self.candidates) and any(shares) else None

    def advance(self, epochs: int) -> list[float]:
        """Train all up to an epoch; return their scores: the mean over the folds of the best ones so far."""
        start = time.perf_counter()
        scores = [course.advance(epochs) for course in self.courses]
        spent = (time.perf_counter() - start) / len(self.candidates)
        self.seconds = [seconds + spent for seconds in self.seconds]
        return [sum(values) / len(values) for values in zip(*scores, strict=True)]

    def keep(self, members: Sequence[int]) -> None:
        """Go on with some of the configurations."""
        if len(members) == len(self.candidates):
            return
        self.candidates = [self.candidates[k] for k in members]
        self.seconds = [self.seconds[k] for k in members]
        for course in self.courses:
            course.keep(members)

    @property
    def done(self) -> int:
        """Epochs that are trained."""
        return min(course.trainer.epoch for course in self.courses)


def architecture(settings: dict[str, Any]) -> str:
    """Return what configurations must have in common to be trained in one computation."""
    return repr(sorted((name, repr(value)) for name, value in settings.items() if name not in MEMBERS))


def _penalties(objective: Any) -> Any:
    return objective if isinstance(objective, Objective) else Objective()


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
