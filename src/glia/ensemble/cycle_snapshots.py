"""Snapshots of a network of your own: a callback for the training loop, with the schedule that belongs to it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from torch import nn

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.engine.callbacks import Callback
from glia.engine.loop import Trainer
from glia.engine.optimizers import evaluation_point
from glia.engine.schedules import WarmRestarts
from glia.ensemble.rows import whole
from glia.nn.ensemble import MeanNetwork


class CycleSnapshots(Callback):
    """Keep the weights at the end of every cycle of the rate (arXiv 1704.00109).

    Parameters
    ----------
    cycle_epochs : int
        Epochs of a cycle, ≥ 1.

    Attributes
    ----------
    weights : list of dict
        The network's state at each cycle's end.

    Examples
    --------
    ``snapshots = CycleSnapshots(10)``, then ``Trainer(…, epochs=50, schedule=snapshots.schedule,
    callbacks=[snapshots])``, and after ``fit``: ``snapshots.ensemble(network, "multiclass")``.
    """

    def __init__(self, cycle_epochs: int) -> None:
        self.cycle_epochs = whole("cycle_epochs", cycle_epochs)
        self.weights: list[dict[str, Any]] = []

    @property
    def schedule(self) -> WarmRestarts:
        """The rate that falls to 0 along half a cosine in each cycle."""
        return WarmRestarts(first=self.cycle_epochs, growth=1.0)

    def on_fit_start(self, trainer: Trainer) -> None:
        """Forget earlier fits."""
        self.weights = []

    def on_epoch_end(self, trainer: Trainer, entry: dict[str, Any]) -> None:
        """Copy the weights where a cycle ends."""
        if entry["epoch"] % self.cycle_epochs == 0:
            with evaluation_point(trainer.optimizer):
                state = trainer.network.state_dict()
                self.weights.append({name: value.detach().clone() for name, value in state.items()})

    def state(self) -> dict[str, Any]:
        """Return the weights that were kept."""
        return {"weights": self.weights}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.weights = list(state["weights"])

    def ensemble(self, network: nn.Module, task: Task, keep: int | None = None) -> MeanNetwork:
        """Return the mean of the last ``keep`` snapshots (of all by default) as one network.

        Raises
        ------
        InputError
            If no cycle has ended.
        """
        if not self.weights:
            raise InputError("there must be snapshots", "none", "train for at least one cycle")
        members = []
        for state in self.weights[-(keep or len(self.weights)) :]:
            member = deepcopy(network)
            member.load_state_dict(state)
            members.append(member.eval())
        return MeanNetwork(members, task)
