"""Occlusion: by how much an output falls when a column, a stretch of a sequence or a patch is taken out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.attribution import AttributionResult
from glia.explain.baselines import baselines
from glia.explain.entry import Entry, Point, opened
from glia.explain.finish import Parts, finish
from glia.explain.methods import methods
from glia.explain.segments import Segments
from glia.explain.subject import Floats

SEGMENTS, PATCHES = 24, 12
"""Stretches of steps that a sequence is cut into, and patches along each side of a picture."""
MOST_CHANNELS, GROUPS = 12, 8
"""From more channels on, neighbouring ones are taken out together, in so many groups."""


@methods.register("occlusion")
def occlusion(
    predictor: Predictor,
    X: Any,
    *,
    output: int | str | Sequence[int | str] | None = None,
    segments: int | tuple[int, int] | None = None,
    baseline: Any = "zeros",
    background: Any = None,
    batch_rows: int = 256,
) -> AttributionResult:
    """Return by how much the outputs fall without each column, or each segment of sequences and pictures.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        Whatever the predictor takes.
    output : int, str or sequence of them, optional
        The outputs to explain; all by default.
    segments : int or (int, int), optional
        Stretches of steps, and groups of channels; of pictures, patches along both sides. By default 24 stretches (at
        most one a step) and each channel alone, in 8 groups where there are more than 12; of pictures 12 × 12. Columns
        of tables are taken out one by one.
    baseline : {"zeros", "mean"} or row
        What stands in the place of what is taken out: zeros (each channel's mean, where the preparation centres), the
        mean of the background, or a row of your own.
    background : rows, optional
        For "mean".
    batch_rows : int
        Rows in memory at a time.

    Returns
    -------
    AttributionResult
        Values f(x) − f(x without it), (N, C) of tables; (N, T, C) or (N, C, H, W), spread evenly over what a segment
        holds. They do not add up to the output. ``settings["segments"]`` has the edges; checks take out whole segments.

    Raises
    ------
    InputError
        If a setting is wrong.

    Notes
    -----
    Source: Zeiler and Fergus, arXiv 1311.2901, section 4.2, with segments that do not overlap. The mask of sequences
    stays as it is: what is taken out is unknown, not shorter. Steps beyond the longest explained sequence are in no
    segment.
    """
    if batch_rows < 1:
        raise InputError("batch_rows must be at least 1", f"batch_rows={batch_rows!r}")
    found = Parts()
    with opened(predictor, X, output, numbers=True) as entry, torch.no_grad():
        base = baselines(entry, predictor, baseline, background)
        if len(base) != 1:
            raise InputError("a segment must be replaced by one value", f"{len(base)} rows", 'use baseline="mean"')
        settings: dict[str, Any] = {"baseline": baseline if isinstance(baseline, str) else "row"}
        grid = None if entry.subject.x.ndim == 2 else _grid(entry, segments)
        if grid is not None:
            settings["segments"] = grid.to_dict()
        unit_of, count = _columns(entry) if grid is None else _positions(entry, grid)
        for point in entry.parts_of(batch_rows):
            outputs, falls = _falls(entry, point, base, unit_of, count, batch_rows)
            found.outputs.append(outputs)
            found.values.append(falls if grid is None else _spread(entry, falls, grid))
        return finish(entry, "occlusion", found, settings)


def _grid(entry: Entry, wanted: int | tuple[int, int] | None) -> Segments:
    what = entry.subject
    shape = tuple(what.x.shape[1:])
    if len(shape) == 3:
        counts = (PATCHES, PATCHES) if wanted is None else (wanted, wanted) if isinstance(wanted, int) else wanted
        return Segments.even((shape[1], shape[2]), counts)
    if len(shape) != 2:
        got = f"rows of shape {shape}"
        raise InputError("occlusion is of columns, of steps and channels, or of pictures", got)
    channels = what.channels or shape[1]
    steps = _longest(entry) if what.owners else shape[0]
    groups = channels if channels <= MOST_CHANNELS else GROUPS
    counts = (SEGMENTS, groups) if wanted is None else (wanted, groups) if isinstance(wanted, int) else wanted
    return Segments.even((steps, channels), counts)


def _longest(entry: Entry) -> int:
    """Return the steps of the longest sequence."""
    mask = entry.subject.x[..., entry.subject.owners.index(-1)] > 0.5
    return max(1, int(mask.sum(1).max()))


def _columns(entry: Entry) -> tuple[Tensor, int]:
    """Return the column of each position of a prepared row of a table, (D + 1,), and how many columns there are."""
    groups = entry.subject.groups or tuple((i,) for i in range(entry.subject.x.shape[1]))
    unit = torch.full((entry.subject.x.shape[1] + 1,), len(groups))
    for number, where in enumerate(groups):
        unit[list(where)] = number
    return unit, len(groups)


def _positions(entry: Entry, grid: Segments) -> tuple[Tensor, int]:
    """Return the segment of each position of a flattened prepared row, (D + 1,), and how many segments there are."""
    what = entry.subject
    shape = tuple(what.x.shape[1:])
    if not what.owners:
        return torch.from_numpy(np.append(grid.units_of(shape), grid.count)), grid.count
    own = grid.units_of((shape[0], what.channels)).reshape(shape[0], -1)
    unit = np.stack([own[:, c] if c >= 0 else np.full(shape[0], grid.count) for c in what.owners], axis=1)
    return torch.from_numpy(np.append(unit.ravel(), grid.count)), grid.count


def _falls(
    entry: Entry, point: Point, base: Point, unit_of: Tensor, count: int, batch_rows: int
) -> tuple[Floats, Floats]:
    """Return the outputs of rows, (B, O), and by how much they fall without each unit, (B, U, O)."""
    whole = entry.score(point).double().cpu().numpy()
    row = torch.arange(len(point)).repeat_interleave(count)
    out = torch.arange(count).repeat(len(point))
    parts = []
    for start in range(0, len(row), batch_rows):
        some = slice(start, start + batch_rows)
        keep = torch.arange(count)[None, :] != out[some, None]
        changed = entry.mixed(point, base, unit_of, row[some], keep)
        parts.append(entry.score(changed).double().cpu().numpy())
    left = np.concatenate(parts).reshape(len(point), count, -1)
    return whole, whole[:, None] - left


def _spread(entry: Entry, falls: Floats, grid: Segments) -> Floats:
    """Return what segments lose, (B, U, O), spread over their values: (B, T, C, O) or (B, C, H, W, O)."""
    what = entry.subject
    shape = (what.x.shape[1], what.channels) if what.owners else tuple(what.x.shape[1:])
    unit = grid.units_of(shape)
    sizes = np.bincount(unit, minlength=grid.count + 1)[:-1]
    nobody = np.zeros((len(falls), 1, falls.shape[2]))
    each = np.concatenate([falls / np.maximum(sizes, 1)[None, :, None], nobody], axis=1)
    return np.asarray(each[:, unit].reshape(len(falls), *shape, -1))
