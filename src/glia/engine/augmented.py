"""Rows that are changed at random every time they are learned from, the same again by seed, epoch and step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from glia.core.seeds import torch_rng
from glia.engine.fingerprint import hash_tensors
from glia.engine.mixing import Mixing
from glia.engine.rows import Rows
from glia.engine.sources import Batch

InputTransform = Callable[[Tensor, torch.Generator], Tensor]
"""(B, *shape) and where chance comes from → (B, *shape), another tensor; its ``repr`` says all that it does."""


class HasEpochs(Protocol):
    """Rows as their mini-batches are drawn."""

    x: Tensor
    y: Tensor
    weight: Tensor | None

    def epoch(self, batch_size: int, seed: int, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield mini-batches: see ``Source``."""


@dataclass(frozen=True)
class AugmentedRows:
    """A source whose mini-batches are transformed on their way to the network.

    What happens to a batch depends on seed, epoch and place alone: there is no state to keep, and a fit that was cut
    off goes on with the very rows that were still to come.

    Parameters
    ----------
    rows : Rows
        Or anything that draws mini-batches of rows in memory, such as ``BalancedRows``.
    transform : callable, optional
        Changes inputs.
    mixing : Mixing, optional
        Mixes rows with each other; the loss must then be ``mixing.loss(…)``.
    """

    rows: Rows
    transform: InputTransform | None = None
    mixing: Mixing | None = None

    @property
    def x(self) -> Tensor:
        """Inputs as they are, (N, *shape)."""
        return self.rows.x

    @property
    def y(self) -> Tensor:
        """Targets, (N,) or (N, T)."""
        return self.rows.y

    @property
    def weight(self) -> Tensor | None:
        """Weights of the rows."""
        return self.rows.weight

    def __len__(self) -> int:
        return len(self.rows)

    def with_weight(self, weight: Tensor) -> AugmentedRows:
        """Return the same rows, changed in the same way, with other weights, (N,) or (N, K)."""
        return replace(self, rows=self.rows.with_weight(weight))

    def epoch(self, batch_size: int, seed: int, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield the changed mini-batches of epoch ``number`` (from 0), the first ``skip`` left out: see ``Source``."""
        for place, (x, y, weight) in enumerate(self.rows.epoch(batch_size, seed, number, skip), skip):
            chance = torch_rng(seed, "augmentation", number, place)
            if self.transform is not None:
                x = self.transform(x, chance)
            if self.mixing is not None:
                yield self.mixing(x, y, weight, chance)  # type: ignore[misc]  # targets of mixed rows are a pair
            else:
                yield x, y, weight

    def fingerprint(self) -> str:
        """Return a hash of the rows and of what is done to them."""
        own = getattr(self.rows, "fingerprint", None)
        inner = own() if callable(own) else hash_tensors((self.rows.x, self.rows.y, self.rows.weight))
        return f"{inner} {self.transform!r} {self.mixing!r}"
