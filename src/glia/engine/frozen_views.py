"""Features of varied rows: as many variants as are worth it, computed once, of which every epoch sees another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glia.core.seeds import torch_rng
from glia.engine.augmented import AugmentedRows
from glia.engine.indexed_rows import IndexedRows
from glia.engine.rows import Rows
from glia.engine.sources import Batch

VIEWS = 4
"""Most variants of a row: as good as ever new ones, where measured, and each costs a pass through the network."""
_BYTES = 1 << 29
"""Of all variants' features. The same on every machine, for rows in memory and on disk: results hang on it."""


@dataclass(frozen=True)
class Views:
    """Variants of the same rows, one after the other by epoch.

    Parameters
    ----------
    variants : tuple of Rows
        At least one; of the same targets and weights.
    """

    variants: tuple[Rows, ...]

    @property
    def x(self) -> Tensor:
        """Inputs of the first variant, (N, *shape)."""
        return self.variants[0].x

    def __len__(self) -> int:
        return len(self.variants[0])

    def epoch(self, batch_size: int, seed: int, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield the mini-batches of epoch ``number`` (from 0), the first ``skip`` left out: see ``Source``."""
        return self.variants[number % len(self.variants)].epoch(batch_size, seed, number, skip)


def views_of(network: Any, train: AugmentedRows, epochs: int, seed: int) -> Views | None:
    """Return features of variants of the rows, ``None`` where there is no room for two.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode, with ``encode`` and ``at_once``.
    train : AugmentedRows
        Their changes are drawn anew for every variant; they must not be mixed with each other.
    epochs : int
        Of the fit: there are no more variants than that.
    seed : int
        Of the changes.
    """
    rows: Any = train.rows
    size = network.at_once(rows.x.shape[1:])
    if train.transform is None or not len(rows):
        return None

    def variant(number: int, most: int) -> Tensor:
        found = []
        for start in range(0, most, size):
            x = _inputs(rows, start, min(start + size, most))
            found.append(network.encode(train.transform(x, torch_rng(seed, "view", number, start))))  # type: ignore[misc]  # asked above
        return torch.cat(found)

    wanted = min(epochs, VIEWS, _BYTES // variant(0, 1).nbytes // len(rows))
    if wanted < 2:
        return None
    seen = [variant(number, len(rows)).contiguous() for number in range(wanted)]
    return Views(tuple(rows.with_inputs(x) for x in seen))


def _inputs(rows: Any, start: int, stop: int) -> Tensor:
    return rows.part(start, stop) if isinstance(rows, IndexedRows) else rows.x[start:stop]
