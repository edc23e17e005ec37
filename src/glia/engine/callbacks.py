"""What may watch or steer a fit from outside: one class per concern, hooks named ``on_<event>``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glia.engine.optimizers import evaluation_point

if TYPE_CHECKING:
    from glia.engine.loop import Trainer


class Callback:
    """Base of all callbacks: override what you need.

    A callback may set ``trainer.stop_reason`` to a text: the fit then ends after the running epoch.
    """

    def on_fit_start(self, trainer: Trainer) -> None:
        """Before the first epoch."""

    def on_step_end(self, trainer: Trainer) -> None:
        """After every optimizer step; only called where a callback overrides it."""

    def on_epoch_end(self, trainer: Trainer, entry: dict[str, Any]) -> None:
        """After every epoch, with its entry of the history (which may be added to)."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch, also when the fit was interrupted or failed."""

    def state(self) -> dict[str, Any]:
        """Return what a resumed fit must know of this callback: JSON data and tensors."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what ``state`` returned, after ``on_fit_start``."""


class EarlyStopping(Callback):
    """Stop when a figure has not improved for ``patience`` epochs, and bring the best weights back.

    Parameters
    ----------
    patience : int
        Epochs without an improvement before the fit ends; 0 or less never stops but still restores.
    monitor : str
        Key of the history; the fit is left alone where epochs lack it.
    min_delta : float
        The least change that counts as an improvement, ≥ 0, in the figure's units.
    greater_is_better : bool
        Whether larger figures are better.
    """

    def __init__(
        self,
        patience: int = 10,
        monitor: str = "valid/loss",
        *,
        min_delta: float = 0.0,
        greater_is_better: bool = False,
    ) -> None:
        self.patience, self.monitor, self.min_delta = patience, monitor, min_delta
        self.greater_is_better = greater_is_better
        self.best: float | None = None
        self.best_epoch = 0
        self._weights: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: Trainer) -> None:
        """Forget earlier fits."""
        self.best, self.best_epoch, self._weights = None, 0, {}

    def on_epoch_end(self, trainer: Trainer, entry: dict[str, Any]) -> None:
        """Keep the weights of a better epoch; ask for a stop when none has come for long."""
        value = entry.get(self.monitor)
        if value is None:
            return
        gain = math.inf if self.best is None else (value - self.best) * (1.0 if self.greater_is_better else -1.0)
        if math.isfinite(value) and gain > self.min_delta:
            self.best, self.best_epoch = value, entry["epoch"]
            with evaluation_point(trainer.optimizer):
                self._keep(trainer.network.state_dict())
        elif 0 < self.patience <= entry["epoch"] - self.best_epoch:
            trainer.stop_reason = f"early stopping: {self.monitor} no better for {self.patience} epochs"

    def _keep(self, state: dict[str, Tensor]) -> None:
        if not self._weights:
            self._weights = {name: value.detach().clone() for name, value in state.items()}
        for name, value in state.items():
            self._weights[name].copy_(value)

    def state(self) -> dict[str, Any]:
        """Return the best figure, its epoch and its weights."""
        return {"best": self.best, "best_epoch": self.best_epoch, "weights": self._weights}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.best, self.best_epoch, self._weights = state["best"], state["best_epoch"], state["weights"]

    def on_fit_end(self, trainer: Trainer) -> None:
        """Restore the best weights."""
        if self._weights:
            with torch.no_grad():
                trainer.network.load_state_dict(self._weights)
            self._weights = {}
