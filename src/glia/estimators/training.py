"""From settings and prepared rows to a trained network: the one place where the parts are put together."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.hardware import choose_threads, threads
from glia.core.protocols import Task
from glia.core.seeds import seeded
from glia.engine.callbacks import Callback, EarlyStopping
from glia.engine.history import History
from glia.engine.loop import Trainer
from glia.engine.progress import Progress
from glia.engine.rows import Rows
from glia.engine.schedules import as_schedule
from glia.estimators.choices import Choices
from glia.nn import as_network, count_parameters
from glia.objectives import ResolvedObjective


def to_rows(x: NDArray[Any], y: NDArray[Any], weight: NDArray[Any] | None, device: torch.device) -> Rows:
    """Return tensors on the device; weights are scaled to mean 1."""
    scaled = None if weight is None else torch.from_numpy((weight / weight.mean()).astype(np.float32))
    return Rows(torch.from_numpy(x), torch.from_numpy(np.ascontiguousarray(y)), scaled).to(device)


def build_network(choices: Choices, layout: Any, outputs: int, seed: int, x: NDArray[np.float32]) -> nn.Module:
    """Build and initialise the network from its own random stream."""
    with seeded(seed, "initialisation"):
        network = as_network(choices.network).build(layout, outputs)
        finish = getattr(network, "initialise_from", None)
        if finish is not None:
            finish(torch.from_numpy(x[:512]))
    return network


class _Reporter(Callback):
    """Draws the history as a progress line."""

    def __init__(self, progress: Progress, rows: int) -> None:
        self.progress, self.rows = progress, rows

    def on_fit_start(self, trainer: Trainer) -> None:
        self.progress.start(trainer.epochs, self.rows)

    def on_epoch_end(self, trainer: Trainer, entry: dict[str, Any]) -> None:
        self.progress.update(entry)

    def on_fit_end(self, trainer: Trainer) -> None:
        self.progress.finish()


def row_metrics(task: Task) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """Return what is measured on validation rows after every epoch, besides the loss."""
    if task == "binary":
        return {"accuracy": lambda output, y: ((output[:, 0] > 0) == (y > 0.5)).float()}
    if task == "multiclass":
        return {"accuracy": lambda output, y: (output.argmax(1) == y).float()}
    return {}


def train_network(
    network: nn.Module,
    objective: ResolvedObjective,
    choices: Choices,
    train: Rows,
    valid: Rows | None,
    *,
    seed: int,
    precision: str,
    verbose: int,
    optimizer: torch.optim.Optimizer | None = None,
) -> tuple[History, Trainer, EarlyStopping]:
    """Train in place; return the history, and what ran it. An ``optimizer`` goes on with what it has gathered.

    Raises
    ------
    TrainingError
        If the loss stops being finite.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise InputError("precision must be auto, float32 or bfloat16", f"precision={precision!r}")
    stopping = EarlyStopping(choices.patience)
    trainer = Trainer(
        network,
        objective.loss,
        optimizer or choices.optimizer.make(network, choices.lr),
        epochs=choices.epochs,
        batch_size=choices.batch_size,
        schedule=as_schedule(choices.schedule),
        penalties=objective.penalties or None,
        clip=choices.optimizer.clip(),
        precision="bfloat16" if precision == "bfloat16" else "float32",
        metrics=row_metrics(objective.task),
        callbacks=[stopping, _Reporter(Progress(verbose), len(train))],
        random_state=seed,
    )
    # Forward and backward cost about six operations per weight and row.
    work = 6 * count_parameters(network) * min(choices.batch_size, len(train))
    with threads(min(choose_threads(work), torch.get_num_threads())):  # never more than the user allowed
        history = trainer.fit(train, valid)
    if trainer.stop_reason == "interrupted":
        warnings.warn(
            f"training was interrupted in epoch {trainer.epoch + 1}; the best weights so far are kept", stacklevel=4
        )
    return history, trainer, stopping
