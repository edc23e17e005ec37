"""How the workers' gradients become one: in one message after the backward pass, or piece by piece during it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook
from torch.nn.parallel import DistributedDataParallel

from glia.core.errors import TrainingError
from glia.engine.distributed.compression import bfloat16 as bfloat16_hook
from glia.engine.distributed.interrupts import Interrupts
from glia.engine.distributed.sharding import Part
from glia.engine.gradients import Autograd, Gradient, RowLoss, is_out_of_memory, weighted_sum

POWERSGD_START = 10
"""Steps before PowerSGD begins to compress: early gradients have no stable directions yet."""


class Exchange(Protocol):
    """A way for gradients and losses to travel.

    Attributes
    ----------
    sent : int
        Bytes that this worker handed over for exchange in the last step.
    factor : float
        By what this worker's gradients are multiplied before all workers' are summed.
    """

    sent: int

    @property
    def factor(self) -> float:
        """See above; known once the mini-batch is."""

    def gradient(self, own: Gradient) -> Gradient:
        """Return what a trainer is to call instead of its own, with the mean loss of this worker's rows."""

    def combine(self, loss: Tensor) -> float | Tensor:
        """Return the whole mini-batch's loss; the gradients are then the whole mini-batch's too."""

    @property
    def settled(self) -> bool:
        """Whether the state of the fit is the same on all workers now."""

    def epoch_total(self, total: float | Tensor) -> float | Tensor:
        """Do what is due after an epoch's last step; return the sum of its losses over all workers' rows."""

    def close(self) -> None:
        """Leave the network as it was."""


class OneMessage:
    """Gradients, loss and interrupts in one message after the backward pass: the fastest way for small networks.

    Parameters
    ----------
    parameters : sequence of nn.Parameter
        Whose gradients travel.
    part : Part
        How much of the mini-batch that is.
    interrupts : Interrupts
    """

    def __init__(self, parameters: Sequence[nn.Parameter], part: Part, interrupts: Interrupts) -> None:
        self.parameters = list(parameters)
        self._part, self._interrupts = part, interrupts
        sizes = [p.numel() for p in self.parameters]
        device = self.parameters[0].device
        # Behind the gradients: which of them there are, the loss, and whether somebody wants to stop.
        self._message = torch.zeros(sum(sizes) + len(sizes) + 2, device=device)
        *pieces, self._tail = torch.split(self._message, [*sizes, len(sizes) + 2])
        self._views = [piece.view_as(p) for piece, p in zip(pieces, self.parameters, strict=True)]
        self.sent = self._message.numel() * self._message.element_size()

    @property
    def factor(self) -> float:
        """The worker's share of the rows."""
        return self._part.share

    def gradient(self, own: Gradient) -> Gradient:
        """Return the trainer's own."""
        return own

    @torch.no_grad()
    def combine(self, loss: Tensor) -> float | Tensor:
        """Sum what all workers have; a gradient that no worker has stays absent."""
        have = [p.grad is not None for p in self.parameters]
        if self._part.here:
            for view, there in zip(self._views, have, strict=True):
                if not there:
                    view.zero_()
            given = [(v, p.grad) for v, p in zip(self._views, self.parameters, strict=True) if p.grad is not None]
            torch._foreach_copy_([v for v, _ in given], [g for _, g in given])
            self._tail[:-2] = 1.0 if all(have) else torch.tensor(have, dtype=torch.float32)
            self._tail[-2] = loss
            self._message.mul_(self._part.share)
        else:  # and not times 0, for the row that stands in may be anything
            self._message.zero_()
        self._tail[-1] = float(self._interrupts.wanted)
        dist.all_reduce(self._message)
        self._give_back(have)
        self._interrupts.obey(self._tail[-1])
        whole: Tensor = self._tail[-2].clone()
        return whole

    def _give_back(self, have: list[bool]) -> None:
        if not all(have):  # reading the tail waits for the device, so only where it matters
            for p, view, others in zip(self.parameters, self._views, self._tail[:-2].tolist(), strict=True):
                if p.grad is None and others:
                    p.grad = torch.empty_like(view)
        given = [(v, p.grad) for v, p in zip(self._views, self.parameters, strict=True) if p.grad is not None]
        torch._foreach_copy_([g for _, g in given], [v for v, _ in given])

    @property
    def settled(self) -> bool:
        """Always: all workers take the same steps."""
        return True

    def epoch_total(self, total: float | Tensor) -> float | Tensor:
        """Return the total: it is that of all workers."""
        return total

    def close(self) -> None:
        """Nothing was changed."""


