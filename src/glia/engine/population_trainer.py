"""The training loop over the members of a population: shared mini-batches, all else by member."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from glia.core.errors import TrainingError
from glia.engine.callbacks import Callback
from glia.engine.gradients import RowLoss, autocast
from glia.engine.loop import Metric, Trainer
from glia.engine.mixing import Mixing
from glia.engine.optimizers import evaluation_point
from glia.engine.population_gradient import member_losses
from glia.engine.population_kinds import population_gradient
from glia.engine.population_stopping import MemberStopping
from glia.engine.population_updates import StackedUpdates
from glia.engine.population_weights import own_rows
from glia.engine.rows import Rows, rows_at_once
from glia.engine.sources import Source
from glia.engine.state import State, ravel, unravel
from glia.nn.population import Population


class PopulationTrainer(Trainer):
    """What the trainers of all forms of populations share; see ``StackedTrainer`` and ``SeparateTrainer``.

    Members share the order of rows and nothing else. A member whose loss stops being finite is marked as failed, and
    the others go on.

    Parameters
    ----------
    population : Population
        From ``glia.nn.population.stack``; trained in place.
    loss : RowLoss
        ``(output, target) → (B,)``, for one member.
    optimizer : torch.optim.Optimizer
        Of all members.
    epochs, batch_size, schedule, precision, metrics, callbacks, random_state
        As in ``Trainer``.
    stopping : MemberStopping, optional
        Early stopping of each member.

    Attributes
    ----------
    failed : list of bool
        Whose loss stopped being finite.
    trained : list of float or None
        Mean training losses of the members in the last epoch.

    Notes
    -----
    Entries of the history hold means over the members that have not failed under the usual keys, and lists with one
    figure for each member (``None`` where it is not finite) under ``members/<key>``.
    """

    def __init__(
        self,
        population: Population,
        loss: RowLoss,
        optimizer: torch.optim.Optimizer,
        *,
        epochs: int,
        batch_size: int,
        stopping: MemberStopping | None = None,
        schedule: Callable[[int, int, int], float] | None = None,
        precision: str = "float32",
        metrics: Mapping[str, Metric] | None = None,
        callbacks: Sequence[Callback] = (),
        random_state: int = 0,
    ) -> None:
        self.stopping = stopping or MemberStopping(0)
        super().__init__(
            population,
            loss,
            optimizer,
            epochs=epochs,
            batch_size=batch_size,
            schedule=schedule,
            precision=precision,
            metrics=metrics,
            callbacks=[self.stopping, *callbacks],
            random_state=random_state,
        )
        self.population = population
        self.failed = [False] * population.members
        self.trained: list[float | None] = [None] * population.members
        self._watched = False  # members are looked at once an epoch: one that fails cannot harm the others

    @property
    def ended(self) -> list[bool]:
        """Whose training is over: stopped early, or failed."""
        return [a or b for a, b in zip(self.failed, self.stopping.stopped or self.failed, strict=True)]

    @contextmanager
    def judged(self) -> Iterator[None]:
        """Hold the weights that the optimizer would answer with."""
        with evaluation_point(self.optimizer):
            yield

    @torch.no_grad()
    def validate(self, rows: Rows) -> dict[str, Any]:
        """Return ``valid/<name>``, means over the members that have not failed, and ``members/valid/<name>``, lists."""
        figures, found = {"loss": self.loss, **self.metrics}, dict[str, Any]()
        own = own_rows(rows.weight)
        means = self._means(figures, rows) if own is None else self._own_means(figures, rows, own)
        for name, values in means.items():
            listed = [finite(m) for m in values.tolist()]
            found |= {f"valid/{name}": self.mean(listed), f"members/valid/{name}": listed}
        return found

    def _means(self, figures: Mapping[str, Metric], rows: Rows) -> dict[str, Tensor]:
        """Return every member's means of figures, (K,), where all are judged by all rows."""
        output = self.predict(rows.x)
        weight = None if rows.weight is None else rows.weight.mT
        return {name: _mean(member_losses(f, output, rows.y), weight) for name, f in figures.items()}

    def _own_means(self, figures: Mapping[str, Metric], rows: Rows, own: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the same where each is judged by rows of its own: it answers for those alone."""
        self.network.eval()
        found: dict[str, list[Tensor]] = {name: [] for name in figures}
        for member, index in enumerate(own):
            x, y, weight = rows.x[index], rows.y[index], rows.weight[index, member]  # type: ignore[index]  # own has some
            with autocast(x.device, self.precision == "bfloat16"), self.judged():
                parts = torch.split(x, rows_at_once(x.shape[1:]))
                output = torch.cat([self.population.answer(member, part) for part in parts]).float()
            for name, figure in figures.items():
                found[name].append(_mean(member_losses(figure, output[None], y), weight[None])[0])
        return {name: torch.stack(values) for name, values in found.items()}

    @torch.no_grad()
    def predict(self, x: Tensor, batch_size: int | None = None) -> Tensor:
        """Return the outputs of all members for all rows in evaluation mode, (K, N, O)."""
        self.network.eval()
        batch_size = batch_size or rows_at_once(x.shape[1:])
        with autocast(x.device, self.precision == "bfloat16"), self.judged():
            return torch.cat([self.network(part) for part in torch.split(x, batch_size)], dim=1).float()

    def note(self, entry: dict[str, Any]) -> None:
        """Take note of an epoch's figures, before any callback."""
        entry["members/train/loss"] = list(self.trained)

    def mean(self, values: Sequence[float | None]) -> float:
        """Return the mean of figures of members that have not failed; NaN where there is none."""
        kept = [v for v, failed in zip(values, self.failed, strict=True) if v is not None and not failed]
        return sum(kept) / len(kept) if kept else math.nan

    def state(self) -> State:
        """Return everything that a bit-identical continuation needs."""
        data, tensors = super().state()
        return {**data, "members": unravel(self._member_state(), tensors, "members")}, tensors

    def restore(self, state: State) -> None:
        """Go back to a state."""
        super().restore(state)
        self._member_restore(ravel(state[0]["members"], state[1]))

    def _member_state(self) -> dict[str, Any]:
        return {"failed": self.failed, "trained": self.trained}

    def _member_restore(self, state: dict[str, Any]) -> None:
        self.failed, self.trained = list(state["failed"]), list(state["trained"])

    def _fit(self, train: Source, valid: Rows | None) -> None:
        while self.epoch < self.epochs and not self.stop_reason:
            self._fit_epoch(train, valid)

    def _mark_failed(self, losses: Sequence[float]) -> float:
        """Note which members' losses are not finite; return the mean loss of the others.

        Raises
        ------
        TrainingError
            If all members have failed.
        """
        ended = self.ended
        self.failed = [
            f or (not e and not math.isfinite(v)) for f, e, v in zip(self.failed, ended, losses, strict=True)
        ]
        self.trained = [finite(v) for v in losses]
        if all(self.failed):
            raise TrainingError(
                f"the loss of at least one member must stay finite · all {len(self.failed)} have failed by epoch "
                f"{self.epoch + 1} · lower the learning rate or clip the gradients"
            )
        return self.mean(self.trained)


class StackedTrainer(PopulationTrainer):
    """Trains members whose weights lie stacked, all in one computation.

    What is minimised is the sum of the members' own mean losses, so that no gradient of one depends on another. A
    member that has stopped early goes on being computed, without effect.

    Parameters
    ----------
    population : Population
        Whose members lie in stacks.
    loss : RowLoss
    updates : StackedUpdates
        Optimizer, rates, penalties and clipping of the members.
    mixing : Mixing, optional
        Mixes the rows of a batch behind the members' first stages.
    **options
        As in ``PopulationTrainer``.
    """

    def __init__(
        self,
        population: Population,
        loss: RowLoss,
        updates: StackedUpdates,
        *,
        mixing: Mixing | None = None,
        **options: Any,
    ) -> None:
        super().__init__(population, loss, updates.optimizer, **options)
        self.updates = updates
        self.totals = torch.zeros(population.members, device=next(population.parameters()).device)
        self._autograd = self.gradient = self._way = population_gradient(
            population, loss, bfloat16=self.precision == "bfloat16", mixing=mixing
        )

    def run_epoch(self, train: Source) -> float:
        """Take what is left of one pass over the rows; return the mean loss of members that have not failed."""
        if self.batch == 0:
            self.totals.zero_()
        super().run_epoch(train)
        return self._mark_failed((self.totals / max(self.rows, 1)).tolist())

    def train_step(self, x: Tensor, y: Tensor, weight: Tensor | None) -> float:
        """Run forward, losses, backward and update of all members; their losses are added up and read once an epoch."""
        self._set_rates()
        self.totals.add_(self._gradient(x, y, weight), alpha=len(x))
        self.updates.step()
        self.step += 1
        return 0.0

    def _member_state(self) -> dict[str, Any]:
        return {**super()._member_state(), "totals": self.totals}

    def _member_restore(self, state: dict[str, Any]) -> None:
        super()._member_restore(state)
        self.totals.copy_(state["totals"])


def finite(value: float) -> float | None:
    """Return a number as JSON can hold it: ``None`` for what is not finite."""
    return value if math.isfinite(value) else None


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Return weighted means (K,) of values (K, N); weights are (K, N) or (1, N)."""
    if weight is None:
        return values.mean(1)
    return (values * weight).sum(1) / weight.sum(-1).clamp_min(torch.finfo(values.dtype).tiny)
