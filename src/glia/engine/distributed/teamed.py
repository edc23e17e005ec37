"""The door to training by several workers; behind it lie imports that a process which is alone need not pay for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from glia.engine.distributed.place import place
from glia.engine.rows import Rows
from glia.engine.sources import Source

if TYPE_CHECKING:
    from glia.engine.loop import Trainer


@contextmanager
def teamed(trainer: Trainer, train: Source, valid: Rows | None) -> Iterator[tuple[Source, Rows | None]]:
    """Let a trainer work with all other workers in a block, as ``joined`` does; nothing is done where it is alone.

    Yields
    ------
    tuple
        This worker's training and validation rows, for ``trainer.fit``.
    """
    if place().world == 1:
        yield train, valid
        return
    joined = import_module("glia.engine.distributed.joined").joined
    with joined(trainer, train, valid) as parts:
        yield parts