class LossMessage:
    """The loss and interrupts, on their way while the backward pass runs.

    Parameters
    ----------
    interrupts : Interrupts
    device : torch.device
        Of the loss.
    """

    def __init__(self, interrupts: Interrupts, device: torch.device) -> None:
        self._interrupts, self._message = interrupts, torch.zeros(2, device=device)
        self._work: dist.Work | None = None
        self.bytes = 8

    def send(self, loss: Tensor) -> None:
        """Start to sum the workers' parts of the loss, a scalar each."""
        self._message[0], self._message[1] = loss.detach(), float(self._interrupts.wanted)
        self._work = dist.all_reduce(self._message, async_op=True)

    def receive(self) -> Tensor:
        """Return the sum.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C came to any worker.
        """
        if self._work is not None:
            self._work.wait()
        self._interrupts.obey(self._message[1])
        return self._message[0].clone()


class Overlapped:
    """Gradients travel in buckets while the backward pass still runs, through torch's DistributedDataParallel.

    Parameters
    ----------
    network : nn.Module
    loss : RowLoss
    part : Part
        How much of the mini-batch is this worker's.
    interrupts : Interrupts
    bfloat16 : bool
        Run the forward pass in bfloat16.
    compression : {"none", "bfloat16", "powersgd"}
        What is sent: float32; half as many bytes (the sum is rounded too); or products of rank ``rank`` with error
        feedback (PowerSGD, Vogels et al., arXiv 1905.13727), after the first ten steps.
    rank : int
        Of PowerSGD's products, at least 1.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: RowLoss,
        part: Part,
        interrupts: Interrupts,
        *,
        bfloat16: bool = False,
        compression: str = "none",
        rank: int = 2,
    ) -> None:
        kept = [p for p in network.parameters() if p.requires_grad]
        self._network, self._part = network, part
        self._full = sum(p.numel() * p.element_size() for p in kept)
        # PowerSGD sends several messages for a bucket, the later ones when the earlier have come; by gloo those of two
        # buckets might then overtake each other, on one worker and not on the next. One bucket has but one order.
        whole = compression == "powersgd" and kept[0].device.type == "cpu"
        self._ddp = DistributedDataParallel(
            network,
            gradient_as_bucket_view=True,
            forward_sync_buffers=False,
            bucket_cap_mb=1 + self._full // 2**20 if whole else None,
        )
        self._autograd = Autograd(self._ddp, loss, bfloat16=bfloat16)
        self._loss = LossMessage(interrupts, kept[0].device)
        self._power: Any = None
        if compression == "bfloat16":
            self._full //= 2
            self._ddp.register_comm_hook(dist.group.WORLD, bfloat16_hook)
        elif compression == "powersgd":
            self._power = powerSGD_hook.PowerSGDState(
                process_group=None, matrix_approximation_rank=rank, start_powerSGD_iter=POWERSGD_START
            )
            self._ddp.register_comm_hook(self._power, powerSGD_hook.powerSGD_hook)
        self.sent = 0

    @property
    def factor(self) -> float:
        """One over the workers: torch averages, and the loss of each is scaled to suit."""
        return 1.0 / dist.get_world_size()

    def gradient(self, own: Gradient) -> Gradient:
        """Return what goes through torch's wrapper."""
        return self._gradient

    def _gradient(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """Compute the whole mini-batch's gradients; return the mean loss of this worker's rows."""
        before = self._power.total_numel_after_compression if self._power is not None else 0
        mean = scaled_backward(self._network, self._autograd, self._loss, self._part, (x, y, weight))
        after = self._power.total_numel_after_compression if self._power is not None else 0
        self.sent = (4 * (after - before) or self._full) + self._loss.bytes
        return mean

    def combine(self, loss: Tensor) -> float | Tensor:
        """Return the whole mini-batch's loss, which has been on its way."""
        return self._loss.receive()

    @property
    def settled(self) -> bool:
        """Always: all workers take the same steps."""
        return True

    def epoch_total(self, total: float | Tensor) -> float | Tensor:
        """Return the total: it is that of all workers."""
        return total

    def close(self) -> None:
        """Let go of torch's wrapper and of the gradients that live in its buckets."""
        self._network.zero_grad(set_to_none=True)
        del self._ddp, self._autograd


def scaled_backward(
    network: nn.Module,
    autograd: Autograd,
    message: LossMessage,
    part: Part,
    batch: tuple[Tensor, Tensor, Tensor | None],
) -> Tensor:
    """Differentiate so that the *average* of the workers' gradients is that of the whole mini-batch's mean loss.

    Raises
    ------
    TrainingError
        If memory is exhausted: a backward pass that talks to other workers cannot be taken again in pieces.
    """
    x, y, weight = batch
    network.zero_grad(set_to_none=True)
    try:
        total = weighted_sum(autograd.losses(x, y), weight)
        message.send(total / part.everywhere if part.here else torch.zeros_like(total))
        (total * (dist.get_world_size() / part.everywhere if part.here else 0.0)).backward()  # type: ignore[no-untyped-call]
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"a worker's part of a mini-batch must fit in its memory · got {len(x)} rows that do not · "
            "take a smaller batch_size or more workers"
        ) from error
    return total.detach() / max(part.here, 1)
