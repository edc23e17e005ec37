"""Sensitivity: how much an explanation changes when the row hardly does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from glia.core.protocols import Predictor
from glia.core.seeds import torch_rng
from glia.explain.attribution import AttributionResult
from glia.explain.entry import Entry
from glia.explain.smoothgrad import deviation
from glia.explain.stand_in import StandIn

RADIUS = 0.02
"""Of the perturbation, as a share of each input's standard deviation."""


def sensitivity(
    explain: Callable[[Predictor], AttributionResult],
    predictor: Predictor,
    X: Any,
    entry: Entry,
    result: AttributionResult,
    *,
    repeats: int = 4,
    random_state: int = 0,
) -> float | None:
    """Return the largest change of an explanation under small changes of the numbers of a row, as a share of its size.

    Parameters
    ----------
    explain : callable
        Predictor → explanation of ``X``.
    predictor, X
        What is explained.
    entry : Entry
        The same, opened.
    result : AttributionResult
        The explanation of the rows as they are.
    repeats : int
        Perturbations per row.
    random_state : int
        Of the perturbations.

    Returns
    -------
    float or None
        Mean over rows of max ‖Φ(x + δ) − Φ(x)‖ / ‖Φ(x)‖ with each |δ_i| ≤ 0.02 standard deviations; none where rows
        hold no numbers, or the method does not take them prepared.

    Notes
    -----
    Source: max-sensitivity of Yeh et al., arXiv 1901.09392.
    """
    x = entry.subject.x
    free = ~entry.codes
    kinds = entry.subject.layout.features
    if kinds and x.ndim == 2:
        numeric = torch.zeros_like(free)
        numeric[list(entry.subject.layout.indices("numeric"))] = True
        free &= numeric
    if not x.is_floating_point() or not bool(free.any()):
        return None
    table = x.ndim == 2 and len(x) > 1
    spread = deviation(x) if table else x.flatten(1).std(1).reshape(-1, *[1] * (x.ndim - 1))
    rng = torch_rng(random_state, "sensitivity")
    flat = result.values.reshape(len(x), -1)
    size = np.linalg.norm(flat, axis=1)
    worst = np.zeros(len(x))
    for _ in range(repeats):
        noise = (torch.rand(x.shape, generator=rng) * 2 - 1).to(x.device) * RADIUS * spread * free
        near = StandIn(predictor, predictor.network_, moved=(X, noise))
        values = explain(near).values.reshape(len(x), -1)
        if not near.was_moved:
            return None
        worst = np.maximum(worst, np.linalg.norm(values - flat, axis=1))
    told = size > 0
    return float((worst[told] / size[told]).mean()) if told.any() else 0.0
