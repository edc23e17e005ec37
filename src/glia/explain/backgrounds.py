"""Rows that stand for "this column is not known"."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.seeds import numpy_rng

MOST = 100
"""Background rows that are drawn where more are at hand."""


def background_rows(
    predictor: Predictor, x: Tensor, background: Any = None, most: int = MOST, random_state: int = 0
) -> tuple[Tensor, str]:
    """Return prepared background rows, (B, *shape), and where they come from, in words.

    Parameters
    ----------
    predictor : Predictor
        Prepares them.
    x : Tensor of shape (N, *shape)
        Prepared rows that are explained.
    background : rows or int, optional
        Rows as the predictor takes them, best from training; or how many of the explained rows are drawn. By default
        the explained rows themselves stand in.
    most : int
        More rows than this are thinned out by chance.
    random_state : int
        Seed of that draw.

    Raises
    ------
    InputError
        If there are none, or they are of another shape than the rows.
    """
    if most < 1:
        raise InputError("max_background must be at least 1", f"max_background={most}", "100 is usual")
    if background is None or isinstance(background, int):
        if isinstance(background, int) and background < 1:
            raise InputError("there must be background rows", f"background={background}", "ask for at least 1")
        if len(x) < 2:
            raise InputError("there must be background rows", "one row and no background", "hand in background=rows")
        rows, source = x, "the explained rows"
        most = most if background is None else background
    else:
        rows, source = predictor.prepare(background).to(x.device), "the given background"
        if rows.shape[1:] != x.shape[1:]:
            raise InputError(
                "background rows must be like the explained rows", f"{tuple(rows.shape[1:])} and {tuple(x.shape[1:])}"
            )
    count = len(rows)
    if count > most:
        kept = numpy_rng(random_state, "background").permutation(count)[:most]
        rows = rows[sorted(kept.tolist())]
    drawn = f"{len(rows)} of {count} rows of {source}" if count > most else f"all {count} rows of {source}"
    return rows, drawn
