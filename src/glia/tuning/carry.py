"""A population goes on training with some of its members: weights, what the optimizer gathered, and the place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glia.engine.population_separate import SeparateTrainer
from glia.engine.population_trainer import PopulationTrainer
from glia.nn.population import SeparatePopulation, StackedPopulation

_OWN = ("params", "lr", "weight_decay", "initial_lr")
_PLACE = ("epoch", "step")
Gathered = dict[str, dict[str, Any]]
"""Parameter's name → what the optimizer keeps for it."""


def carry(old: PopulationTrainer, new: PopulationTrainer, keep: Sequence[int]) -> None:
    """Let ``new``, the trainer of ``old``'s members ``keep``, go on where ``old`` has stopped.

    Both must have been made with the same settings but for the members'. The members' forms may differ. What each
    member learns from then on is what it would have learned had nobody been left out; with dropout, of which masks are
    drawn for all members at once, what it could have learned.

    Parameters
    ----------
    old : PopulationTrainer
        Its last ``fit`` has ended; it is of no more use afterwards.
    new : PopulationTrainer
        Not yet fitted.
    keep : sequence of int
        Members of ``old``, in the order of ``new``'s.
    """
    with torch.no_grad():
        for place, member in enumerate(keep):
            state = old.population.member_state(member)
            for name, value in new.population.member_state(place).items():
                value.copy_(state[name])
    _give(new, [_take(old, member) for member in keep])
    _copy_groups(old, new, keep)
    new.epoch, new.step, new.rate = old.epoch, old.step, old.rate
    if isinstance(new, SeparateTrainer):
        for place, member in enumerate(keep):
            trainer = new.trainers[place]
            for name in _PLACE:
                setattr(trainer, name, getattr(old, name))
            if isinstance(old, SeparateTrainer):
                trainer.random_state = old.trainers[member].random_state
                trainer.schedule = old.trainers[member].schedule
                trainer.rate = old.trainers[member].rate


def _named(trainer: PopulationTrainer, member: int) -> tuple[torch.optim.Optimizer, dict[str, nn.Parameter]]:
    """Return the optimizer that updates a member, and the parameters it knows by the plain network's names."""
    population = trainer.population
    if isinstance(trainer, SeparateTrainer) and isinstance(population, SeparatePopulation):
        network = population.networks[member]
        return trainer.optimizer.own[member], dict(network.named_parameters())  # type: ignore[attr-defined]  # MemberOptimizers
    if isinstance(population, StackedPopulation):
        return trainer.optimizer, dict(population.network.named_parameters())
    raise TypeError(f"a population of an unknown form: {type(population).__name__}")


def _take(trainer: PopulationTrainer, member: int) -> Gathered:
    optimizer, named = _named(trainer, member)
    stacked = isinstance(trainer.population, StackedPopulation)
    found: Gathered = {}
    for name, parameter in named.items():
        kept = optimizer.state.get(parameter, {})
        found[name] = {key: _slice(value, parameter, member) if stacked else value for key, value in kept.items()}
    return found


def _slice(value: Any, parameter: Tensor, member: int) -> Any:
    return value[member] if isinstance(value, Tensor) and value.shape == parameter.shape else value


def _give(trainer: PopulationTrainer, gathered: Sequence[Gathered]) -> None:
    if not isinstance(trainer.population, StackedPopulation):
        for member, own in enumerate(gathered):
            optimizer, named = _named(trainer, member)
            for name, parameter in named.items():
                if own[name]:
                    optimizer.state[parameter] = {key: _copied(value) for key, value in own[name].items()}
        return
    optimizer, named = _named(trainer, 0)
    for name, parameter in named.items():
        first = gathered[0][name]
        if first:
            optimizer.state[parameter] = {
                key: torch.stack([own[name][key] for own in gathered])
                if isinstance(value, Tensor) and value.shape == parameter.shape[1:] and value.ndim
                else _copied(value)
                for key, value in first.items()
            }


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _copy_groups(old: PopulationTrainer, new: PopulationTrainer, keep: Sequence[int]) -> None:
    """Copy what optimizers keep beside the parameters' own: counts of steps, sums of weights."""
    for place, member in enumerate(keep):
        source, target = _named(old, member)[0], _named(new, place)[0]
        shared = {key: value for key, value in source.param_groups[0].items() if key not in _OWN}
        for group in target.param_groups:
            group.update({key: value for key, value in shared.items() if key in group})
