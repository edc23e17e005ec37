"""How far one set of answers agrees with another, with an interval."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.results import Interval
from glia.core.seeds import numpy_rng
from glia.explain.spreads import row_weights

_Z = 1.959964


def share_interval(hits: int, count: int) -> Interval:
    """Return a share with Wilson's 95 % interval; NaN where there is nothing to count."""
    if not count:
        return Interval(float("nan"), 0.0, 1.0)
    p, z2 = hits / count, _Z**2
    middle = (p + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z * np.sqrt(p * (1 - p) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return Interval(p, max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def agreement_with(truth: NDArray[Any], told: NDArray[Any], classes: bool) -> Interval:
    """Return the share of equal classes (N,), or R² of values (N, O), with a 95 % interval.

    R² is 1 where values do not differ and are met exactly; its interval is of 200 resamples of the rows.
    """
    if classes:
        return share_interval(int((truth == told).sum()), len(truth))
    left = ((truth - told) ** 2).sum(axis=1)
    weights = np.concatenate([np.ones((1, len(left))), row_weights(numpy_rng(0, "fidelity"), len(left))])
    share = weights / len(left)
    mean = share @ truth  # (R, O)
    whole = (share @ truth**2 - mean**2).sum(axis=1)
    missed = share @ left
    value = np.where(whole > 0, 1 - missed / np.where(whole > 0, whole, 1.0), np.where(missed > 0, -np.inf, 1.0))
    low, high = np.quantile(value[1:], [0.025, 0.975])
    return Interval(float(value[0]), float(min(low, value[0])), float(max(high, value[0])))
