"""Mini-batches from data that stay on disk: a ``Source`` over blocks, filled ahead on another thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia.data.stream import Blocks, Prefetch, pools
from glia.data.stream.shuffle import cut
from glia.engine.sources import Batch

FLOPS_OF_READING = 1e5
"""Operations of training a row below which the thread that reads it has a core of its own."""


class StreamSource:
    """Mini-batches of blocks that are read in random order and shuffled in pools.

    Parameters
    ----------
    blocks : Blocks
        ``read`` returns inputs (n, *shape), targets (n,) or (n, T), and weights (n,) where there are any.
    pool_rows : int
        Most rows of a pool. Two pools are held at once: one is trained on while the other is filled.
    device : torch.device, optional
        Where the batches go.
    shape : tuple of int
        Shape of one row's inputs.

    Attributes
    ----------
    x : Tensor
        No rows, (0, *shape): what rows in memory say by theirs, their shape and device.

    Notes
    -----
    The order depends on the seed and the epoch alone: see ``glia.data.stream.shuffle``. An epoch that begins in the
    middle reads only what is left of it. The thread ends with the epoch, also when the epoch is left early or fails.
    """

    def __init__(
        self, blocks: Blocks, pool_rows: int, device: torch.device | None = None, shape: tuple[int, ...] = ()
    ) -> None:
        self.blocks, self.pool_rows, self.device = blocks, pool_rows, device or torch.device("cpu")
        self.x = torch.empty((0, *shape), device=self.device)
        self._rows = int(blocks.counts.sum())

    def __len__(self) -> int:
        return self._rows

    def helpers(self, flops_per_row: float) -> int:
        """Return how many threads keep a core busy beside training of so many operations a row: that which reads.

        None where blocks say that they are ``ready`` and training outweighs the rest of reading. Rows per second in
        memory, and from disk with training on two cores and on one (AMD EPYC, family 26, two cores, 20 columns):

        =================== ===== ========= ========= =========
        operations a row    passes in memory two cores one core
        =================== ===== ========= ========= =========
        35,000 (64-64)      1     1,660,000   870,000 1,030,000
        35,000 (64-64)      8     2,330,000 1,660,000 1,700,000
        433,000 (256-256)   1       615,000   455,000   335,000
        =================== ===== ========= ========= =========
        """
        return int(flops_per_row < FLOPS_OF_READING or not getattr(self.blocks, "ready", False))

    def over(self, blocks: Blocks) -> StreamSource:
        """Return a source of the same rows from other blocks."""
        return StreamSource(blocks, self.pool_rows, self.device, tuple(self.x.shape[1:]))

    def fingerprint(self) -> str:
        """Return a short text that is another one for other rows or another order of them; for checkpoints."""
        own = getattr(self.blocks, "fingerprint", None)
        if own is None:
            raise TypeError(f"{type(self.blocks).__name__} does not say what it holds")
        return f"{own()}, pools of {self.pool_rows} rows"

    def epoch(self, batch_size: int, seed: int, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield the mini-batches of epoch ``number``, the first ``skip`` left out: see ``Source``."""
        start = skip * batch_size
        ahead = Prefetch(lambda stop: pools(self.blocks, self.pool_rows, seed, number, start, stop))
        with closing(ahead):
            for arrays in cut(ahead, batch_size, self._rows - start):
                yield self._batch(arrays)

    def _batch(self, arrays: tuple[NDArray[Any], ...]) -> Batch:
        x, y = (torch.from_numpy(np.ascontiguousarray(array)).to(self.device) for array in arrays[:2])
        weight: Tensor | None = None
        if len(arrays) > 2:
            weight = torch.from_numpy(np.ascontiguousarray(arrays[2])).to(self.device)
        # Pictures stay bytes until here: a pool holds four times as many of them.
        return (x if x.dtype == torch.float32 else x.float()), y, weight
