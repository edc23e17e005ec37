"""One value for all gaps of a column: mean, median, mode or a constant; categories get their most frequent one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from glia.data.impute.base import Array, MatrixImputer, State, imputers


class _OneValue(MatrixImputer):
    """Base: subclasses say what stands for the known values of a column of numbers."""

    fill: Array

    def _learn(self, z: Array, position: Array | None) -> None:
        self.fill = np.zeros(z.shape[1])
        for block in self.blocks:
            known = z[~np.isnan(z[:, block.start]), block.where]
            if block.kind == "category":
                if len(known):
                    winner = int(known.sum(axis=0).argmax())
                    self.fill[block.start + winner] = known.max()
            elif len(known):
                self.fill[block.start] = self._of(known[:, 0])

    def _of(self, known: Array) -> float:
        return float(known.mean())

    def _complete(self, z: Array, position: Array | None) -> Array:
        return np.where(np.isnan(z), self.fill, z)

    def _learned(self) -> State:
        return {}, {"fill": self.fill}

    def _restore(self, plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        self.fill = np.array(arrays["fill"], dtype=np.float64)
        if self.fill.shape != self.standard.center.shape:
            raise ValueError("one value per column is needed")


@imputers.register("mean")
class Mean(_OneValue):
    """The mean of the training rows; the most frequent category."""

    name: ClassVar[str] = "mean"


@imputers.register("median")
class Median(_OneValue):
    """The median of the training rows; the most frequent category."""

    name: ClassVar[str] = "median"

    def _of(self, known: Array) -> float:
        return float(np.median(known))


@imputers.register("mode")
class Mode(_OneValue):
    """The most frequent value of the training rows, the smallest of them where several are."""

    name: ClassVar[str] = "mode"

    def _of(self, known: Array) -> float:
        values, counts = np.unique(known, return_counts=True)
        return float(values[counts.argmax()])


@imputers.register("constant")
class Constant(_OneValue):
    """One given number; the most frequent category.

    Parameters
    ----------
    value : float
        In the column's own units.
    """

    name: ClassVar[str] = "constant"

    def __init__(self, *, value: float = 0.0) -> None:
        self.value = value

    def _learn(self, z: Array, position: Array | None) -> None:
        super()._learn(z, position)
        for block in self.blocks:
            if block.kind == "numeric":
                at = block.start
                self.fill[at] = (float(self.value) - self.standard.center[at]) / self.standard.scale[at]
