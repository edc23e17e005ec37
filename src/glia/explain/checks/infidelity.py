"""Infidelity: whether the shares of what is taken out predict by how much the output changes."""

from __future__ import annotations

import numpy as np
import torch

from glia.core.seeds import numpy_rng
from glia.explain.checks.case import Case


def infidelity(case: Case, *, samples: int = 32, random_state: int = 0) -> float:
    """Return how badly shares predict changes of the output: 0 exactly, 1 not at all (or the wrong way round).

    Parameters
    ----------
    case : Case
        Rows and their shares.
    samples : int
        Random sets of units per row, of all sizes alike.
    random_state : int
        Of the sets.

    Notes
    -----
    Per row min over β ≥ 0 of Σ_S (β·Σ_{i∈S} φ_i − (f(x) − f(x without S)))² / Σ_S (f(x) − f(x without S))²; the mean of
    rows whose output changes at all. Source: Yeh et al., arXiv 1901.09392, with removal as the perturbation and the
    scale fitted, so that explanations of any unit can be compared.
    """
    rng = numpy_rng(random_state, "infidelity")
    rows, units = case.values.shape
    sizes = rng.integers(1, units + 1, (rows, samples))
    places = rng.permuted(np.broadcast_to(np.arange(units), (rows, samples, units)).copy(), axis=2)
    out = places < sizes[..., None]  # (N, K, U)
    row = torch.arange(rows).repeat_interleave(samples)
    changed = case.full[:, None] - case.score(row, torch.from_numpy(~out).flatten(0, 1)).reshape(rows, samples)
    said = (out * case.values[:, None, :]).sum(axis=2)  # (N, K)
    power, agreed = (changed**2).sum(axis=1), (said * changed).sum(axis=1)
    size = (said**2).sum(axis=1)
    moved = power > 1e-20
    if not moved.any():
        return 0.0
    explained = np.where(size > 0, np.maximum(agreed, 0.0) ** 2 / np.where(size > 0, size, 1.0), 0.0)
    return float((1.0 - explained[moved] / power[moved]).mean())
