"""Whether sequences are learned from in mini-batches of like lengths."""

from __future__ import annotations

from typing import Any

import torch

from glia.engine.bucketed import BucketedRows, bucketed_order, padded_share
from glia.engine.indexed_rows import IndexedRows
from glia.engine.rows import Rows
from glia.nn import as_network
from glia.nn.sequence_network import SequenceSpec

WORTH = 0.1
"""Share of the computed steps that must be saved for mini-batches to be drawn by length."""
_AT_ONCE = 256


def by_length(train: Any, network: Any, batch_size: int) -> tuple[Any, str]:
    """Return rows in mini-batches of like lengths where that saves a tenth of the steps, and why; else the same rows.

    Parameters
    ----------
    train : Rows or IndexedRows
        Of sequences (N, T, C + 1), the mask last. Rows that are drawn in a way of their own (evenly by class) are left.
    network : settings
        Only networks of sequences of Glia's leave out common padding and gain from it.
    batch_size : int
    """
    if (
        not (type(train) is Rows or (isinstance(train, IndexedRows) and not train.balanced))
        or not isinstance(as_network(network), SequenceSpec)
        or train.x.ndim != 3
        or not 1 < batch_size < len(train)
    ):
        return train, ""
    lengths = _lengths(train)
    chance = torch.Generator().manual_seed(0)
    plain = 1 - padded_share(lengths, torch.randperm(len(lengths), generator=chance), batch_size)
    ordered = 1 - padded_share(lengths, bucketed_order(lengths, batch_size, chance), batch_size)
    saved = 1 - plain / ordered
    if saved < WORTH:
        return train, ""
    why = f"lengths differ: {saved:.0%} of the steps need not be computed"
    if isinstance(train, IndexedRows):
        return train.by_length(lengths), why
    return BucketedRows(train.x, train.y, train.weight, lengths), why


def _lengths(train: Rows | IndexedRows) -> torch.Tensor:
    """Return the real steps of each row, (N,); rows that are elsewhere are looked through once."""
    if isinstance(train, Rows):
        return (train.x[..., -1] > 0.5).sum(1).cpu()
    starts = range(0, len(train), _AT_ONCE)
    return torch.cat([(train.part(start, start + _AT_ONCE)[..., -1] > 0.5).sum(1).cpu() for start in starts])
