"""Workers that take steps by themselves and average what they have learned from time to time (local SGD)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from glia.engine.distributed.interrupts import Interrupts
from glia.engine.distributed.sharding import Part
from glia.engine.gradients import Gradient

if TYPE_CHECKING:
    from glia.engine.loop import Trainer


class LocalUpdates:
    """Each worker steps by its own rows; every ``every`` steps, weights and optimizer states are averaged.

    Stich, "Local SGD converges fast and communicates little", arXiv 1805.09767, algorithm 1. The optimizer's moments
    are averaged too, so that all workers are the same after an exchange: a checkpoint of one is then one of all.

    Parameters
    ----------
    trainer : Trainer
    part : Part
        How much of the mini-batch that is; gradients are weighted by it, so that with ``every`` = 1 and plain SGD these
        are the steps of one process.
    interrupts : Interrupts
    every : int
        At least 1.
    """

    def __init__(self, trainer: Trainer, part: Part, interrupts: Interrupts, every: int) -> None:
        self._trainer, self._part = trainer, part
        self._interrupts, self._every, self.sent = interrupts, every, 0
        self._settled = True
        self._hook = trainer.optimizer.register_step_post_hook(self._after_step)

    @property
    def factor(self) -> float:
        """One: nothing is summed within a step."""
        return 1.0

    @property
    def settled(self) -> bool:
        """Whether all workers have the same state now."""
        return self._settled

    def gradient(self, own: Gradient) -> Gradient:
        """Return the trainer's own."""
        return own

    @torch.no_grad()
    def combine(self, loss: Tensor) -> float | Tensor:
        """Weight the gradients by the worker's rows; return its part of the mini-batch's loss."""
        weight = self._part.share * dist.get_world_size()
        given = [p.grad for p in self._trainer.network.parameters() if p.grad is not None]
        if not self._part.here:
            torch._foreach_zero_(given)
            return 0.0
        if weight != 1.0:
            torch._foreach_mul_(given, weight)
        # A plain number: the trainer looks at tensors after each step, and workers would see different ones.
        return float(loss) * self._part.share

    def epoch_total(self, total: float | Tensor) -> float | Tensor:
        """Average what is left to average; return the sum of all workers' totals."""
        if not self._settled:
            self._average()
        message = torch.tensor(float(total), dtype=torch.float64)
        dist.all_reduce(message)
        return float(message)

    def close(self) -> None:
        """Stop watching the optimizer."""
        self._hook.remove()

    def _after_step(self, *arguments: Any) -> None:
        self._settled, self.sent = False, 0
        if (self._trainer.step + 1) % self._every == 0:
            self._average()

    @torch.no_grad()
    def _average(self) -> None:
        trainer = self._trainer
        tensors = [value for value in trainer.network.state_dict().values() if isinstance(value, Tensor)]
        for state in trainer.optimizer.state.values():
            tensors += [value for value in state.values() if isinstance(value, Tensor) and value.ndim]
        floats = [value for value in tensors if value.is_floating_point()]
        flag = floats[0].new_tensor([float(self._interrupts.wanted)])
        message = torch.cat([*(value.reshape(-1).float() for value in floats), flag])
        dist.all_reduce(message)
        message /= dist.get_world_size()
        pieces = torch.split(message, [*(value.numel() for value in floats), 1])
        torch._foreach_copy_(floats, [piece.view_as(value) for piece, value in zip(pieces, floats, strict=False)])
        self._settled, self.sent = True, message.numel() * message.element_size()
        self._interrupts.obey(message[-1])
