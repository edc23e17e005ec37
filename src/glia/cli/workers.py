"""Verbs that several worker processes run together: who starts them, who meets, who speaks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from glia.cli import invocation
from glia.cli.failures import Interrupted
from glia.engine.distributed.place import Place, place


class InterruptedWorkersError(Interrupted):
    """Ctrl-C ended the workers, of whom the first has said so."""


def must_launch(workers: int) -> bool:
    """Whether this process is to start the workers and do no more itself: it is none of them."""
    return workers > 1 and place() == Place()


def launched(workers: int) -> int:
    """Run what was typed in so many workers on this machine; return the exit status.

    Raises
    ------
    InterruptedWorkersError
        After Ctrl-C.
    """
    from glia.cli.main import run
    from glia.engine.distributed.launch import INTERRUPTED, launch

    status = launch(run, invocation.words.get(), workers=workers)
    if status == INTERRUPTED:
        raise InterruptedWorkersError
    return status


@contextmanager
def met() -> Iterator[None]:
    """Let the workers meet for a block; nothing is done for a process that is alone."""
    if place().world == 1:
        yield
        return
    from glia.engine.distributed.workers import group

    with group():
        yield


def speaks(error: BaseException) -> bool:
    """Whether this process is the one to tell the user of an error."""
    if place().world == 1:
        return True
    from glia.engine.distributed import workers

    return workers.speaks(error)
