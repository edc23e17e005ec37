"""Several workers as one team: they take the same steps as one process with the same mini-batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from glia.engine.distributed.batchnorm import Scope
from glia.engine.distributed.gradient import Exchange
from glia.engine.distributed.sharded_parameters import ShardedParameters
from glia.engine.distributed.sharding import Part
from glia.engine.gradients import Gradient, RowLoss
from glia.engine.nonfinite import NonFinite, locate_nonfinite

if TYPE_CHECKING:
    from glia.engine.loop import Trainer


class DataParallel:
    """A ``Team`` of worker processes with the same weights and different rows.

    Parameters
    ----------
    part : Part
        How much of the running mini-batch is this worker's.
    exchange : Exchange
        How gradients travel.
    scope : Scope
        Of the batch normalisations.
    random : callable
        Seeds what is random in a step.
    """

    def __init__(self, part: Part, exchange: Exchange, scope: Scope, random: Callable[[], None]) -> None:
        self.part, self.exchange, self.scope, self._random = part, exchange, scope, random

    def begin(self, trainer: Trainer) -> None:
        """Take over the state of worker 0 where that has taken up an earlier fit."""
        if isinstance(self.exchange, ShardedParameters):  # whose checkpoints are cut into parts as they are read
            return
        kept: list[Any] = [None]
        if dist.get_rank() == 0 and (trainer.step or trainer.epoch):
            data, tensors = trainer.state()
            kept = [(data, {name: value.cpu() for name, value in tensors.items()}, getattr(trainer, "good", None))]
        dist.broadcast_object_list(kept, src=0)
        if kept[0] is not None and dist.get_rank() != 0:
            data, tensors, good = kept[0]
            trainer.restore((data, tensors))
            if good is not None:
                trainer.good = good

    def gradient(self, own: Gradient) -> Gradient:
        """Return the exchange's, on random numbers of this worker and step."""
        chosen = self.exchange.gradient(own)

        def gradient(x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
            self._random()
            return chosen(x, y, weight)

        return gradient

    def rows(self, x: Tensor) -> int:
        """Return the rows of the whole mini-batch."""
        return self.part.everywhere

    def combine(self, loss: Tensor) -> float | Tensor:
        """Return the whole mini-batch's loss, with the gradients to match."""
        return self.exchange.combine(loss)

    def epoch_loss(self, total: float | Tensor, rows: int) -> float:
        """Return the mean loss of the epoch's rows on all workers."""
        return float(self.exchange.epoch_total(total)) / max(rows, 1)

    def mean(self, values: Tensor, weight: Tensor | None) -> Tensor:
        """Return Σ w·v / Σ w over the rows of all workers, summed in float64."""
        ones = torch.ones(len(values), dtype=torch.float64, device=values.device)
        by = ones if weight is None else weight.double()
        sums = torch.stack([(torch.where(by > 0, values.double(), 0.0) * by).sum(), by.sum()])
        dist.all_reduce(sums)
        mean: Tensor = sums[0] / sums[1].clamp_min(torch.finfo(torch.float64).tiny)
        return mean

    def locate(self, network: nn.Module, x: Tensor, loss: RowLoss, y: Tensor) -> NonFinite:
        """Return what the first worker that finds something finds."""
        with self.scope.apart():
            own = locate_nonfinite(network, x, loss, y)
        found: list[NonFinite] = [own] * dist.get_world_size()
        dist.all_gather_object(found, own)
        return next((one for one in found if one.found), own)
