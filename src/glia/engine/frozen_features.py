"""Features of frozen layers, computed once: the head then learns from them at the cost of a head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glia.engine.augmented import AugmentedRows
from glia.engine.distributed.place import place
from glia.engine.frozen_views import views_of
from glia.engine.indexed_rows import IndexedRows
from glia.engine.rows import Rows
from glia.engine.sources import Source
from glia.nn.modes import evaluating


@dataclass(frozen=True)
class Learned:
    """What is trained.

    Parameters
    ----------
    network : nn.Module
        The whole network, or its head where the layers before that are frozen.
    train : Source
        Rows for it.
    valid : Rows or None
    """

    network: nn.Module
    train: Source
    valid: Rows | None


def what_learns(network: nn.Module, train: Source, valid: Rows | None, epochs: int = 1, seed: int = 0) -> Learned:
    """Return what there is to train, with the rows that it takes.

    A network whose attribute ``frozen`` is true has ``encode``, which learns nothing and has no chance in it, and
    ``head``. Rows that are the same in every epoch go through ``encode`` here, once, those that are fetched by number
    some at a time: of these too, features are few enough for memory. Of rows that are varied at random some variants
    do, by ``epochs`` and ``seed`` of the fit (see ``views_of``). All else stays as it is: rows that are mixed must go
    through the frozen layers every time, and those of several workers do.
    """
    frozen: Any = network
    varied = isinstance(train, AugmentedRows) and train.mixing is None and place().world == 1
    plain = train.rows if isinstance(train, AugmentedRows) and varied else train
    if getattr(network, "frozen", False) is not True or not isinstance(plain, (Rows, IndexedRows)):
        return Learned(network, train, valid)
    with evaluating(network), torch.no_grad():
        seen: Source | None = (
            views_of(frozen, train, epochs, seed) if isinstance(train, AugmentedRows) else _features(frozen, plain)
        )
        if seen is None:
            return Learned(network, train, valid)
        held = None if valid is None else _features(frozen, valid)
    return Learned(frozen.head, seen, held)


def _features(network: Any, rows: Rows | IndexedRows) -> Rows:
    if isinstance(rows, IndexedRows):
        size = network.at_once(rows.x.shape[1:])
        parts = [network.encode(rows.part(start, start + size)) for start in range(0, len(rows), size)]
        return rows.with_inputs(torch.cat(parts))
    if not len(rows):
        return rows
    found: Tensor = network.encode(rows.x)
    return rows.with_inputs(found.contiguous())
