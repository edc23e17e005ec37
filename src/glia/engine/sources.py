"""Where mini-batches come from: rows in memory, arrays on disk, streams of files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from torch import Tensor

Batch = tuple[Tensor, Tensor, Tensor | None]
"""Inputs (B, *shape), targets (B,) or (B, T), and weights with mean 1 over the source, (B,) or (B, K), or ``None``."""


@runtime_checkable
class Source(Protocol):
    """Rows to learn from, one epoch after the other."""

    def __len__(self) -> int:
        """Rows of one epoch."""

    def epoch(self, batch_size: int, seed: int, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield the mini-batches of epoch ``number`` (from 0), the first ``skip`` of them left out.

        Their order and content depend on ``seed`` and ``number`` alone, so that a fit which was cut off in the middle
        of an epoch goes on with the very batches that were still to come.
        """
