"""Features of frozen layers, computed once: the head then learns from them at the cost of a head."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

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


def what_learns(network: nn.Module, train: Source, valid: Rows | None) -> Learned:
    """Return what there is to train, with the rows that it takes.

    A network whose attribute ``frozen`` is true has ``encode``, which learns nothing and has no chance in it, and
    ``head``. Rows that are in memory and the same in every epoch go through ``encode`` here, once. All else stays as it
    is: rows that are varied at random must go through the frozen layers every time.
    """
    frozen: Any = network
    if getattr(network, "frozen", False) is not True or not isinstance(train, Rows):
        return Learned(network, train, valid)
    with evaluating(network), torch.no_grad():
        seen = _features(frozen, train)
        held = None if valid is None else _features(frozen, valid)
    return Learned(frozen.head, seen, held)


def _features(network: Any, rows: Rows) -> Rows:
    if not len(rows):
        return rows
    found: Tensor = network.encode(rows.x)
    return replace(rows, x=found.contiguous())
