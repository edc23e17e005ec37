"""k nearest neighbours: a gap gets the mean of the training rows that are most alike in what both have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng
from glia.data.impute.base import Array, Block, MatrixImputer, State, imputers, whole

_CELLS = 2**20


@imputers.register("knn")
class Neighbours(MatrixImputer):
    """The mean (of categories the shares) of the k training rows that are nearest in what both rows have.

    Parameters
    ----------
    neighbours : int
        k ≥ 1.
    donors : int
        Most training rows that are kept to compare with; a random sample of more.
    seed : int
        Of that sample.

    Notes
    -----
    The distance is Euclidean over the columns that both rows have, times √(columns / shared columns), in standard units
    (Troyanskaya et al., 2001, *Missing value estimation methods for DNA microarrays*). For numbers it is scikit-learn's
    ``KNNImputer`` behind a ``StandardScaler``; unlike there, sums run in one order whatever rows come together, so that
    company does not matter to the last bit.
    """

    name: ClassVar[str] = "knn"
    donated: Array

    def __init__(self, *, neighbours: int = 5, donors: int = 5000, seed: int = 0) -> None:
        self.neighbours, self.donors, self.seed = whole("neighbours", neighbours), whole("donors", donors), seed

    def _learn(self, z: Array, position: Array | None) -> None:
        if len(z) > self.donors:
            z = z[np.sort(numpy_rng(self.seed, "donors").choice(len(z), self.donors, replace=False))]
        self.donated = np.array(z)

    def _complete(self, z: Array, position: Array | None) -> Array:
        out = np.array(z)
        step = max(1, _CELLS // max(len(self.donated), 1))
        for start in range(0, len(z), step):
            rows = z[start : start + step]
            squared = squared_distances(rows, self.donated)
            for block in self.blocks:
                gaps = np.flatnonzero(np.isnan(rows[:, block.start]))
                if len(gaps):
                    out[start + gaps, block.where] = self._from_neighbours(squared[gaps], block)
        return out

    def _from_neighbours(self, squared: Array, block: Block) -> Array:
        """Return the means over the nearest donors that have the block, (rows, width); NaN where none is comparable."""
        having = np.flatnonzero(~np.isnan(self.donated[:, block.start]))
        if not len(having):
            return np.full((len(squared), block.stop - block.start), np.nan)
        count = min(self.neighbours, len(having))
        distance = squared[:, having]
        chosen = np.argpartition(distance, count - 1, axis=1)[:, :count]
        near = np.isfinite(np.take_along_axis(distance, chosen, axis=1))[:, :, None]  # (rows, k, 1)
        values = self.donated[having[chosen], block.where]
        found = near.sum(axis=1)
        mean = np.where(near, values, 0.0).sum(axis=1) / np.maximum(found, 1)
        return np.where(found > 0, mean, np.nan)

    def _learned(self) -> State:
        return {}, {"donated": self.donated}

    def _restore(self, plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        self.donated = np.array(arrays["donated"], dtype=np.float64)
        if self.donated.ndim != 2 or self.donated.shape[1] != len(self.standard.center):
            raise ValueError("the rows of neighbours do not fit the columns")


def squared_distances(a: Array, b: Array) -> Array:
    """Return squared distances over what both rows have, times columns / shared columns; infinite without any.

    Parameters
    ----------
    a, b : ndarray of shape (N, D) and (M, D)
        NaN where missing.

    Returns
    -------
    ndarray of shape (N, M)
    """
    a_has, b_has = ~np.isnan(a), ~np.isnan(b)
    a_value, b_value = np.where(a_has, a, 0.0), np.where(b_has, b, 0.0)
    total, part = np.zeros((len(a), len(b))), np.empty((len(a), len(b)))
    shared = a_has.astype(np.float64) @ b_has.T.astype(np.float64)  # whole numbers, exact in any order
    for j in range(a.shape[1]):
        np.subtract(a_value[:, j, None], b_value[None, :, j], out=part)
        part *= part
        if not b_has[:, j].all():
            part *= b_has[:, j]
        if not a_has[:, j].all():
            part[~a_has[:, j]] = 0.0
        total += part
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(shared > 0, total * (a.shape[1] / shared), np.inf)
