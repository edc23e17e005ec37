"""Rows whose inputs are fetched by number as mini-batches need them, ahead, on another thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Event
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia.data.stream import Prefetch
from glia.engine.balanced import BalancedRows
from glia.engine.bucketed import BucketedRows
from glia.engine.fingerprint import hash_tensors
from glia.engine.rows import Rows
from glia.engine.sources import Batch

AHEAD = 3
"""Mini-batches that are ready or in the making while one is in use."""


class IndexedRows:
    """Mini-batches in the very order of ``Rows`` in memory, and of the same bits, from inputs that are elsewhere.

    Parameters
    ----------
    fetch : callable
        Row numbers (B,) → inputs (B, *shape), float32. Called on one thread only.
    y : Tensor
        Targets, (N,) or (N, T), in memory, on the device where batches go.
    weight : Tensor (N,), optional
        With mean 1; of a population of K networks (N, K).
    shape : tuple of int
        Of one row's inputs.
    label : callable
        Returns a text that is another one for other inputs; for checkpoints.
    balanced : bool
        Whether rows are drawn evenly by class, as ``BalancedRows`` does.
    lengths : Tensor (N,), optional
        Of the rows, where mini-batches are of like lengths, as those of ``BucketedRows``.

    Attributes
    ----------
    x : Tensor
        No rows, (0, *shape): what rows in memory say by theirs, their shape and device.
    """

    def __init__(
        self,
        fetch: Callable[[NDArray[np.int64]], NDArray[np.float32]],
        y: Tensor,
        weight: Tensor | None,
        shape: tuple[int, ...],
        label: Callable[[], str],
        *,
        balanced: bool = False,
        lengths: Tensor | None = None,
    ) -> None:
        self.fetch, self.y, self.weight, self.label = fetch, y, weight, label
        self.balanced, self.lengths = balanced, lengths
        self.x = torch.empty((0, *shape), device=y.device)

    def __len__(self) -> int:
        return len(self.y)

    def fingerprint(self) -> str:
        """Return a hash of the rows."""
        rows = f"{self.label()} {hash_tensors((self.y, self.weight))}"
        if self.lengths is not None:
            return f"{rows} by length {hash_tensors((self.lengths,))}"
        return f"{rows} balanced by class" if self.balanced else rows

    def evenly(self) -> IndexedRows:
        """Return the same rows, drawn evenly by class."""
        return IndexedRows(self.fetch, self.y, self.weight, self.x.shape[1:], self.label, balanced=True)

    def by_length(self, lengths: Tensor) -> IndexedRows:
        """Return the same rows in mini-batches of like lengths, (N,)."""
        return IndexedRows(self.fetch, self.y, self.weight, self.x.shape[1:], self.label, lengths=lengths)

    def with_weight(self, weight: Tensor) -> IndexedRows:
        """Return the same rows, drawn in the same way, with other weights, (N,) or (N, K)."""
        shape = self.x.shape[1:]
        return IndexedRows(self.fetch, self.y, weight, shape, self.label, balanced=self.balanced, lengths=self.lengths)

    def part(self, start: int, stop: int) -> Tensor:
        """Return the inputs of rows ``start`` to ``stop``, the latter left out, (stop - start, *shape)."""
        return torch.from_numpy(self.fetch(np.arange(start, min(stop, len(self))))).to(self.y.device)

    def with_inputs(self, x: Tensor) -> Rows:
        """Return the same rows, drawn in the same way, with other inputs that lie in memory, (N, *shape)."""
        if self.lengths is not None:
            return BucketedRows(x, self.y, self.weight, self.lengths)
        return (BalancedRows if self.balanced else Rows)(x, self.y, self.weight)

    def order(self, batch_size: int, seed: int, number: int) -> Tensor:
        """Return the row numbers of epoch ``number`` (from 0): those of rows in memory, to the last one."""
        return self.with_inputs(self.y).order(batch_size, seed, number)

    def epoch(self, batch_size: int, seed: int, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield the mini-batches of epoch ``number`` (from 0), the first ``skip`` left out: see ``Source``."""
        order = self.order(batch_size, seed, number)[skip * batch_size :]
        parts = torch.split(order, batch_size) if len(order) else ()

        def fetched(stop: Event) -> Iterator[tuple[Tensor, NDArray[Any]]]:
            for part in parts:
                if stop.is_set():
                    return
                yield part, self.fetch(part.numpy())

        with closing(Prefetch(fetched, AHEAD)) as ahead:
            for part, x in ahead:
                where = part.to(self.y.device)
                weight = None if self.weight is None else self.weight.index_select(0, where)
                yield torch.from_numpy(x).to(self.y.device), self.y.index_select(0, where), weight
