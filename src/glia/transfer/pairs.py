"""Mini-batches of two domains: labelled rows of the source beside as many rows of the target, drawn in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glia.core.seeds import torch_rng
from glia.engine.fingerprint import hash_tensors
from glia.engine.rows import Rows


@dataclass(frozen=True)
class DomainRows:
    """A source of mini-batches (x, (y, is_target), weight).

    Rows of the source come first, with their targets; those of the target domain follow, with a target that means
    nothing. An epoch is one pass over the source; of the target domain, rows are drawn without repetition as long as
    there are any.

    Parameters
    ----------
    source : Rows
        Labelled.
    target : Tensor
        Inputs (M, *shape) without labels, M ≥ 2.
    """

    source: Rows
    target: Tensor

    @property
    def x(self) -> Tensor:
        """Inputs of the source."""
        return self.source.x

    def __len__(self) -> int:
        return len(self.source)

    def epoch(self, batch_size: int, seed: int, number: int, skip: int = 0) -> Iterator[Any]:
        """Yield the mini-batches of epoch ``number``: see ``Source``."""
        chance = torch_rng(seed, "target domain", number)
        rounds = -(-len(self.source) // len(self.target))
        order = torch.cat([torch.randperm(len(self.target), generator=chance) for _ in range(rounds)])
        own = self.source.epoch(batch_size, seed, number, skip)
        for place, (x, y, weight) in enumerate(own, skip):
            drawn = order[place * batch_size : place * batch_size + len(x)].to(self.target.device)
            other = self.target.index_select(0, drawn)
            flags = torch.arange(len(x) + len(other), device=x.device) >= len(x)
            labels = torch.cat([y, y.new_zeros((len(other), *y.shape[1:]))])
            whole = None if weight is None else torch.cat([weight, weight.new_ones(len(other))])
            yield torch.cat([x, other]), (labels, flags), whole

    def fingerprint(self) -> str:
        """Return a hash of all rows."""
        return hash_tensors((self.source.x, self.source.y, self.source.weight, self.target), label="two domains")
