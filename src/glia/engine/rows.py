"""Rows as tensors, and the mini-batches that are cut from them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Self

import torch
from torch import Tensor

from glia.core.seeds import torch_rng
from glia.engine.sources import Batch

_VALUES_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Rows:
    """One part of the data, on one device.

    Parameters
    ----------
    x : Tensor
        Inputs, (N, *shape).
    y : Tensor
        Targets, (N,) or (N, T).
    weight : Tensor, optional
        Non-negative row weights with mean 1 over the part, (N,); for a population of K networks (N, K).
    """

    x: Tensor
    y: Tensor
    weight: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: Tensor) -> Rows:
        """Return the rows at ``index``, copied once."""
        weight = None if self.weight is None else self.weight.index_select(0, index)
        return Rows(self.x.index_select(0, index), self.y.index_select(0, index), weight)

    def to(self, device: torch.device) -> Rows:
        """Return the rows on ``device``."""
        weight = None if self.weight is None else self.weight.to(device)
        return Rows(self.x.to(device), self.y.to(device), weight)

    def with_weight(self, weight: Tensor) -> Self:
        """Return the same rows, drawn in the same way, with other weights, (N,) or (N, K)."""
        return replace(self, weight=weight)

    def with_inputs(self, x: Tensor) -> Self:
        """Return the same rows, drawn in the same way, with other inputs, (N, *shape)."""
        return replace(self, x=x)

    def epoch(self, batch_size: int, seed: int, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield the mini-batches of epoch ``number`` (from 0), the first ``skip`` left out: see ``Source``.

        The rows are gathered once and then sliced, which costs a fraction of fetching every batch by itself.
        """
        order = self.order(batch_size, seed, number)
        return self.take(order[skip * batch_size :].to(self.x.device)).batches(batch_size)

    def order(self, batch_size: int, seed: int, number: int) -> Tensor:
        """Return the row numbers of epoch ``number`` (from 0) in the order in which mini-batches are cut from them.

        What draws rows in another way overrides this; workers then share those very mini-batches.
        """
        return epoch_order(len(self), batch_size, torch_rng(seed, "order", number))

    def batches(self, size: int) -> Iterator[Batch]:
        """Return consecutive views of at most ``size`` rows; nothing is copied."""
        if not len(self):  # torch would split nothing into one empty part
            return iter(())
        weights = repeat(None) if self.weight is None else torch.split(self.weight, size)
        return zip(torch.split(self.x, size), torch.split(self.y, size), weights, strict=False)


def rows_at_once(shape: Sequence[int], most: int = 4096) -> int:
    """Return how many rows of a shape go through a network at once where nothing is learned, a multiple of 16.

    Layers over pictures and series keep many values per value of a row: fewer rows fit into memory, and into the
    processor's caches. Rows of a table count as one value.
    """
    if len(shape) < 2:
        return most
    return max(16, min(most, _VALUES_AT_ONCE // max(math.prod(shape), 1) // 16 * 16))


def epoch_order(count: int, batch_size: int, generator: torch.Generator) -> Tensor:
    """Return a random order of ``count`` rows, cut so that no batch has a single row where batches are larger.

    A lone last row would make batch normalisation undefined and its gradient the noisiest of the epoch; it is left
    out of this epoch (another row in the next).
    """
    order = torch.randperm(count, generator=generator)
    return order[:-1] if count > batch_size > 1 and count % batch_size == 1 else order
