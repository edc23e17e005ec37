"""Accumulated local effects: what small moves of one column do, summed up, among rows that have such values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.protocols import Predictor
from glia.core.seeds import numpy_rng
from glia.explain.category_order import category_order
from glia.explain.column_grid import Grid, column_grid
from glia.explain.effect import EffectResult
from glia.explain.global_methods import picture
from glia.explain.spreads import reach, row_weights
from glia.explain.subject import Floats
from glia.explain.table_model import TableModel, table_model

FEW = 5
"""Rows of a step below which its effect hangs on single rows."""


@dataclass(frozen=True)
class _Moves:
    """Rows moved over steps between neighbouring values.

    Parameters
    ----------
    row, step : ndarray of shape (M,)
        Which row goes over which step.
    change : ndarray of shape (M, O)
        What that does to the output.
    members : ndarray of shape (K, M, O)
        The same for every member.
    share : ndarray of shape (N, G)
        How each row's value lies between the grid's values, in sum 1 for rows that count, for centring.
    """

    row: NDArray[np.int64]
    step: NDArray[np.int64]
    change: Floats
    members: Floats
    share: Floats

    def curve(self, change: Floats, weights: Floats) -> Floats:
        """Return effects (R, G, O) for weights of rows (R, N)."""
        steps = int(self.share.shape[1]) - 1
        at = np.zeros((len(self.row), steps))
        at[np.arange(len(self.row)), self.step] = 1.0
        own = weights[:, self.row]  # (R, M)
        total = np.einsum("rm,ms,mo->rso", own, at, change, optimize=True)
        count = own @ at
        plain = (at.T @ change) / at.sum(axis=0)[:, None]  # where a resample has no row of a step
        mean = np.where(count[..., None] > 0, total / np.maximum(count, 1e-12)[..., None], plain)
        heights = np.concatenate([np.zeros_like(mean[:, :1]), np.cumsum(mean, axis=1)], axis=1)
        part = weights @ self.share
        part = part / part.sum(axis=1, keepdims=True)
        return np.asarray(heights - np.einsum("rg,rgo->ro", part, heights)[:, None])


@picture("ale", "accumulated_local_effects")
def accumulated_local_effects(
    predictor: Predictor,
    X: Any,
    column: str | int = 0,
    *,
    points: int = 21,
    output: int | str | Sequence[int | str] | None = None,
    space: str = "logit",
    rows: int = 5000,
    level: float = 0.95,
    random_state: int = 0,
) -> EffectResult:
    """Mean effects of small moves of a column, summed up from its lowest value to its highest.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        N rows of a table.
    column : str or int
        The original column.
    points : int
        Quantiles of a number between which rows are moved, at least 2.
    output, space, rows, level, random_state
        As in ``glia.explain.partial_dependence``.

    Returns
    -------
    EffectResult
        Around 0: the mean over rows is taken off.

    Raises
    ------
    InputError
        If the column is unknown or constant, or rows are no table.

    Notes
    -----
    Apley and Zhu, arXiv 1612.08468. A row is moved only between the two values that it lies between, so that columns
    that belong together stay together. Categories have no neighbours of their own: they are put in the order in which
    rows that have them are alike in the other columns, and rows of both neighbours are moved. Rows without a value of
    a number are left out.
    """
    model = table_model(predictor, X, output=output, space=space, rows=rows, random_state=random_state)
    place = model.place(column)
    grid = column_grid(model.column(place), points)
    if not grid.numeric:
        grid = _ordered(model, place, grid)
    moves = _moves(model, place, grid)
    ones = np.ones((1, len(model.x)))
    values = moves.curve(moves.change, ones)[0]
    weights = row_weights(numpy_rng(random_state, "accumulated local effects"), len(model.x))
    members = np.concatenate([moves.curve(own, ones) for own in moves.members])
    half = reach(moves.curve(moves.change, weights), members, level)
    fewest = int(np.bincount(moves.step, minlength=len(grid.at) - 1).min())
    warnings = (f"a step rests on {fewest} rows: give more rows or fewer points",) if fewest < FEW else ()
    return EffectResult(
        "ale",
        model.names[place],
        grid.numeric,
        grid.at,
        grid.labels,
        values,
        values - half,
        values + half,
        model.seen.output_names,
        model.seen.unit,
        None,
        len(model.x),
        len(members),
        level,
        {"rows of the thinnest step": fewest},
        warnings,
    )


def _ordered(model: TableModel, place: int, grid: Grid) -> Grid:
    others = [model.column(i) for i in range(len(model.names)) if i != place]
    order = category_order(grid.codes.astype(np.int64), len(grid.at), others)
    new = np.empty(len(order) + 1)
    new[order], new[-1] = np.arange(len(order)), -1  # the last place is that of rare categories, −1
    return Grid(
        False,
        grid.at,
        tuple(grid.labels[i] for i in order),
        grid.donors[order],
        new[grid.codes.astype(np.int64)],
    )


def _moves(model: TableModel, place: int, grid: Grid) -> _Moves:
    size, count = len(grid.at), len(model.x)
    share = np.zeros((count, size))
    if grid.numeric:
        row = np.flatnonzero(np.isfinite(grid.codes))
        step = np.clip(np.searchsorted(grid.at, grid.codes[row], side="left"), 1, size - 1) - 1
        share[row, step] += 0.5
        share[row, step + 1] += 0.5
    else:
        known = np.flatnonzero(grid.codes >= 0)
        code = grid.codes[known].astype(np.int64)
        share[known, code] = 1.0
        below, above = code > 0, code < size - 1
        row = np.concatenate([known[below], known[above]])
        step = np.concatenate([code[below] - 1, code[above]])
    donors = model.x[torch.from_numpy(grid.donors)]
    start = model.x[torch.from_numpy(row)]
    ends = [model.score(model.taking(start, (place,), donors[torch.from_numpy(step + side)])) for side in (1, 0)]
    return _Moves(row, step, ends[0][0] - ends[1][0], ends[0][1] - ends[1][1], share)
