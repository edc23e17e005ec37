"""Members that are trained one after the other, an epoch each at a time, by the plain loop."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from glia.core.seeds import derive
from glia.engine.accelerate import accelerated
from glia.engine.callbacks import Callback
from glia.engine.gradients import RowLoss
from glia.engine.history import History
from glia.engine.loop import Trainer, _NotFinite
from glia.engine.optimizer_settings import Optimizer
from glia.engine.optimizers import evaluation_point
from glia.engine.population_trainer import PopulationTrainer
from glia.engine.population_updates import MemberRates
from glia.engine.rows import Rows
from glia.engine.sources import Batch, Source
from glia.nn.population import SeparatePopulation
from glia.objectives import Penalties


@dataclass(frozen=True)
class MemberSource:
    """One member's view on a source: its own column of the weights, in the order that all members share."""

    source: Source
    member: int
    seed: int

    def __len__(self) -> int:
        return len(self.source)

    def epoch(self, batch_size: int, seed: int, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield the batches of the population's epoch: ``seed``, the member's own, does not order rows."""
        for x, y, weight in self.source.epoch(batch_size, self.seed, number, skip):
            yield x, y, weight[:, self.member] if weight is not None and weight.ndim == 2 else weight


class MemberOptimizers(torch.optim.Optimizer):
    """The members' optimizers under one name: their groups one after the other; each takes its steps by itself."""

    def __init__(self, own: Sequence[torch.optim.Optimizer]) -> None:
        super().__init__([p for one in own for group in one.param_groups for p in group["params"]], {"lr": 0.0})
        self.own = list(own)
        self.param_groups = [group for one in own for group in one.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the members' states."""
        return {"members": [one.state_dict() for one in self.own]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""
        for one, state in zip(self.own, state_dict["members"], strict=True):
            one.load_state_dict(state)
        self.param_groups = [group for one in self.own for group in one.param_groups]


class _Relay(Callback):
    """Tells the population's callbacks about a member's steps."""

    def __init__(self, outer: SeparateTrainer) -> None:
        self.outer = outer

    def on_step_end(self, trainer: Trainer) -> None:
        self.outer.stepped()


class SeparateTrainer(PopulationTrainer):
    """Trains members that are plain networks: each has a plain ``Trainer``, which takes one epoch after the other.

    So a member's weights stay in the processor's caches for a whole epoch, every optimizer and every fast way of the
    plain loop serves, and members that have ended cost nothing.

    Parameters
    ----------
    population : SeparatePopulation
    loss : RowLoss
    rule : Optimizer
        Settings of the update rule and of clipping.
    rates : MemberRates
    schedule : callable, optional
        Every member follows a copy of its own.
    **options
        As in ``PopulationTrainer``.
    """

    def __init__(
        self,
        population: SeparatePopulation,
        loss: RowLoss,
        rule: Optimizer,
        rates: MemberRates,
        *,
        schedule: Callable[[int, int, int], float] | None = None,
        **options: Any,
    ) -> None:
        made = [
            _made(rule, network, lr, decay)
            for network, lr, decay in zip(population.networks, rates.lr, rates.weight_decay, strict=True)
        ]
        super().__init__(population, loss, MemberOptimizers(made), **options)
        self.population: SeparatePopulation = population
        self.trainers = [
            Trainer(
                network,
                loss,
                made[k],
                epochs=self.epochs,
                batch_size=self.batch_size,
                schedule=copy.deepcopy(schedule),
                penalties=Penalties(rates.l1[k], rates.l2[k]) or None,
                clip=rule.clip(),
                precision=self.precision,
                random_state=derive(self.random_state, "member", k),
            )
            for k, network in enumerate(population.networks)
        ]
        self._hooks: list[Callable[[Trainer], None]] = []
        self._start = 0.0

    def fit(self, train: Source, valid: Rows | None = None) -> History:
        """Train the members; see ``Trainer.fit``."""
        with ExitStack() as stack:
            for network in self.population.networks:
                stack.enter_context(accelerated(network))
            return super().fit(train, valid)

    def run_epoch(self, train: Source) -> float:
        """Take what is left of every member's pass over the rows; return the mean of those that have not failed."""
        self._start = time.perf_counter() - self.seconds
        self._hooks = [c.on_step_end for c in self.callbacks if type(c).on_step_end is not Callback.on_step_end]
        losses = [float("nan") if loss is None else loss for loss in self.trained]
        for k, (trainer, over) in enumerate(zip(self.trainers, self.ended, strict=True)):
            if over or trainer.epoch > self.epoch:  # the latter where a resumed fit was cut off in a later member
                continue
            trainer.callbacks = [_Relay(self)] if self._hooks else []
            trainer.steps_per_epoch = self.steps_per_epoch
            trainer._way = trainer.gradient or trainer._choose_gradient()
            try:
                losses[k] = trainer.run_epoch(MemberSource(train, k, self.random_state))
            except _NotFinite:
                losses[k] = float("nan")
            self.events += [{**event, "member": k} for event in trainer.events]
            trainer.events = []
            trainer.epoch, trainer.batch, trainer.rows, trainer.total = self.epoch + 1, 0, 0, 0.0
            self.trained = [*self.trained[:k], losses[k], *self.trained[k + 1 :]]
        self.step += self.steps_per_epoch
        self.batch = self.rows = 0
        return self._mark_failed(losses)

    def stepped(self) -> None:
        """Tell the callbacks about a step of some member."""
        self.seconds = time.perf_counter() - self._start
        for hook in self._hooks:
            hook(self)

    def note(self, entry: dict[str, Any]) -> None:
        """Let schedules that look at the loss see each member's own."""
        super().note(entry)
        seen = entry.get("members/valid/loss", self.trained)
        for trainer, value, over in zip(self.trainers, seen, self.ended, strict=True):
            observe = getattr(trainer.schedule, "observe", None)
            if observe is not None and value is not None and not over:
                observe(value)

    @contextmanager
    def judged(self) -> Iterator[None]:
        """Hold the weights that the optimizers would answer with."""
        with ExitStack() as stack:
            for trainer in self.trainers:
                stack.enter_context(evaluation_point(trainer.optimizer))
            yield

    def _point(self, name: str) -> None:
        for trainer in self.trainers:
            trainer._point(name)

    def _member_state(self) -> dict[str, Any]:
        own = [
            {
                "place": {name: getattr(trainer, name) for name in _PLACE},
                "total": trainer.total,
                "schedule": trainer.schedule.to_dict() if hasattr(trainer.schedule, "observe") else None,  # type: ignore[union-attr]  # see ObservingSchedule
            }
            for trainer in self.trainers
        ]
        return {**super()._member_state(), "own": own}

    def _member_restore(self, state: dict[str, Any]) -> None:
        super()._member_restore(state)
        for trainer, own in zip(self.trainers, state["own"], strict=True):
            for name in _PLACE:
                setattr(trainer, name, own["place"][name])
            trainer.total = own["total"]
            if own["schedule"] is not None:
                trainer.schedule = type(trainer.schedule).from_dict(own["schedule"])  # type: ignore[union-attr]  # as above


_PLACE = ("epoch", "step", "batch", "rows", "seconds")


def _made(rule: Optimizer, network: Any, lr: float, decay: float) -> torch.optim.Optimizer:
    own = copy.copy(rule)
    own.weight_decay = decay
    return own.make(network, lr)
