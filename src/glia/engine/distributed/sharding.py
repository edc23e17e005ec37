"""Who works on which rows: every mini-batch is cut into as many parts as there are workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from glia.engine.rows import Rows
from glia.engine.sources import Batch, Source


def bounds(count: int, rank: int, world: int) -> tuple[int, int]:
    """Return the first and the last row (exclusive) of a worker's part of ``count`` rows.

    Parts are consecutive and differ by one row at most; with fewer rows than workers, some are empty.
    """
    return count * rank // world, count * (rank + 1) // world


@dataclass
class Part:
    """How much of the running mini-batch is this worker's.

    Parameters
    ----------
    here, everywhere : int
        Rows of this worker and of all.
    """

    here: int = 0
    everywhere: int = 1

    @property
    def share(self) -> float:
        """The worker's share of the rows, 0 to 1."""
        return self.here / self.everywhere


class Sharded:
    """A source of which one worker sees its part of each mini-batch.

    All workers cut the same mini-batches, so that together they take the very steps of a single process. A worker
    without a row gets one all the same, for networks cannot run on none; ``part.here`` is then 0 and it must not count.

    Parameters
    ----------
    source : Source
        The same on all workers.
    rank, world : int
        This worker and their number.

    Attributes
    ----------
    part : Part
        Of the mini-batch that was handed out last.
    """

    def __init__(self, source: Source, rank: int, world: int) -> None:
        self.source, self.rank, self.world = source, rank, world
        self.part = Part()

    def __len__(self) -> int:
        """Rows of one epoch, over all workers."""
        return len(self.source)

    def epoch(self, batch_size: int, seed: int, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield this worker's part of each mini-batch of ``source.epoch``, see there."""
        if isinstance(self.source, Rows):
            yield from self._of_rows(self.source, batch_size, seed, number, skip)
            return
        for x, y, weight in self.source.epoch(batch_size, seed, number, skip):
            rows = self._take(len(x))
            yield x[rows], y[rows], None if weight is None else weight[rows]

    def _of_rows(self, rows: Rows, batch_size: int, seed: int, number: int, skip: int) -> Iterator[Batch]:
        """Gather this worker's rows alone, once; the batches are those of ``rows.epoch``, in whichever order."""
        order = rows.order(batch_size, seed, number)[skip * batch_size :]
        own = torch.cat([batch[self._slice(len(batch))] for batch in torch.split(order, batch_size)] or [order])
        mine, start = rows.take(own.to(rows.x.device)), 0
        for batch in torch.split(order, batch_size) if len(order) else ():
            taken = self._take(len(batch))
            stop = start + taken.stop - taken.start
            weight = None if mine.weight is None else mine.weight[start:stop]
            yield mine.x[start:stop], mine.y[start:stop], weight
            start = stop

    def _take(self, count: int) -> slice:
        start, stop = bounds(count, self.rank, self.world)
        self.part.here, self.part.everywhere = stop - start, count
        return self._slice(count)

    def _slice(self, count: int) -> slice:
        start, stop = bounds(count, self.rank, self.world)
        return slice(start, stop) if stop > start else slice(0, 1)


def own_rows(rows: Rows, rank: int, world: int) -> Rows:
    """Return a worker's part of rows that are to be measured; rows of weight 0 make all parts equally long.

    Equal lengths matter where workers must call the network equally often (sharded parameters).
    """
    start, stop = bounds(len(rows), rank, world)
    weight = None if rows.weight is None else rows.weight[start:stop]
    longest = -(-len(rows) // world)
    if stop - start == longest and len(rows) % world == 0:
        return Rows(rows.x[start:stop], rows.y[start:stop], weight)
    if weight is None:
        weight = torch.ones(stop - start, device=rows.x.device)
    spare = longest - (stop - start)
    if not spare:
        return Rows(rows.x[start:stop], rows.y[start:stop], weight)
    x = torch.cat([rows.x[start:stop], rows.x[:1].expand(spare, *rows.x.shape[1:])])
    y = torch.cat([rows.y[start:stop], rows.y[:1].expand(spare, *rows.y.shape[1:])])
    return Rows(x, y, torch.cat([weight, weight.new_zeros(spare, *weight.shape[1:])]))
