"""Which of several worker processes this one is, as ``torchrun`` says; costs nothing to import."""

from __future__ import annotations

import os
from dataclasses import dataclass

from glia.core.errors import InputError


@dataclass(frozen=True)
class Place:
    """Where a process stands among the workers.

    Parameters
    ----------
    rank : int
        Its number, from 0; worker 0 alone prints and writes files.
    world : int
        How many workers there are on all machines.
    local_rank, local_world : int
        The same on this machine; ``local_rank`` is the number of its GPU.
    restarts : int
        How often the workers have been started again after one was lost.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    restarts: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the worker that prints and writes."""
        return self.rank == 0


def place() -> Place:
    """Return where this process stands; without the variables that ``torchrun`` sets, it is alone.

    Raises
    ------
    InputError
        If they contradict each other.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT")
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return Place()
    try:
        rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        # Where something else than torchrun started the workers, it may not say which of a machine's they are.
        rest = [int(os.environ.get(name, default)) for name, default in zip(names[2:], (0, 1, 0), strict=True)]
    except ValueError as error:
        got = ", ".join(f"{name}={os.environ[name]!r}" for name in names if name in os.environ)
        raise InputError("the variables that number the workers must be whole numbers", got, "use torchrun") from error
    if not 0 <= rank < world:
        raise InputError("RANK must be from 0 to WORLD_SIZE - 1", f"RANK={rank}, WORLD_SIZE={world}", "use torchrun")
    return Place(rank, world, *rest)
