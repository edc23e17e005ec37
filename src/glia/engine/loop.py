"""The one training loop: ``fit → run_epoch → train_step``, each small enough to override."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from glia.core.errors import TrainingError
from glia.core.seeds import derive, seeded, torch_rng
from glia.engine.callbacks import Callback
from glia.engine.clipping import Clip
from glia.engine.history import History
from glia.engine.nonfinite import locate_nonfinite
from glia.engine.optimizers import ScheduleFree, evaluation_point
from glia.engine.rows import Rows, epoch_order
from glia.objectives.penalties import Penalties, penalised_parameters

RowLoss = Callable[[Tensor, Tensor], Tensor]
"""(output, target) → losses of the rows, (B,)."""
Metric = Callable[[Tensor, Tensor], Tensor]
"""(output, target) → figures of the rows, (B,), averaged over the part."""


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Return Σ w·v / Σ w, or the plain mean without weights; 0 where all weights are 0."""
    if weight is None:
        return values.mean()
    return (values * weight).sum() / weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)


class Trainer:
    """Trains one network on rows that fit in memory.

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
        self.history = History()
        self.epoch = self.step = self.steps_per_epoch = 0
        self.stop_reason = ""
        # Reading a loss back costs nothing on a CPU; on a GPU it would wait for the device: epochs are checked there.
        self._watched = all(p.device.type == "cpu" for p in network.parameters())
        self._base_lr = [float(group["lr"]) for group in optimizer.param_groups]
        self._penalised = penalised_parameters(network) if penalties else []
        self._parameters = [p for p in network.parameters() if p.requires_grad]

    def fit(self, train: Rows, valid: Rows | None = None) -> History:
        """Train until the epochs are done, a callback stops it, or Ctrl-C; return the history.

        Raises
        ------
        TrainingError
            If the loss stops being finite: the message names the epoch and the layer where it began.
        """
        if len(train) == 0:
            raise TrainingError("training needs at least one row · got none")
        self.steps_per_epoch = max(1, math.ceil(len(train) / self.batch_size))
        self.stop_reason = ""
        with seeded(self.random_state, "fit"):
            try:
                self._point("train")
                self._notify("on_fit_start")
                while self.epoch < self.epochs and not self.stop_reason:
                    self._fit_epoch(train, valid)
            except KeyboardInterrupt:
                self.stop_reason = "interrupted"
            finally:
                for group, lr in zip(self.optimizer.param_groups, self._base_lr, strict=True):
                    group["lr"] = lr
                self._point("eval")
                self.network.eval()
                self._notify("on_fit_end")
        self.stop_reason = self.stop_reason or "all epochs done"
        return self.history

    def _fit_epoch(self, train: Rows, valid: Rows | None) -> None:
        start = time.perf_counter()
        # Every epoch has a random stream of its own: a resumed fit repeats it without replaying the ones before.
        torch.manual_seed(derive(self.random_state, "epoch", self.epoch))
        entry: dict[str, Any] = {"epoch": self.epoch + 1, "train/loss": self.run_epoch(train)}
        if valid is not None and len(valid):
            entry |= self.validate(valid)
        entry |= {"lr": float(self.optimizer.param_groups[0]["lr"]), "seconds": time.perf_counter() - start}
        self.epoch += 1
        observe = getattr(self.schedule, "observe", None)
        if observe is not None:
            observe(entry.get("valid/loss", entry["train/loss"]))
        for callback in self.callbacks:
            callback.on_epoch_end(self, entry)
        self.history.append(entry)

    def run_epoch(self, train: Rows) -> float:
        """Take one pass over the rows in random order; return the mean training loss.

        The rows are gathered once and then sliced, which costs a fraction of fetching every batch by itself.
        """
        self.network.train()
        order = epoch_order(len(train), self.batch_size, torch_rng(self.random_state, "order", self.epoch))
        shuffled = train.take(order.to(train.x.device))
        hooks = [c.on_step_end for c in self.callbacks if type(c).on_step_end is not Callback.on_step_end]
        total = torch.zeros((), device=train.x.device)
        for x, y, weight in shuffled.batches(self.batch_size):
            total += self.train_step(x, y, weight) * (len(x) / len(order))
            for hook in hooks:
                hook(self)
        value = float(total)
        if not math.isfinite(value):
            self._fail(shuffled.x[: self.batch_size], shuffled.y[: self.batch_size])
        return value

    def train_step(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """Run forward, loss, backward and update on one batch; return the loss, detached."""
        self._set_rates()
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast(x.device):
            output = self.network(x)
        losses = self.loss(output.float(), y)
        # Weights have mean 1 over the part, so that a batch's gradient is an unbiased estimate of the whole's.
        loss = losses.mean() if weight is None else (losses * weight).mean()
        if self._watched and not math.isfinite(loss.item()):
            self._fail(x, y)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own lacks types
        if self.penalties is not None:
            self.penalties.add_gradient_(self._penalised)
        if self.clip is not None:
            self.clip(self._parameters)
        self.optimizer.step()
        if self.penalties is not None:
            self.penalties.prox_(self._penalised, float(self.optimizer.param_groups[0]["lr"]))
        self.step += 1
        return loss.detach()

    @torch.no_grad()
    def validate(self, rows: Rows) -> dict[str, float]:
        """Return the mean loss and metrics of the validation rows, keyed ``valid/<name>``."""
        output = self.predict(rows.x)
        figures = {"loss": self.loss, **self.metrics}
        return {f"valid/{k}": float(weighted_mean(f(output, rows.y), rows.weight)) for k, f in figures.items()}

    @torch.no_grad()
    def predict(self, x: Tensor, batch_size: int = 4096) -> Tensor:
        """Return the outputs for all rows in evaluation mode, (N, O)."""
        self.network.eval()
        with self._autocast(x.device), evaluation_point(self.optimizer):
            return torch.cat([self.network(part) for part in torch.split(x, batch_size)]).float()

    def _set_rates(self) -> None:
        if self.schedule is None:
            return
        factor = self.schedule(self.step, self.epochs * self.steps_per_epoch, self.steps_per_epoch)
        for group, lr in zip(self.optimizer.param_groups, self._base_lr, strict=True):
            group["lr"] = lr * factor

    def _autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)

    def _fail(self, x: Tensor, y: Tensor) -> NoReturn:
        raise locate_nonfinite(self.network, x, self.loss, y).error(self.epoch + 1)

    def _point(self, name: str) -> None:
        """Move between the two points that schedule-free training keeps; other optimizers have one."""
        if isinstance(self.optimizer, ScheduleFree):
            getattr(self.optimizer, name)()

    def _notify(self, event: str) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self)
