"""Rows that shares are measured from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from glia.core.errors import InputError, near
from glia.core.protocols import Predictor
from glia.explain.entry import Entry, Point

BASELINES = ("zeros", "mean", "rows")


def baselines(entry: Entry, predictor: Predictor, baseline: Any, background: Any) -> Point:
    """Return the rows that shares are measured from, as a point of R rows.

    Parameters
    ----------
    entry : Entry
        The opened predictor.
    predictor : Predictor
        Prepares rows.
    baseline : {"zeros", "mean", "rows"} or rows
        "zeros": the prepared row of zeros (a typical row, where the preparation centres) and, for a category, no
        category at all (the zero vector); "mean": the mean of the background, of categories that of their vectors;
        "rows": every row of the background, over which shares are averaged; or one row of your own.
    background : rows, optional
        Whatever the predictor takes; needed by "mean" and "rows".

    Raises
    ------
    InputError
        If the baseline is unknown, has another shape, or its background is missing.
    """
    x = entry.subject.x
    if not isinstance(baseline, str):
        rows = _like(predictor.prepare(baseline), x, "baseline")
        if len(rows) != 1:
            raise InputError(
                "a baseline must be one row", f"{len(rows)}", 'hand several in as background=, with baseline="rows"'
            )
        return entry.at(rows)
    if baseline not in BASELINES:
        raise InputError(
            f"baseline must be a row or one of {', '.join(BASELINES)}", repr(baseline), near(baseline, BASELINES)
        )
    if baseline == "zeros":
        zero = entry.at(torch.zeros_like(x[:1]))
        blank = [torch.zeros_like(p) if tap.codes else p for tap, p in zip(entry.taps.taps, zero.parts, strict=True)]
        return Point(zero.x, tuple(blank))
    if background is None:
        raise InputError(f"baseline={baseline!r} is taken from a background", "none", "hand in background=")
    all_rows = entry.at(_like(predictor.prepare(background), x, "background"))
    if baseline == "rows":
        return all_rows
    return Point(_mean(all_rows.x), tuple(_mean(part) for part in all_rows.parts))


def _like(rows: Tensor, x: Tensor, name: str) -> Tensor:
    if rows.shape[1:] != x.shape[1:]:
        raise InputError(
            f"{name} must have rows like those explained", f"{tuple(rows.shape[1:])} for {tuple(x.shape[1:])}"
        )
    return rows.to(x.device, x.dtype)


def _mean(rows: Tensor) -> Tensor:
    return rows.nanmean(0, keepdim=True) if rows.is_floating_point() else rows[:1]


def known(base: Tensor, x: Tensor) -> Tensor:
    """Return baselines (B, *shape) with the rows' own value wherever one of the two is missing: that has no share."""
    if not base.is_floating_point():
        return base
    return torch.where(base.isnan() | x.isnan(), x, base)
