"""Expected gradients: shares of an output along straight lines from background rows, for large inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia.core.errors import InputError
from glia.core.seeds import numpy_rng
from glia.explain.subject import Subject

Floats = NDArray[np.float64]
POINTS = 512
"""Points on lines where no budget is given."""
REPLICATES = 8
"""Independent parts of the points, from which the standard error comes."""
CHUNK = 1 << 22
"""Most input values that go through the network at once."""


@dataclass(frozen=True)
class Gradients:
    """What ``expected_gradients`` found.

    Parameters
    ----------
    values, error : ndarray of shape (N, *shape, O)
        Shares that add up, and their standard errors.
    full, empty : ndarray of shape (N, O) and (B, O)
        The explained outputs of the rows and of the background.
    gap : float
        Largest amount by which the shares missed the output before they were corrected.
    evaluations : int
        Rows that went through the network.
    """

    values: Floats
    error: Floats
    full: Floats
    empty: Floats
    gap: float
    evaluations: int


def expected_gradients(
    subject: Subject, background: Tensor, evaluations: int | None = None, random_state: int = 0
) -> Gradients:
    r"""Return shares by gradients at points between background rows and the rows.

    Parameters
    ----------
    subject : Subject
        N rows of any shape; the score must have derivatives in all of their values.
    background : Tensor of shape (B, *shape)
        Where the lines begin.
    evaluations : int, optional
        Points for each explained row; 512 by default, at least 16.
    random_state : int
        Seed of the points, which all rows share.

    Raises
    ------
    InputError
        If columns are codes of categories, or rows whole numbers, which have no derivative.

    Notes
    -----
    E[(x − b) ∂f/∂x (b + α (x − b))] over background rows b and α uniform in (0, 1) (arXiv 1906.10670). That is the
    Aumann–Shapley share; it is the Shapley value itself where columns do not interact, and an approximation elsewhere.
    Background rows are used equally often, and α is stratified. What is missing to the output is then shared out in
    proportion to the variances of the shares, as if the sum had been measured too; the gap is reported.
    """
    codes = [subject.layout.features[i].name for i in subject.layout.indices("code")]
    if codes:
        raise InputError(
            "expected gradients need inputs with derivatives",
            f"codes of categories: {', '.join(codes[:8])}",
            "use method='permutation'",
        )
    if not subject.x.is_floating_point():
        raise InputError(
            "expected gradients need inputs with derivatives", f"rows of {subject.x.dtype}", "use lime_text for texts"
        )
    points = max(16, POINTS if evaluations is None else evaluations)
    points = -(-points // REPLICATES) * REPLICATES
    back, share = _points(points, len(background), random_state)
    with torch.no_grad():
        full = _scores(subject, subject.x)
        empty = _scores(subject, background)
    found, error, gap = [], [], 0.0
    for row, own in zip(subject.x, full, strict=True):
        parts = _row(subject, row, background, back, share)  # (G, *shape, O)
        mean, spread = parts.mean(axis=0), parts.var(axis=0, ddof=1) / REPLICATES
        missing = own - empty.mean(axis=0) - mean.reshape(-1, len(own)).sum(axis=0)  # (O,)
        gap = max(gap, float(np.abs(missing).max()))
        found.append(mean + missing * _portions(spread))
        error.append(np.sqrt(spread))
    count = len(full) * points + len(full) + len(empty)
    return Gradients(np.stack(found), np.stack(error), full, empty, gap, count)


def _points(points: int, backs: int, random_state: int) -> tuple[NDArray[np.int64], Floats]:
    """Return which background row and which place on the line, (G, points / G) each; every part covers the line."""
    rng = numpy_rng(random_state, "expected gradients")
    each = points // REPLICATES
    order = np.concatenate([rng.permutation(backs) for _ in range(-(-points // backs))])[:points]
    strata = rng.permuted(np.tile(np.arange(each), (REPLICATES, 1)), axis=1)
    return order.reshape(REPLICATES, each), (strata + rng.random((REPLICATES, each))) / each


def _row(subject: Subject, row: Tensor, background: Tensor, back: NDArray[np.int64], share: Floats) -> Floats:
    parts = []
    step = max(1, CHUNK // max(1, row.numel()))
    for which, places in zip(back, share, strict=True):
        total: Floats | None = None
        for start in range(0, len(which), step):
            starts = background[torch.from_numpy(which[start : start + step]).to(row.device)]
            alpha = torch.from_numpy(places[start : start + step]).to(row)
            way = row - starts
            at = (starts + alpha.reshape(-1, *[1] * row.ndim) * way).requires_grad_(True)
            one = _slopes(subject, at, way)
            total = one if total is None else total + one
        parts.append(total / len(which) if total is not None else np.zeros(0))
    return np.stack(parts)


def _slopes(subject: Subject, at: Tensor, way: Tensor) -> Floats:
    """Return the sum over points of (x − b) · gradient, (*shape, O)."""
    with torch.enable_grad():
        outputs = subject.score(at)
        last = outputs.shape[1] - 1
        found = []
        for i in range(last + 1):
            (slope,) = torch.autograd.grad(outputs[:, i].sum(), at, retain_graph=i < last)
            found.append((slope.double() * way.double()).sum(dim=0).cpu())
    return np.asarray(torch.stack(found, dim=-1).numpy())


def _portions(spread: Floats) -> Floats:
    """Return which part of a missing sum each value takes, per output; equal parts where no value varies."""
    flat = spread.reshape(-1, spread.shape[-1])
    total = flat.sum(axis=0)
    parts = np.where(total > 0, flat / np.where(total > 0, total, 1.0), 1.0 / len(flat))
    return np.asarray(parts.reshape(spread.shape))


def _scores(subject: Subject, x: Tensor) -> Floats:
    step = max(1, CHUNK // max(1, x[0].numel()))
    return np.asarray(torch.cat([subject.score(part).double().cpu() for part in torch.split(x, step)]).numpy())
