"""A fit by all workers: what changes about a trainer, for the time of the fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor, nn

from glia.core.seeds import derive
from glia.engine.distributed.batchnorm import Scope, together
from glia.engine.distributed.checkpoints import shared
from glia.engine.distributed.data_parallel import DataParallel
from glia.engine.distributed.gradient import Exchange, OneMessage, Overlapped
from glia.engine.distributed.interrupts import Interrupts
from glia.engine.distributed.local_updates import LocalUpdates
from glia.engine.distributed.place import Place
from glia.engine.distributed.settings import Distribution, chosen
from glia.engine.distributed.sharded_parameters import ShardedParameters
from glia.engine.distributed.sharding import Part, Sharded, own_rows
from glia.engine.distributed.workers import group
from glia.engine.rows import Rows
from glia.engine.sources import Source

if TYPE_CHECKING:
    from glia.engine.loop import Trainer

OVERLAP_FROM = 1_000_000
"""Parameters from which gradients travel during the backward pass: below, one message costs less than several."""


@contextmanager
def joined(
    trainer: Trainer, train: Source, valid: Rows | None = None, how: Distribution | None = None
) -> Iterator[tuple[Source, Rows | None]]:
    """Let a trainer work with all other workers in a block; a process that is alone is left as it is.

    The weights are afterwards the same on all workers, and those of one process with the same mini-batches (up to
    rounding, and to dropout's draws). Every worker calls this with the same settings and the same data.

    Parameters
    ----------
    trainer : Trainer
        Not yet running.
    train : Source
        All training rows.
    valid : Rows, optional
        All validation rows.
    how : Distribution, optional
        Without it, what ``sharing`` said.

    Yields
    ------
    tuple
        This worker's training and validation rows, for ``trainer.fit``.

    Raises
    ------
    WorkerLostError
        If another worker is lost in the block.
    """
    with group() as here:
        if here.world == 1:
            yield train, valid
            return
        shards = Sharded(train, here.rank, here.world)
        interrupts = Interrupts()
        own = None if valid is None or not len(valid) else own_rows(valid, here.rank, here.world)
        how = how or chosen.get()
        with _applied(trainer, shards.part, interrupts, here, how), interrupts.noted():
            yield shards, own
        if interrupts.wanted and not interrupts.obeyed:
            raise KeyboardInterrupt  # it came after the last step
        dist.barrier()


@contextmanager
def _applied(trainer: Trainer, part: Part, interrupts: Interrupts, here: Place, how: Distribution) -> Iterator[None]:
    same_weights(trainer.network)
    before = trainer.team, trainer.callbacks
    scope = Scope(lambda: part.here > 0, lambda: exchange.factor)
    exchange = _exchange(trainer, part, interrupts, how)
    trainer.team = DataParallel(part, exchange, scope, _random(trainer, here.rank))
    trainer.callbacks = [shared(callback, exchange) for callback in trainer.callbacks]
    try:
        with together(trainer.network, scope):
            yield
    finally:
        trainer.team, trainer.callbacks = before
        exchange.close()


def _exchange(trainer: Trainer, part: Part, interrupts: Interrupts, how: Distribution) -> Exchange:
    if how.shard_parameters:
        return ShardedParameters(trainer, part, interrupts)
    if how.local_steps > 1 or how.messages == "weights":
        return LocalUpdates(trainer, part, interrupts, how.local_steps)
    parameters = [p for p in trainer.network.parameters() if p.requires_grad]
    small = sum(p.numel() for p in parameters) < OVERLAP_FROM
    if how.messages == "one" or (how.messages == "auto" and how.compression == "none" and small):
        return OneMessage(parameters, part, interrupts)
    return Overlapped(
        trainer.network,
        trainer.loss,
        part,
        interrupts,
        bfloat16=trainer.precision == "bfloat16",
        compression=how.compression,
        rank=how.rank,
    )


@torch.no_grad()
def same_weights(network: nn.Module) -> None:
    """Give all workers the weights and buffers of worker 0."""
    for value in network.state_dict().values():
        if isinstance(value, Tensor):
            dist.broadcast(value, src=0)


def _random(trainer: Trainer, rank: int) -> Callable[[], None]:
    """Draw from a stream that worker, epoch and step name: workers differ, and a resumed fit draws the same again."""
    device = next(trainer.network.parameters()).device

    def seed() -> None:
        number = derive(trainer.random_state, "worker", rank, "epoch", trainer.epoch, "step", trainer.batch)
        torch.default_generator.manual_seed(number)
        if device.type == "cuda":
            torch.cuda.manual_seed(number)

    return seed
