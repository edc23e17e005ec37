"""Networks trained for a contrast, one for each seed, and what was watched while they trained."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.errors import TrainingError
from glia.core.protocols import Task
from glia.core.seeds import seeded, torch_rng
from glia.core.workload import suited_to
from glia.engine.callbacks import Callback
from glia.engine.loop import Trainer
from glia.engine.population import train_population
from glia.engine.population_trainer import PopulationTrainer
from glia.engine.rows import Rows
from glia.nn import count_parameters
from glia.objectives import Objective, ResolvedObjective

Floats = NDArray[np.float64]
Make = Callable[[], nn.Module]
_OWN_SHARE = 0.8


@dataclass(frozen=True)
class Runs:
    """Trained networks by seed.

    Parameters
    ----------
    networks : list of nn.Module
        As they were after the last epoch, in evaluation mode.
    loss, score : dict
        Part ("train", "valid", "test" or whatever was watched) → ndarray (S, E), by epoch: mean loss, and accuracy (or
        R² in regression). NaN after a network's loss was not finite.
    failed : ndarray of bool, shape (S,)
        Whose loss stopped being finite.
    seconds : float
        For all of them together.
    """

    networks: list[nn.Module] = field(repr=False)
    loss: Mapping[str, Floats]
    score: Mapping[str, Floats]
    failed: NDArray[np.bool_]
    seconds: float

    def final(self, part: str, *, chance: float = math.nan) -> Floats:
        """Return the score of every seed after the last epoch, (S,); ``chance`` where a network failed."""
        last = self.score[part][:, -1]
        return np.where(np.isfinite(last) & ~self.failed, last, chance)

    def epochs_to(self, loss: Floats | float, part: str = "valid") -> Floats:
        """Return the first epoch (from 1) at which each seed's loss is at most ``loss``; one more than all if never."""
        reached = self.loss[part] <= np.broadcast_to(loss, (len(self.networks),))[:, None]
        return np.asarray(np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, reached.shape[1] + 1.0))

    def best(self, part: str = "valid") -> Floats:
        """Return the least loss of each seed, (S,); infinite where there was none."""
        return np.asarray(np.where(np.isfinite(self.loss[part]), self.loss[part], np.inf).min(axis=1))


class _Watch(Callback):
    """Notes the loss and the score of every member on some parts after each epoch."""

    def __init__(self, parts: Mapping[str, Rows], objective: ResolvedObjective) -> None:
        self.parts, self.objective = parts, objective
        self.loss: dict[str, list[list[float]]] = {name: [] for name in parts}
        self.score: dict[str, list[list[float]]] = {name: [] for name in parts}

    @torch.no_grad()
    def on_epoch_end(self, trainer: Trainer, entry: dict[str, Any]) -> None:
        """Predict the parts with all members."""
        if not isinstance(trainer, PopulationTrainer):
            return
        for name, rows in self.parts.items():
            outputs = trainer.predict(rows.x)
            pairs = [figures(output, rows.y, self.objective) for output in outputs]
            self.loss[name].append([loss for loss, _ in pairs])
            self.score[name].append([score for _, score in pairs])


def figures(output: Tensor, y: Tensor, objective: ResolvedObjective) -> tuple[float, float]:
    """Return the mean loss and the accuracy (R² in regression) of outputs (N, O)."""
    loss = float(objective.loss(output, y).mean())
    return loss, score_of(output, y, objective.task)


def score_of(output: Tensor, y: Tensor, task: Task) -> float:
    """Return accuracy, or R² in regression; NaN where outputs are not finite."""
    if not bool(torch.isfinite(output).all()):
        return math.nan
    if task == "binary":
        return float(((output[:, 0] > 0) == (y > 0.5)).float().mean())
    if task == "multiclass":
        return float((output.argmax(1) == y).float().mean())
    target = y.reshape(len(y), -1)
    left = ((output.reshape(target.shape) - target) ** 2).sum()
    return 1.0 - float(left / ((target - target.mean(0)) ** 2).sum().clamp_min(1e-12))


def train_runs(
    make: Make,
    seeds: Sequence[int],
    train: Rows,
    watched: Mapping[str, Rows],
    task: Task,
    *,
    root: int = 0,
    epochs: int = 20,
    batch_size: int = 64,
    optimizer: Any = "adam",
    loss: Any = "auto",
    own_rows: bool = True,
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> Runs:
    """Train one network for each seed, all in one population.

    A seed sets a network's first weights and which four fifths of the training rows it learns from. Mini-batches come
    in one order for all.

    Parameters
    ----------
    make : callable
        Builds a network; called once for each seed, with torch's random numbers set by it.
    seeds : sequence of int
        S of them. Equal seeds of two calls give pairs: the same rows, and the same weights if the networks are alike.
    train : Rows
        Rows to learn from.
    watched : mapping
        Name → rows on which loss and score are noted after every epoch.
    task : Task
        What is predicted.
    root : int
        Seed of the whole lab run.
    epochs, batch_size, optimizer, loss
        As in ``glia.Classifier``.
    own_rows : bool
        Whether each seed leaves out a fifth of the rows.
    callbacks, **options
        As in ``train_population``: ``lr``, ``weight_decay``, ``l1``, ``l2``, ``dropout`` (one figure, or one for each
        seed), ``schedule``.
    """
    objective = Objective(loss).resolve(task, weighted=own_rows)
    networks = []
    for seed in seeds:
        with seeded(root, "lab network", seed):
            networks.append(make())
    rows = replace(train, weight=_own_rows(len(train), seeds, root)) if own_rows else train
    watch = _Watch(watched, objective)
    started = time.perf_counter()
    size = min(batch_size, len(train))
    work = 6 * count_parameters(networks[0]) * len(networks) * size
    try:
        with suited_to(work, batched=True):
            fit = train_population(
                networks, objective.loss, rows, epochs=epochs, batch_size=size, optimizer=optimizer,
                callbacks=[watch, *callbacks], random_state=root, **options,
            )  # fmt: skip
        failed = np.array(fit.failed)
    except TrainingError:  # all of them: which is an answer too
        failed = np.ones(len(networks), dtype=bool)
    seconds = time.perf_counter() - started
    loss_by_epoch = {name: _by_seed(found, len(networks), epochs) for name, found in watch.loss.items()}
    score_by_epoch = {name: _by_seed(found, len(networks), epochs) for name, found in watch.score.items()}
    return Runs(networks, loss_by_epoch, score_by_epoch, failed, seconds)


def _by_seed(found: list[list[float]], members: int, epochs: int) -> Floats:
    table = np.full((members, epochs), np.nan)
    for epoch, column in enumerate(found):
        table[:, epoch] = column
    return np.where(np.isfinite(table), table, np.nan)


def _own_rows(rows: int, seeds: Sequence[int], root: int) -> Tensor:
    columns = [(torch.rand(rows, generator=torch_rng(root, "lab rows", seed)) < _OWN_SHARE).float() for seed in seeds]
    weight = torch.stack(columns, dim=1)
    return weight / weight.mean(0, keepdim=True).clamp_min(1e-12)
