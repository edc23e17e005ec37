"""Mini-batches in which every class has as many rows as every other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.core.seeds import torch_rng
from glia.engine.fingerprint import hash_tensors
from glia.engine.rows import Rows


@dataclass(frozen=True)
class BalancedRows(Rows):
    """Rows of classes, drawn evenly by class.

    An epoch has as many rows as there are. Numbers of rows per class differ by one at most in a mini-batch. A rare
    row comes several times an epoch, all of its class equally often up to one; of a common class an epoch shows a
    sample without repetition, the next epoch another.

    Parameters
    ----------
    x : Tensor
        Inputs, (N, *shape).
    y : Tensor
        Classes, (N,).
    weight : Tensor, optional
        As in ``Rows``.
    """

    def __post_init__(self) -> None:
        if self.y.ndim != 1:
            raise InputError("balanced mini-batches need one class per row", f"targets of shape {tuple(self.y.shape)}")

    def to(self, device: torch.device) -> BalancedRows:
        """Return the rows on ``device``."""
        moved = super().to(device)
        return BalancedRows(moved.x, moved.y, moved.weight)

    def order(self, batch_size: int, seed: int, number: int) -> Tensor:
        """Return the row numbers of epoch ``number`` (from 0) in the order in which mini-batches are cut from them."""
        order = balanced_order(self.y.cpu(), torch_rng(seed, "balanced order", number))
        lone = len(order) > batch_size > 1 and len(order) % batch_size == 1
        return order[:-1] if lone else order  # as in ``epoch_order``: no batch of a single row

    def fingerprint(self) -> str:
        """Return a hash of the rows that is another one than that of plain rows."""
        return hash_tensors((self.x, self.y, self.weight), label="balanced by class")


def balanced_order(y: Tensor, generator: torch.Generator) -> Tensor:
    """Return N row numbers, (N,), in which classes (N,) take turns.

    Consecutive rows, from wherever to wherever, hold every class equally often up to one.
    """
    classes, code = torch.unique(y, return_inverse=True)
    turns = torch.randperm(len(classes), generator=generator)
    order = torch.empty(len(y), dtype=torch.int64)
    for place, which in enumerate(turns.tolist()):
        own = torch.nonzero(code == which).squeeze(1)
        wanted = len(range(place, len(y), len(classes)))
        rounds = [own[torch.randperm(len(own), generator=generator)] for _ in range(-(-wanted // len(own)))]
        order[place :: len(classes)] = torch.cat(rounds)[:wanted] if rounds else own[:0]
    return order
