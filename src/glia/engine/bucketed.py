"""Mini-batches of rows of like lengths, so that little padding is computed."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.core.seeds import torch_rng
from glia.engine.fingerprint import hash_tensors
from glia.engine.rows import Rows

POOL = 8
"""Most mini-batches' worth of rows that are sorted by length together: more save little, and mix the rows less."""


@dataclass(frozen=True)
class BucketedRows(Rows):
    """Rows whose mini-batches hold rows of like lengths; networks that leave out common padding gain from it.

    Every row comes once an epoch, as in ``Rows``, and any row can meet any other of a similar length: the rows are
    shuffled, cut into two pools or more of at most eight mini-batches, sorted by length within each pool, and the
    mini-batches shuffled.

    Parameters
    ----------
    x, y, weight
        As in ``Rows``.
    lengths : Tensor
        Of the rows, (N,).
    """

    lengths: Tensor = field(default_factory=lambda: torch.zeros(0))

    def __post_init__(self) -> None:
        if self.lengths.shape != (len(self.x),):
            got = f"lengths of shape {tuple(self.lengths.shape)} for {len(self.x)} rows"
            raise InputError("every row must have a length", got)

    def to(self, device: torch.device) -> BucketedRows:
        """Return the rows on ``device``."""
        moved = super().to(device)
        return BucketedRows(moved.x, moved.y, moved.weight, self.lengths)

    def order(self, batch_size: int, seed: int, number: int) -> Tensor:
        """Return the row numbers of epoch ``number`` (from 0) in the order in which mini-batches are cut from them."""
        return bucketed_order(self.lengths.cpu(), batch_size, torch_rng(seed, "order by length", number))

    def fingerprint(self) -> str:
        """Return a hash of the rows that is another one than that of plain rows."""
        return hash_tensors((self.x, self.y, self.weight, self.lengths), label=f"by length, {POOL} at once")


def bucketed_order(lengths: Tensor, batch_size: int, generator: torch.Generator, pool: int = POOL) -> Tensor:
    """Return an order of N rows in which each run of ``batch_size`` has like lengths, (N,).

    Parameters
    ----------
    lengths : Tensor
        (N,).
    batch_size : int
    generator : torch.Generator
        Where chance comes from.
    pool : int
        Most mini-batches' worth of rows that are sorted together; there are two pools at least.

    Notes
    -----
    Rows that fill no whole mini-batch are drawn by lot, whatever their lengths, and come last: were they the longest
    ones, these would always count more, since the loss is a mean over the mini-batch. A lone one is left out, as in
    ``epoch_order``.
    """
    order = torch.randperm(len(lengths), generator=generator)
    whole = len(order) // batch_size * batch_size
    rest = order[whole:]
    if whole and batch_size > 1 and len(rest) == 1:
        rest = rest[:0]
    pool = max(1, min(pool, whole // batch_size // 2))  # two pools at least, or the same rows would always meet
    pools = torch.split(order[:whole], pool * batch_size)
    found = [part[torch.argsort(lengths[part], stable=True)].view(-1, batch_size) for part in pools if len(part)]
    if not found:
        return rest
    batches = torch.cat(found)
    return torch.cat([batches[torch.randperm(len(batches), generator=generator)].flatten(), rest])


def padded_share(lengths: Tensor, order: Tensor, batch_size: int) -> float:
    """Return the share of computed steps that is padding, in [0, 1), where each batch is as long as its longest row."""
    parts = torch.split(lengths[order], batch_size)
    computed = sum(int(part.max()) * len(part) for part in parts)
    return 1.0 - float(lengths[order].sum()) / computed if computed else 0.0
