"""K networks for one estimator: built with seeds of their own, trained at once, used as their mean."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.core.seeds import derive
from glia.core.workload import suited_to
from glia.engine.callbacks import Callback
from glia.engine.events import trouble
from glia.engine.history import History
from glia.engine.population import finish, population_trainer
from glia.engine.population_trainer import PopulationTrainer
from glia.engine.population_weights import bootstrap_weights
from glia.engine.progress import Progress
from glia.engine.rows import Rows
from glia.engine.schedules import as_schedule
from glia.engine.unfreezing import unfreezing_of
from glia.estimators.choices import Choices, changes_of, check_members
from glia.estimators.training import Reporter, build_network, keeping, row_metrics
from glia.nn import count_parameters
from glia.nn.ensemble import MeanNetwork
from glia.objectives import ResolvedObjective


def build_members(
    choices: Choices,
    layout: Any,
    outputs: int,
    seed: int,
    x: NDArray[np.float32],
    *,
    task: Task,
    members: int,
    bootstrap: bool,
    of: str = "probabilities",
) -> MeanNetwork:
    """Build K networks, each initialised from a random stream of its own; ``of`` is what is averaged.

    Raises
    ------
    InputError
        If they would all learn the same: they start from the same weights and see the same rows.
    """
    networks = [
        build_network(spec, layout, outputs, derive(seed, "member", k), x)
        for k, spec in enumerate(choices.specs(members))
    ]
    if unfreezing_of(networks[0]):
        do = "set members=1, or tune='full'"
        raise InputError("gradual unfreezing is for one network", f"members={members}", do)
    first = networks[0].state_dict()
    if not bootstrap and all(_equal(first, other.state_dict()) for other in networks[1:]):
        raise InputError(
            "members must differ in their initial weights or their rows",
            "a network that always starts the same",
            "set bootstrap=True, or hand in a class or factory instead of a module",
        )
    return MeanNetwork(networks, task, of)


def train_members(
    network: MeanNetwork,
    objective: ResolvedObjective,
    choices: Choices,
    train: Rows,
    valid: Rows | None,
    *,
    seed: int,
    precision: str,
    bootstrap: bool,
    callbacks: list[Callback],
) -> tuple[History, PopulationTrainer, int]:
    """Train the members in place; return the history, what ran it, and the last of their best epochs (0: none).

    Members whose loss stopped being finite before they were of use are left out of the mean, with a warning.

    Raises
    ------
    TrainingError
        If the losses of all members stop being finite.
    """
    networks, rows = list(network.networks), train
    if bootstrap:
        weight = bootstrap_weights(len(train), len(networks), seed, train.weight)
        rows = train.with_weight(weight.to(train.x.device))
    trainer = population_trainer(
        networks,
        objective.loss,
        rows,
        valid,
        epochs=choices.epochs,
        batch_size=choices.batch_size,
        optimizer=choices.optimizer,
        lr=choices.lr,
        l1=objective.penalties.l1,
        l2=objective.penalties.l2,
        schedule=as_schedule(choices.schedule),
        patience=choices.patience,
        excess=choices.excess,
        precision="bfloat16" if precision == "bfloat16" else "float32",
        metrics=row_metrics(objective.task),
        callbacks=callbacks,
        random_state=seed,
        kinds=choices.kinds(len(networks)),
        mixing=choices.mixing,
    )
    if not trainer.population.stacks:  # computed one by one, members are not mixed: the record must not say so
        choices.why.pop("mixing", None)
    together = len(networks) if trainer.population.stacks else 1
    work = 6 * count_parameters(networks[0]) * together * min(choices.batch_size, len(train))
    with suited_to(work, batched=together > 1):
        history = trainer.fit(rows, valid)
    fit = finish(trainer, networks)
    if trainer.stop_reason == "interrupted":
        warnings.warn(f"training was interrupted in epoch {trainer.epoch + 1}; the best weights are kept", stacklevel=4)
    if said := trouble(trainer.events):
        warnings.warn(f"training went on after trouble: {said}", stacklevel=4)
    if len(fit.survivors) < len(networks):
        lost = len(networks) - len(fit.survivors)
        what = "members failed and are left out: their loss was not finite"
        warnings.warn(f"{lost} of {len(networks)} {what}", stacklevel=4)
        network.networks = nn.ModuleList(networks[k] for k in fit.survivors)
    return history, trainer, max(fit.best_epoch)


def fit_members(
    network: MeanNetwork,
    objective: ResolvedObjective,
    choices: Choices,
    train: Rows,
    valid: Rows | None,
    *,
    verbose: int,
    checkpoint: Any,
    **options: Any,
) -> tuple[History, PopulationTrainer, int]:
    """Return what ``train_members`` does, with a progress line, and kept in a folder where that is asked for."""
    settings = " ".join(str(options[name]) for name in ("seed", "precision", "bootstrap"))
    kept = keeping(checkpoint, network, objective, choices, (train, valid), settings)
    callbacks = [Reporter(Progress(verbose), len(train)), *kept]
    return train_members(network, objective, choices, train, valid, callbacks=callbacks, **options)


def survivors(trainer: PopulationTrainer) -> list[int]:
    """Return the members that can be used: those that did not fail, and those that failed after a best epoch."""
    best = trainer.stopping.best_epoch or [0] * len(trainer.failed)
    return [k for k, (failed, epoch) in enumerate(zip(trainer.failed, best, strict=True)) if not failed or epoch]


def averaged(members: Any) -> str:
    """Return what is averaged over members: scores where they are Glia's choice, as the temperature is that of one."""
    return "scores" if isinstance(members, str) else "probabilities"


def has_members(members: Any, network: Any, weights: Mapping[str, Any]) -> bool:
    """Tell whether saved weights are those of a ``MeanNetwork``: by the settings, or where these are "auto" by name."""
    if isinstance(members, str) and members == "auto":
        return changes_of(network) is not None and any(name.startswith("networks.") for name in weights)
    return check_members(members) > 1


def count_members(weights: Mapping[str, Any]) -> int:
    """Return how many members the weights of a ``MeanNetwork`` are of: those that failed are not in its file.

    Raises
    ------
    ValueError
        If they are of none.
    """
    found = {name.split(".")[1] for name in weights if name.startswith("networks.") and name.count(".") > 1}
    if not found:
        raise ValueError("there must be weights of at least one member")
    return len(found)


def _equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())
