"""k-medoids: the rows with the least sum of distances to those that they stand for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glia.explain.subject import Floats

SWEEPS = 100


def medoids(apart: Floats, number: int) -> NDArray[np.int64]:
    """Return positions of ``number`` rows, for distances (N, N).

    Notes
    -----
    Partitioning around medoids (Kaufman and Rousseeuw 1990): rows are added one by one, then the best swap of a medoid
    with another row is made until none helps. All swaps of a round are judged at once, as in arXiv 1810.05691.
    """
    chosen: list[int] = []
    nearest = np.full(len(apart), np.inf)
    for _ in range(number):
        cost = np.minimum(nearest[:, None], apart).sum(axis=0)
        cost[chosen] = np.inf
        chosen.append(int(cost.argmin()))
        nearest = np.minimum(nearest, apart[:, chosen[-1]])
    for _ in range(SWEEPS):
        best, swap = float(nearest.sum()), None
        for place in range(number):
            others = chosen[:place] + chosen[place + 1 :]
            without = apart[:, others].min(axis=1) if others else np.full(len(apart), np.inf)
            cost = np.minimum(without[:, None], apart).sum(axis=0)
            cost[chosen] = np.inf
            if cost.min() < best - 1e-12:
                best, swap = float(cost.min()), (place, int(cost.argmin()))
        if swap is None:
            break
        chosen[swap[0]] = swap[1]
        nearest = apart[:, chosen].min(axis=1)
    return np.array(chosen, dtype=np.int64)
