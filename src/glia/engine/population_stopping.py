"""Early stopping of each member of a population by itself."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from glia.engine.callbacks import Callback
from glia.engine.optimizers import evaluation_point

if TYPE_CHECKING:
    from glia.engine.loop import Trainer
    from glia.engine.population_trainer import PopulationTrainer


_TIMES, _FEWEST = 2, 4
"""A member whose figure grew is waited for until so many times the epochs of its best, and so many more."""


class MemberStopping(Callback):
    """Stop each member when its own figure has not improved for ``patience`` epochs; bring its best weights back.

    A member that has stopped may go on being computed with the others, but nothing that happens to it counts: at the
    end it has the weights that it would have had alone. The fit ends when all members have ended.

    Parameters
    ----------
    patience : int
        Epochs without an improvement; 0 or less never stops but still restores.
    excess : float, optional
        End the fit, too, when the figures of all members have been worse than their best (above 0) by this share, each
        after twice as many epochs as the best took and at least four more: what is left of a training whose rate falls
        to the end would not make that up.
    monitor : str
        Key of the history that holds a list of figures, smaller being better.
    min_delta : float
        The least change that counts as an improvement, ≥ 0.

    Attributes
    ----------
    best : list of float or None
        Best figure of each member.
    best_epoch : list of int
        When that was; 0 where there was none.
    stopped : list of bool
        Who has stopped.
    exceeded : list of bool
        Whose figure was far above its best since that.
    """

    def __init__(
        self,
        patience: int = 10,
        monitor: str = "members/valid/loss",
        *,
        min_delta: float = 0.0,
        excess: float | None = None,
    ) -> None:
        self.patience, self.monitor, self.min_delta, self.excess = patience, monitor, min_delta, excess
        self.best: list[float | None] = []
        self.best_epoch: list[int] = []
        self.stopped: list[bool] = []
        self.exceeded: list[bool] = []
        self._weights: list[dict[str, Tensor]] = []

    def on_fit_start(self, trainer: Trainer) -> None:
        """Forget earlier fits."""
        members = _own(trainer).population.members
        self.best, self.best_epoch, self.stopped = [None] * members, [0] * members, [False] * members
        self.exceeded = [False] * members
        self._weights = [{} for _ in range(members)]

    def on_epoch_end(self, trainer: Trainer, entry: dict[str, Any]) -> None:
        """Keep the weights of members that did better; note those that have not for long."""
        entry["members/train/loss"] = _own(trainer).trained
        self._compare(trainer, entry)
        ended = _own(trainer).ended
        if trainer.stop_reason:
            return
        if all(ended):
            trainer.stop_reason = f"early stopping: {self.monitor} of no member got better for {self.patience} epochs"
        elif self.excess is not None and all(map(operator.or_, ended, self.exceeded)):
            trainer.stop_reason = f"early stopping: {self.monitor} of each member was {self.excess:.0%} above its best"

    def _compare(self, trainer: Trainer, entry: dict[str, Any]) -> None:
        values = entry.get(self.monitor)
        if values is None:
            return
        better = []
        for k, value in enumerate(values):
            best = self.best[k]
            if self.stopped[k]:
                continue
            if value is not None and math.isfinite(value) and (best is None or best - value > self.min_delta):
                self.best[k], self.best_epoch[k] = value, entry["epoch"]
                self.exceeded[k] = False
                better.append(k)
            elif 0 < self.patience <= entry["epoch"] - self.best_epoch[k]:
                self.stopped[k] = True
            elif self._exceeds(k, value, entry["epoch"]):
                self.exceeded[k] = True
        with evaluation_point(trainer.optimizer):
            self._keep(trainer, better)

    def _exceeds(self, member: int, value: float | None, epoch: int) -> bool:
        best, since = self.best[member], self.best_epoch[member]
        if self.excess is None or value is None or best is None or best <= 0:
            return False
        return value > (1 + self.excess) * best and epoch >= max(_TIMES * since, since + _FEWEST)

    def _keep(self, trainer: Trainer, members: list[int]) -> None:
        for k in members:
            state = _own(trainer).population.member_state(k)
            kept = self._weights[k]
            if not kept:
                kept.update({name: value.clone() for name, value in state.items()})
            for name, value in state.items():
                kept[name].copy_(value)

    def state(self) -> dict[str, Any]:
        """Return the best figures, their epochs and weights, and who has stopped."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "exceeded": self.exceeded,
            "weights": self._weights,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.best, self.best_epoch = list(state["best"]), list(state["best_epoch"])
        self.stopped, self._weights = list(state["stopped"]), list(state["weights"])
        self.exceeded = list(state.get("exceeded", [False] * len(self.stopped)))  # files before 2026-11-22 have none

    def on_fit_end(self, trainer: Trainer) -> None:
        """Restore the best weights of every member that has some."""
        with torch.no_grad():
            for k, kept in enumerate(self._weights):
                state = _own(trainer).population.member_state(k) if kept else {}
                for name, value in state.items():
                    value.copy_(kept[name])
        self._weights = []


def _own(trainer: Trainer) -> PopulationTrainer:
    return cast("PopulationTrainer", trainer)
