"""Rank correlation, row by row."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from glia.explain.subject import Floats


def rank_correlation(a: Floats, b: Floats, given: Floats | None = None) -> Floats:
    """Return Spearman's rank correlation of each row of (N, U) arrays, (N,); 0 where a row is constant.

    With ``given``, the partial correlation: of what is left of the ranks without a straight line in its ranks.
    """
    first, second = (_centred(values) for values in (a, b))
    if given is not None:
        other = _centred(given)
        power = (other**2).sum(axis=1, keepdims=True)
        slopes = [(r * other).sum(axis=1, keepdims=True) / np.maximum(power, 1e-12) for r in (first, second)]
        first, second = first - slopes[0] * other, second - slopes[1] * other
    size = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    product = (first * second).sum(axis=1)
    return np.asarray(np.divide(product, size, out=np.zeros(len(size)), where=size > 1e-9))


def _centred(values: Floats) -> Floats:
    ranks = rankdata(values, axis=1)
    return np.asarray(ranks - ranks.mean(axis=1, keepdims=True))
