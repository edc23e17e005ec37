"""K networks of one architecture trained in one go, each as if alone: bagging, folds, sweeps, repeated seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from glia.core.errors import InputError
from glia.engine.callbacks import Callback
from glia.engine.gradients import RowLoss
from glia.engine.history import History
from glia.engine.indexed_rows import IndexedRows
from glia.engine.loop import Metric
from glia.engine.mixing import Mixing
from glia.engine.optimizer_settings import Optimizer
from glia.engine.population_separate import SeparateTrainer
from glia.engine.population_stopping import MemberStopping
from glia.engine.population_trainer import PopulationTrainer, StackedTrainer
from glia.engine.population_updates import MemberRates, StackedUpdates, can_stack, member_rates, per_member
from glia.engine.rows import Rows
from glia.engine.sources import Source
from glia.nn.population import FEW_ROWS, Population, SeparatePopulation, stack, unstack

Figures = float | Sequence[float]
"""One figure for all members, or one for each."""


@dataclass(frozen=True)
class PopulationFit:
    """What became of K networks that were trained together.

    Attributes
    ----------
    networks : list of nn.Module
        The networks that were handed in, trained, in evaluation mode.
    history : History
        Means over the members, and lists with one figure for each under ``members/…``.
    form : str
        How members were computed: "batched", "vmap" or "separate".
    best_loss : list of float or None
        Least validation loss of each member.
    best_epoch : list of int
        When that was; 0 where there was none.
    failed : list of bool
        Whose loss stopped being finite. Such a network has its best weights, or useless ones where there were none.
    stop_reason : str
        Why the fit ended.
    """

    networks: list[nn.Module] = field(repr=False)
    history: History = field(repr=False)
    form: str
    best_loss: list[float | None]
    best_epoch: list[int]
    failed: list[bool]
    stop_reason: str

    @property
    def survivors(self) -> list[int]:
        """Members that can be used: those that did not fail, and those that failed after a best epoch."""
        pairs = enumerate(zip(self.failed, self.best_epoch, strict=True))
        return [k for k, (failed, epoch) in pairs if not failed or epoch]


def train_population(
    networks: Sequence[nn.Module],
    loss: RowLoss,
    train: Source,
    valid: Rows | None = None,
    *,
    epochs: int,
    batch_size: int,
    optimizer: Optimizer | str = "adam",
    lr: Figures | None = None,
    weight_decay: Figures | None = None,
    l1: Figures = 0.0,
    l2: Figures = 0.0,
    dropout: Figures | None = None,
    schedule: Callable[[int, int, int], float] | None = None,
    patience: int = 0,
    precision: str = "float32",
    metrics: Mapping[str, Metric] | None = None,
    callbacks: Sequence[Callback] = (),
    random_state: int = 0,
    form: str = "auto",
) -> PopulationFit:
    """Train K networks on the same mini-batches, in place.

    Each member ends where the plain ``Trainer`` would have brought it with its weights, row weights and settings; with
    dropout, where it could have brought it.

    Parameters
    ----------
    networks : sequence of nn.Module
        Of one architecture, each with initial weights of its own.
    loss : RowLoss
        ``(output, target) → (B,)``, for one member.
    train, valid : Rows
        Row weights may be (N,), or (N, K) with a column for each member: Poisson numbers of mean 1 for bagging, 0 and
        K/(K-1) for folds. A column should have mean 1. Validation rows of weight 0 do not count for a member.
    epochs, batch_size : int
        At least 1 each; the same for all members.
    optimizer : Optimizer or str
        Update rule, and clipping (of each member by itself).
    lr, weight_decay, l1, l2 : float or sequence of K floats
        Learning rates (``None``: the rule's usual one), decays (``None``: the rule's), and penalties.
    dropout : float or sequence of K floats, optional
        Probabilities in [0, 1) that replace those of all dropout layers of a member, for good.
    schedule : callable, optional
        ``(step, total_steps, steps_per_epoch) → factor`` for all rates.
    patience : int
        Epochs without an improvement after which a member stops; 0 never stops. With ``valid`` the best weights of
        each member are brought back in any case.
    precision, metrics, callbacks, random_state
        As in ``Trainer``.
    form : {"auto", "batched", "vmap", "separate"}
        As in ``glia.nn.population.stack``.

    Raises
    ------
    InputError
        If the networks differ, or there are not as many figures as networks.
    TrainingError
        If the losses of all members stop being finite.
    """
    trainer = population_trainer(
        networks, loss, train, valid, epochs=epochs, batch_size=batch_size, optimizer=optimizer, lr=lr,
        weight_decay=weight_decay, l1=l1, l2=l2, dropout=dropout, schedule=schedule, patience=patience,
        precision=precision, metrics=metrics, callbacks=callbacks, random_state=random_state, form=form,
    )  # fmt: skip
    trainer.fit(train, valid)
    return finish(trainer, networks)


def population_trainer(
    networks: Sequence[nn.Module],
    loss: RowLoss,
    train: Source,
    valid: Rows | None = None,
    *,
    optimizer: Optimizer | str = "adam",
    lr: Figures | None = None,
    weight_decay: Figures | None = None,
    l1: Figures = 0.0,
    l2: Figures = 0.0,
    dropout: Figures | None = None,
    patience: int = 0,
    excess: float | None = None,
    form: str = "auto",
    kinds: Sequence[int] | None = None,
    mixing: Mixing | None = None,
    **options: Any,
) -> PopulationTrainer:
    """Return the trainer that ``train_population`` runs, for those who want to run it themselves.

    Its ``fit(train, valid)`` trains; ``finish`` then writes the weights into the networks. ``kinds`` are how many of
    the networks, one after the other, are of one architecture; ``mixing`` mixes rows where members are stacked;
    ``excess`` is of ``MemberStopping``.
    """
    rule = optimizer if isinstance(optimizer, Optimizer) else Optimizer(optimizer)
    members = len(networks)
    rates = member_rates(rule, members, lr, weight_decay, l1, l2)
    if dropout is not None:
        _set_dropout(networks, per_member("dropout", dropout, members))
    _check_weights(train, valid, members)
    # Rules that mix a matrix's values, and schedules that look at a loss, need every member by itself.
    if form == "auto" and (hasattr(options.get("schedule"), "observe") or not can_stack(rule, networks[0], rates)):
        form = "separate"
    rows = train.x if isinstance(train, Rows) else train.part(0, FEW_ROWS) if isinstance(train, IndexedRows) else None
    size = min(options["batch_size"], len(train))
    population = stack(networks, form, rows=rows, batch_size=size, kinds=kinds)
    if population.stacks:
        options["mixing"] = mixing
    stopping = MemberStopping(patience, excess=excess)
    return make_trainer(population, networks, loss, rule, rates, stopping=stopping, **options)


def finish(trainer: PopulationTrainer, networks: Sequence[nn.Module]) -> PopulationFit:
    """Write the trained weights into the plain networks; return what became of the fit."""
    unstack(trainer.population, networks)
    for network in networks:
        network.eval()
    return PopulationFit(
        list(networks),
        trainer.history,
        trainer.population.form,
        trainer.stopping.best,
        trainer.stopping.best_epoch,
        trainer.failed,
        trainer.stop_reason,
    )


def make_trainer(
    population: Population,
    networks: Sequence[nn.Module],
    loss: RowLoss,
    rule: Optimizer,
    rates: MemberRates,
    **options: Any,
) -> PopulationTrainer:
    """Return the trainer for a form of population; ``networks`` are the plain members, ``options`` the trainer's.

    Raises
    ------
    InputError
        If the form is unknown.
    """
    if population.stacks:
        updates = StackedUpdates(population, networks, rule, rates, rule.clip())
        return StackedTrainer(population, loss, updates, **options)
    if isinstance(population, SeparatePopulation):
        return SeparateTrainer(population, loss, rule, rates, **options)
    raise InputError("a population must come from glia.nn.population.stack", type(population).__name__)


def _set_dropout(networks: Sequence[nn.Module], probabilities: Sequence[float]) -> None:
    for network, p in zip(networks, probabilities, strict=True):
        layers = [m for m in network.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
        if p >= 1.0 or (p > 0.0 and not layers):
            got = f"dropout={p!r}" + ("" if layers else " for a network without dropout layers")
            raise InputError(
                "dropout must be below 1, in networks that have such layers", got, "build with dropout=0.1"
            )
        for layer in layers:
            layer.p = p


def _check_weights(train: Any, valid: Rows | None, members: int) -> None:
    for name, part in (("training", train), ("validation", valid)):
        weight = getattr(part, "weight", None)
        if weight is not None and weight.ndim == 2 and weight.shape[1] != members:
            got = f"{weight.shape[1]} columns for {members} members"
            raise InputError(f"the {name} rows' weights must have a column for each member", got)
