"""The one training loop: ``fit → run_epoch → train_step``, each small enough to override."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glia.core.errors import TrainingError
from glia.core.seeds import derive, reseed, seeded
from glia.engine.accelerate import accelerated
from glia.engine.callbacks import Callback
from glia.engine.clipping import Clip
from glia.engine.fused import FusedGradient, fused_gradient
from glia.engine.gradients import Autograd, Gradient, RowLoss, autocast, is_out_of_memory
from glia.engine.history import History
from glia.engine.nonfinite import NonFinite
from glia.engine.optimizers import ScheduleFree, evaluation_point
from glia.engine.rows import Rows, rows_at_once
from glia.engine.sources import Source
from glia.engine.state import State, capture, restore
from glia.engine.team import Alone, Team
from glia.objectives.penalties import Penalties, penalised_parameters

Metric = Callable[[Tensor, Tensor], Tensor]
"""(output, target) → figures of the rows, (B,), averaged over the part."""
ROLLBACKS, LOWERED = 3, 0.25
"""A step that is not finite is taken back at most so often in a fit, and the rates are multiplied by this."""
GOOD_EVERY = 100
"""A good state is kept at the end of an epoch after at least so many steps: copies must stay cheap beside them."""


class _NotFinite(Exception):
    """A step went wrong; ``place`` says where the first bad value was seen."""

    def __init__(self, place: NonFinite) -> None:
        self.place = place


class Trainer:
    """Trains one network.

    Parameters
    ----------
    network : nn.Module
        Trained in place; in evaluation mode after ``fit``.
    loss : callable
        ``(output, target) → (B,)``.
    optimizer : torch.optim.Optimizer
        Its groups' learning rates are the base that ``schedule`` multiplies.
    epochs, batch_size : int
        At least 1 each.
    schedule : callable, optional
        ``(step, total_steps, steps_per_epoch) → factor``; it holds no state, so a resumed fit continues it exactly.
    penalties : Penalties, optional
        L1 (proximal) and L2 terms on weight matrices.
    clip : Clip, optional
        Gradient clipping by norm or value.
    precision : {"float32", "bfloat16"}
        Of the forward pass; weights and optimizer stay float32.
    metrics : mapping, optional
        Further figures of the validation rows: name → ``(output, target) → (B,)``.
    callbacks : sequence of Callback
        Called in this order.
    random_state : int
        Seeds the order of rows and everything random in the network (dropout).

    Attributes
    ----------
    epoch, step, batch : int
        Epochs and steps that are done, and steps of the running epoch.
    piece : int
        Rows that go through the network at a time: fewer than ``batch_size`` once memory did not suffice.
    events : list of dict
        What went wrong and was put right: steps taken back, batches cut for lack of memory.
    good : State or None
        Where a step that is not finite takes the fit back to.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: RowLoss,
        optimizer: torch.optim.Optimizer,
        *,
        epochs: int,
        batch_size: int,
        schedule: Callable[[int, int, int], float] | None = None,
        penalties: Penalties | None = None,
        clip: Clip | None = None,
        precision: str = "float32",
        metrics: Mapping[str, Metric] | None = None,
        callbacks: Sequence[Callback] = (),
        random_state: int = 0,
    ) -> None:
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.epochs, self.batch_size, self.schedule = epochs, batch_size, schedule
        self.penalties, self.clip, self.precision = penalties, clip, precision
        self.metrics, self.callbacks, self.random_state = dict(metrics or {}), list(callbacks), random_state
        self.history, self.events = History(), list[dict[str, Any]]()
        self.epoch = self.step = self.batch = self.rows = self.steps_per_epoch = 0
        self.total: float | Tensor = 0.0  # of the losses of the running epoch's rows
        self.rate, self.seconds, self.stop_reason = 1.0, 0.0, ""
        # Reading a loss back costs nothing on a CPU; on a GPU it would wait for the device: epochs are checked there.
        self._watched = all(p.device.type == "cpu" for p in network.parameters())
        self._base_lr = [float(group["lr"]) for group in optimizer.param_groups]
        self._penalised = penalised_parameters(network) if penalties else []
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._autograd = Autograd(network, loss, bfloat16=precision == "bfloat16")
        self.piece = batch_size
        self.good: State | None = None
        self.gradient: Gradient | None = None  # instead of what is chosen
        self._way: Gradient = self._autograd
        self.team: Team = Alone()

    def fit(self, train: Source, valid: Rows | None = None) -> History:
        """Train until the epochs are done, a callback stops it, or Ctrl-C; return the history.

        A loss that is not finite takes the fit back to the last epoch's end with a lower rate, at most three times.

        Raises
        ------
        TrainingError
            If the loss stops being finite again: the message names the epoch and the layer where it began.
        """
        if len(train) == 0:
            raise TrainingError("training needs at least one row · got none")
        self.steps_per_epoch = max(1, math.ceil(len(train) / self.batch_size))
        self.stop_reason, self.good = "", None
        with seeded(self.random_state, "fit"), accelerated(self.network):
            try:
                self._point("train")
                self._notify("on_fit_start")
                self.team.begin(self)
                self._fit(train, valid)
            except KeyboardInterrupt:
                self.stop_reason = "interrupted"
            finally:
                for group, lr in zip(self.optimizer.param_groups, self._base_lr, strict=True):
                    group["lr"] = lr
                self._point("eval")
                self._way = self._autograd  # frees the other's buffers
                self.network.eval()
                self._notify("on_fit_end")
        self.stop_reason = self.stop_reason or "all epochs done"
        return self.history

    def state(self) -> State:
        """Return everything that a bit-identical continuation needs, as JSON data and copies of tensors."""
        return capture(self)

    def restore(self, state: State) -> None:
        """Go back to a state; from ``on_fit_start`` of a callback, a fit goes on where another one was."""
        restore(self, state)

    def _fit(self, train: Source, valid: Rows | None) -> None:
        self.good = self.good or self.state()
        while self.epoch < self.epochs and not self.stop_reason:
            try:
                self._fit_epoch(train, valid)
                if self.step - self.good[0]["place"]["step"] >= GOOD_EVERY:
                    self.good = self.state()
            except _NotFinite as failed:
                self._roll_back(self.good, failed.place)

    def _roll_back(self, good: State, place: NonFinite) -> None:
        before = sum(one["event"] == "rolled back" for one in self.events)
        if before == ROLLBACKS or place.stage in ("input", "target"):  # a lower rate makes no bad value good
            raise place.error(self.epoch + 1)
        rate, piece = self.rate * LOWERED, self.piece
        event = {"event": "rolled back", "epoch": self.epoch + 1, "step": self.step, "cause": place.summary()}
        events = [*self.events, {**event, "rate": rate}]
        self.restore(good)
        self.rate, self.piece, self.events = rate, piece, events

    def _fit_epoch(self, train: Source, valid: Rows | None) -> None:
        start = time.perf_counter() - self.seconds
        self._way = self.team.gradient(self.gradient or self._choose_gradient())
        entry: dict[str, Any] = {"epoch": self.epoch + 1, "train/loss": self.run_epoch(train)}
        if valid is not None and len(valid):
            entry |= self.validate(valid)
        entry |= {"lr": float(self.optimizer.param_groups[0]["lr"]), "seconds": time.perf_counter() - start}
        self.epoch, self.batch, self.rows, self.total, self.seconds = self.epoch + 1, 0, 0, 0.0, 0.0
        observe = getattr(self.schedule, "observe", None)
        if observe is not None:
            observe(entry.get("valid/loss", entry["train/loss"]))
        self.history.append(entry)
        for callback in self.callbacks:
            callback.on_epoch_end(self, entry)

    def run_epoch(self, train: Source) -> float:
        """Take what is left of one pass over the rows in random order; return the mean training loss."""
        self.network.train()
        start = time.perf_counter() - self.seconds
        if self.batch == 0:
            # Every epoch has a random stream of its own: a resumed fit repeats it without replaying the ones before.
            reseed(derive(self.random_state, "epoch", self.epoch))
        hooks = [c.on_step_end for c in self.callbacks if type(c).on_step_end is not Callback.on_step_end]
        for x, y, weight in train.epoch(self.batch_size, self.random_state, self.epoch, self.batch):
            loss = self.train_step(x, y, weight)
            rows = self.team.rows(x)
            self.total += loss * rows
            self.rows += rows
            self.batch += 1
            if hooks:
                self.seconds = time.perf_counter() - start
            for hook in hooks:
                hook(self)
        value = self.team.epoch_loss(self.total, self.rows)
        if not math.isfinite(value):
            raise _NotFinite(self.team.locate(self.network, x, self.loss, y))
        return value

    def train_step(self, x: Tensor, y: Tensor, weight: Tensor | None) -> float | Tensor:
        """Run forward, loss, backward and update on one batch; return the loss (a tensor on a GPU: nothing waits)."""
        self._set_rates()
        loss = self.team.combine(self._gradient(x, y, weight))
        if isinstance(loss, Tensor) and self._watched:
            loss = loss.item()
            if not math.isfinite(loss):
                raise _NotFinite(self.team.locate(self.network, x, self.loss, y))
        if self.penalties is not None:
            self.penalties.add_gradient_(self._penalised)
        if self.clip is not None:
            self.clip(self._parameters)
        self.optimizer.step()
        if self.penalties is not None:
            self.penalties.prox_(self._penalised, float(self.optimizer.param_groups[0]["lr"]))
        self.step += 1
        return loss

    def _choose_gradient(self) -> Gradient:
        if isinstance(self._way, FusedGradient) and self._way.holds():
            return self._way
        return fused_gradient(self.network, self.loss, bfloat16=self.precision == "bfloat16") or self._autograd

    def _gradient(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """Compute the gradient; where memory does not suffice, in halves, quarters, …, for the rest of the fit."""
        if self.piece >= self.batch_size:
            try:
                return self._way(x, y, weight)
            except (RuntimeError, MemoryError) as error:
                self._halve(error)
        while True:
            try:
                return self._autograd.in_pieces((x, y, weight), self.piece)
            except (RuntimeError, MemoryError) as error:
                self._halve(error)

    def _halve(self, error: Exception) -> None:
        if not is_out_of_memory(error) or self.piece <= 1:
            raise error
        self.piece = (self.piece + 1) // 2
        self.network.zero_grad(set_to_none=True)
        self.events.append(
            {"event": "memory exhausted", "epoch": self.epoch + 1, "step": self.step, "rows": self.piece}
        )

    @torch.no_grad()
    def validate(self, rows: Rows) -> dict[str, float]:
        """Return the mean loss and metrics of the validation rows, keyed ``valid/<name>``."""
        output = self.predict(rows.x)
        figures = {"loss": self.loss, **self.metrics}
        return {f"valid/{k}": float(self.team.mean(f(output, rows.y), rows.weight)) for k, f in figures.items()}

    @torch.no_grad()
    def predict(self, x: Tensor, batch_size: int | None = None) -> Tensor:
        """Return the outputs for all rows in evaluation mode, (N, O)."""
        self.network.eval()
        batch_size = batch_size or rows_at_once(x.shape[1:])
        with autocast(x.device, self.precision == "bfloat16"), evaluation_point(self.optimizer):
            return torch.cat([self.network(part) for part in torch.split(x, batch_size)]).float()

    def _set_rates(self) -> None:
        if self.schedule is None and self.rate == 1.0:
            return
        factor = self.rate
        if self.schedule is not None:
            factor *= self.schedule(self.step, self.epochs * self.steps_per_epoch, self.steps_per_epoch)
        for group, lr in zip(self.optimizer.param_groups, self._base_lr, strict=True):
            group["lr"] = lr * factor

    def _point(self, name: str) -> None:
        """Move between the two points that schedule-free training keeps; other optimizers have one."""
        if isinstance(self.optimizer, ScheduleFree):
            getattr(self.optimizer, name)()

    def _notify(self, event: str) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self)
