"""From settings and prepared rows to a trained network: the one place where the parts are put together."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.core.seeds import seeded
from glia.core.workload import suited_to
from glia.engine.augmented import AugmentedRows
from glia.engine.callbacks import Callback, EarlyStopping
from glia.engine.checkpointing import Checkpointing, as_checkpoints
from glia.engine.distributed.teamed import teamed
from glia.engine.events import trouble
from glia.engine.fingerprint import fingerprint
from glia.engine.frozen_features import what_learns
from glia.engine.history import History
from glia.engine.loop import Trainer
from glia.engine.precision import choose_precision
from glia.engine.progress import Progress
from glia.engine.rows import Rows
from glia.engine.schedules import as_schedule
from glia.engine.sources import Source
from glia.engine.stream_source import StreamSource
from glia.engine.unfreezing import unfreezing_of
from glia.estimators.choices import Choices
from glia.nn import as_network, count_parameters
from glia.objectives import ResolvedObjective


def to_rows(x: NDArray[Any], y: NDArray[Any], weight: NDArray[Any] | None, device: torch.device) -> Rows:
    """Return tensors on the device; weights are scaled to mean 1."""
    scaled = None if weight is None else torch.from_numpy((weight / weight.mean()).astype(np.float32))
    return Rows(torch.from_numpy(x), torch.from_numpy(np.ascontiguousarray(y)), scaled).to(device)


def build_network(spec: Any, layout: Any, outputs: int, seed: int, x: NDArray[np.float32]) -> nn.Module:
    """Build and initialise the network from its own random stream."""
    with seeded(seed, "initialisation"):
        network = as_network(spec).build(layout, outputs)
        finish = getattr(network, "initialise_from", None)
        if finish is not None:
            finish(torch.from_numpy(x[:512]))
    return network


class Reporter(Callback):
    """Draws the history as a progress line."""

    def __init__(self, progress: Progress, rows: int) -> None:
        self.progress, self.rows = progress, rows

    def on_fit_start(self, trainer: Trainer) -> None:
        """Begin the line."""
        self.progress.start(trainer.epochs, self.rows)

    def on_epoch_end(self, trainer: Trainer, entry: dict[str, Any]) -> None:
        """Show an epoch's figures."""
        self.progress.update(entry)

    def on_fit_end(self, trainer: Trainer) -> None:
        """End the line."""
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
    train: Source,
    valid: Rows | None,
    *,
    seed: int,
    precision: str,
    verbose: int,
    optimizer: torch.optim.Optimizer | None = None,
    checkpoint: Any = None,
) -> tuple[History, Trainer, EarlyStopping]:
    """Train in place; return the history, and what ran it.

    An ``optimizer`` goes on with what it has gathered. With ``checkpoint``, a folder or ``Checkpoints``, the fit
    is kept there while it runs, and goes on where the same fit was cut off.

    Raises
    ------
    TrainingError
        If the loss stops being finite.
    InputError
        If ``checkpoint`` holds another fit's state.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise InputError("precision must be auto, float32 or bfloat16", f"precision={precision!r}")
    stopping = EarlyStopping(choices.patience)
    kept = keeping(checkpoint, network, objective, choices, (train, valid), f"{seed} {precision}")
    mixing = train.mixing if isinstance(train, AugmentedRows) else None
    learned = what_learns(network, train, valid, choices.epochs, seed)
    work = step_flops(learned.network, learned.train, choices.batch_size)
    if precision == "auto":
        device = next(network.parameters()).device
        precision = choose_precision(learned.network, device, work, classifies=objective.task != "regression")
    trainer = Trainer(
        learned.network,
        objective.loss if mixing is None else mixing.loss(objective.loss),
        optimizer or choices.optimizer.make(learned.network, choices.lr),
        epochs=choices.epochs,
        batch_size=choices.batch_size,
        schedule=as_schedule(choices.schedule),
        penalties=objective.penalties or None,
        clip=choices.optimizer.clip(),
        precision=precision,
        metrics=row_metrics(objective.task),
        callbacks=[stopping, Reporter(Progress(verbose), len(train)), *unfreezing_of(network), *kept],
        random_state=seed,
    )
    with (
        suited_to(work, helpers=_helpers(learned.train, work / choices.batch_size)),
        teamed(trainer, learned.train, learned.valid) as parts,
    ):
        history = trainer.fit(*parts)
    network.eval()
    if trainer.stop_reason == "interrupted":
        warnings.warn(
            f"training was interrupted in epoch {trainer.epoch + 1}; the best weights so far are kept", stacklevel=4
        )
    if said := trouble(trainer.events):
        warnings.warn(f"training went on after trouble: {said}", stacklevel=4)
    return history, trainer, stopping


def _helpers(train: Any, flops_per_row: float) -> int:
    return train.helpers(flops_per_row) if isinstance(train, StreamSource) else 0


def step_flops(network: nn.Module, train: Any, batch_size: int) -> float:
    """Return the operations of a training step of this network.

    Forward and backward cost about six operations per weight and row; in rows of several axes weights are used at
    every position (all axes but the last).
    """
    positions = math.prod(train.x.shape[1:-1])
    return float(6 * count_parameters(network) * min(batch_size, len(train)) * positions)


def keeping(
    checkpoint: Any,
    network: nn.Module,
    objective: ResolvedObjective,
    choices: Choices,
    rows: tuple[Source, Rows | None],
    seed: str,
) -> list[Checkpointing]:
    """Return the callback that keeps the state of this very fit, where that is wanted."""
    checkpoints = as_checkpoints(checkpoint)
    if checkpoints is None:
        return []
    settings = {
        "loss": objective.loss, "penalties": objective.penalties, "optimizer": choices.optimizer, "lr": choices.lr,
        "schedule": choices.schedule, "batch_size": choices.batch_size, "epochs": choices.epochs,
        "patience": choices.patience, "layers": network, "seed and precision": seed,
    }  # fmt: skip
    made = fingerprint(settings, initial_weights=network.state_dict(), training_rows=rows[0], validation_rows=rows[1])
    return [checkpoints.callback(made)]
