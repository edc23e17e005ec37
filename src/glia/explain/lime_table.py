"""LIME for tables: a linear model of the network around each row."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.backgrounds import MOST, background_rows
from glia.explain.lime_model import Draw, LimeResult, LocalModel, Plan, local_model, trust
from glia.explain.subject import Subject, subject
from glia.nn.modes import evaluating

Floats = NDArray[np.float64]
CHUNK = 1 << 13
"""Rows that go through the network at once."""


@dataclass(frozen=True)
class Columns:
    """How each of C columns is moved.

    Parameters
    ----------
    place : ndarray of shape (C,)
        Position of a column that is moved as a number, -1 for one that takes a background row's value.
    mean, scale : ndarray of shape (C,)
        Of the background at that position.
    holds : bool Tensor of shape (C, D)
        Positions of each column.
    """

    place: NDArray[np.int64]
    mean: Floats
    scale: Floats
    holds: Tensor


def lime_table(
    predictor: Predictor,
    X: Any,
    *,
    background: Any = None,
    output: int | str | Sequence[int | str] | None = None,
    space: str = "logit",
    spread: float = 1.0,
    kernel_width: float = 0.75,
    plan: Plan | None = None,
    max_background: int = MOST,
) -> LimeResult:
    """Explain rows of a table by local linear models.

    Parameters
    ----------
    predictor, X, background, output, space, max_background
        As in ``glia.explain.shap``.
    spread : float
        Standard deviation of numbers around the row, in standard deviations of the background; > 0. Smaller is more
        local.
    kernel_width : float
        Neighbours at distance d weigh exp(-d² / (2 C width²)): d² is the sum of the squared moves of numbers, in
        standard deviations, and the number of replaced words; > 0.
    plan : Plan, optional
        How many neighbours, and how they are fitted.

    Returns
    -------
    LimeResult
        ``values`` (N, C[, O]). For a number: slope × (value − mean of the background). For all else (categories, dates,
        numbers that do not vary in the background): the effect of keeping it instead of taking a background row's.
        ``slopes``: output per standard deviation of the number, and the effect of replacing.

    Raises
    ------
    InputError
        If rows are no vectors, or a setting is out of its range.

    Notes
    -----
    arXiv 1602.04938, with neighbours in pairs on both sides of the row, so that curvature does not disturb slopes;
    columns of several prepared parts move as one.
    """
    begun = time.perf_counter()
    plan = plan or Plan()
    plan.check()
    if not (spread > 0 and kernel_width > 0):
        raise InputError("spread and kernel_width must be above 0", f"spread={spread}, kernel_width={kernel_width}")
    with evaluating(predictor.network_):
        seen = subject(predictor, X, output=output, space=space)
        if not seen.groups:
            raise InputError("rows must have columns", f"rows of shape {tuple(seen.x.shape[1:])}", "use lime_images")
        rows, source = background_rows(predictor, seen.x, background, max_background, plan.random_state)
        columns = _columns(seen, rows)
        score = scorer(seen)
        full = score(seen.x)
        models = [local_model(_draw(row, rows, columns, score, spread, kernel_width), plan, "table") for row in seen.x]
    factors = np.stack([_factor(row, columns) for row in seen.x])[:, :, None]  # (N, C, 1)
    words = plan.words() | {"background": source, "space": seen.unit, "spread": spread, "kernel_width": kernel_width}
    return finish(seen, models, factors, full, plan, words, time.perf_counter() - begun)


def finish(
    seen: Subject, models: list[LocalModel], factors: Floats, full: Floats, plan: Plan, words: dict[str, Any], s: float
) -> LimeResult:
    """Return the result of local models (N of them) on columns: shares are slopes × factors (N, C, 1)."""
    slopes = np.stack([one.slopes for one in models])
    values = slopes * factors
    at_row = np.stack([one.at_zero for one in models])
    base = at_row - values.sum(axis=1)
    checks, warnings = trust(models, plan)
    return LimeResult(
        method="lime",
        values=seen.shaped(values),
        outputs=seen.shaped(full),
        base=seen.shaped(base),
        feature_names=seen.feature_names,
        output_names=seen.output_names,
        unit=seen.unit,
        standard_error=seen.shaped(np.stack([one.error for one in models]) * np.abs(factors)),
        residual=seen.shaped(full - at_row),
        data=seen.data,
        checks=checks,
        warnings=warnings,
        settings=words,
        evaluations=sum(one.samples for one in models) + len(full),
        seconds=s,
        slopes=seen.shaped(slopes),
        r_squared=seen.shaped(np.stack([one.r_squared for one in models])),
        agreement=seen.shaped(np.stack([one.agreement for one in models])),
    )


def scorer(seen: Subject) -> Callable[[Tensor], Floats]:
    """Return (S, *shape) → outputs (S, O), in pieces that fit into memory."""

    @torch.no_grad()
    def score(x: Tensor) -> Floats:
        step = max(1, min(CHUNK, (1 << 22) // max(1, x[0].numel())))
        return np.asarray(torch.cat([seen.score(part).double().cpu() for part in torch.split(x, step)]).numpy())

    return score


def _columns(seen: Subject, rows: Tensor) -> Columns:
    kinds = [feature.kind for feature in seen.layout.features] or ["numeric"] * seen.x.shape[1]
    holds = torch.zeros(len(seen.groups), seen.x.shape[1], dtype=torch.bool, device=seen.x.device)
    place = np.full(len(seen.groups), -1)
    table = rows.double().cpu().numpy()
    mean, scale = table.mean(axis=0), table.std(axis=0)
    for column, where in enumerate(seen.groups):
        holds[column, list(where)] = True
        numbers = [i for i in where if kinds[i] == "numeric"]
        if len(numbers) == 1 and all(kinds[i] in ("numeric", "indicator") for i in where) and scale[numbers[0]] > 0:
            place[column] = numbers[0]
    return Columns(place, mean[place], np.where(place >= 0, scale[place], 1.0), holds)


def _factor(row: Tensor, columns: Columns) -> Floats:
    value = row.double().cpu().numpy()[columns.place]
    return np.where(columns.place >= 0, (value - columns.mean) / columns.scale, -1.0)


def _draw(
    row: Tensor, rows: Tensor, columns: Columns, score: Callable[[Tensor], Floats], spread: float, width: float
) -> Draw:
    moved = columns.place >= 0
    where = torch.from_numpy(columns.place[moved]).to(row.device)

    def draw(samples: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        half = (samples + 1) // 2
        moves = rng.normal(size=(half, int(moved.sum()))) * spread
        swaps = rng.random((half, int((~moved).sum()))) < 0.5
        design = np.zeros((2 * half, len(moved)))
        design[:, moved] = np.concatenate([moves, -moves])
        design[:, ~moved] = np.concatenate([swaps, ~swaps])
        back = rows[torch.from_numpy(rng.integers(len(rows), size=2 * half)).to(row.device)]
        swapped = torch.from_numpy(np.where(moved, 0.0, design)).to(row.device).float() @ columns.holds.float() > 0.5
        x = torch.where(swapped, back, row)
        x[:, where] = row[where] + torch.from_numpy(design[:, moved] * columns.scale[moved]).to(row)
        weight = np.exp(-(design**2).sum(axis=1) / (2 * len(moved) * width**2))
        return design, weight, score(x)

    return draw
