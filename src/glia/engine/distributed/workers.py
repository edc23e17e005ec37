"""The group that worker processes form, and who of them speaks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from glia.core.errors import TrainingError
from glia.engine.distributed.place import Place, place

PATIENCE = timedelta(minutes=30)
"""How long a worker waits for the others before it gives up."""
_met: list[Any] = []
_ALONE_WORDS = ("Connection closed by peer", "Connection reset by peer", "Connection refused", "Broken pipe")


class WorkerLostError(TrainingError):
    """Another worker is gone, so that this one cannot go on either."""


@contextmanager
def group() -> Iterator[Place]:
    """Join the workers' process group for a block; nothing is done for a process that is alone or has joined before.

    Tensors on GPUs travel by NCCL, all others by gloo. Each worker of a machine takes the GPU of its own number.

    Raises
    ------
    WorkerLostError
        If another worker is lost meanwhile.
    """
    here = place()
    if here.world == 1:
        yield here
        return
    if dist.is_initialized():
        with _lost_named():
            yield here
        return
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(here.local_rank % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    with _lost_named():
        _met[:] = [next(iter(rendezvous("env://", timeout=PATIENCE)))[0]]
        # The store outlives workers that are started again, and with it the addresses of those that are gone.
        meeting = (_met[0].add(f"glia/arrivals/{here.restarts}", 1) - 1) // here.world
        store = PrefixStore(f"glia/group/{here.restarts}/{meeting}", _met[0])
        dist.init_process_group(backend, store=store, rank=here.rank, world_size=here.world, timeout=PATIENCE)
        try:
            yield here
        finally:
            dist.destroy_process_group()


@contextmanager
def _lost_named() -> Iterator[None]:
    """Turn what torch says when a peer is gone into one plain error."""
    try:
        yield
    except RuntimeError as error:
        if not is_lost(error):
            raise
        raise WorkerLostError(
            "all workers must stay alive until the fit is done · got a lost connection to another worker · "
            "start again: the fit goes on from its last checkpoint"
        ) from error


def is_lost(error: BaseException) -> bool:
    """Whether an error says that another worker is gone."""
    if isinstance(error, (dist.DistNetworkError, dist.DistBackendError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _ALONE_WORDS)


def claim(name: str) -> bool:
    """Whether this worker is the first to ask for ``name``: what concerns all of them is then said once.

    Workers that have not met cannot tell: worker 0 is then the first.
    """
    if not _met or place().world == 1:
        return place().first
    try:
        return bool(_met[0].add(f"glia/claims/{place().restarts}/{name}", 1) == 1)
    except RuntimeError:  # the worker that keeps the list has gone, after saying what there was to say
        return False


def speaks(error: BaseException) -> bool:
    """Whether this worker is the one to tell the user of an error; a lost worker is none where all start again."""
    going_on = place().restarts < int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0"))
    return not (isinstance(error, WorkerLostError) and going_on) and claim("error")
