"""Gaps between neighbouring rows: on a straight line, a cubic spline, or as the nearest row has it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from glia.core.errors import InputError
from glia.data.impute.base import Array, MatrixImputer, imputers


class Interpolation(MatrixImputer):
    """Fill gaps from the rows before and after, among the rows that are handed in together.

    Unlike all other imputers, what a row gets depends on the rows that come with it: use this for series, and hand
    their rows in together and in order. Nothing is learned from training rows but the mean, which stands in where a
    column has no value at all among the rows handed in. Beyond the first and the last value the nearest one holds.

    Parameters
    ----------
    by : str, optional
        Column of numbers or dates that says where on the axis a row lies; the order of the rows by default. Rows
        without a position get the mean.

    Notes
    -----
    Categories take the value of the nearest row, the earlier of two. Rows at the same position count with their mean.
    """

    by_row: ClassVar[bool] = False

    def __init__(self, *, by: str | None = None) -> None:
        if by is not None and not isinstance(by, str):
            raise InputError("by must be the name of a column", f"by={by!r}")
        self.by = by

    def _learn(self, z: Array, position: Array | None) -> None:
        """Nothing is learned but the units."""

    def _complete(self, z: Array, position: Array | None) -> Array:
        at = np.arange(len(z), dtype=np.float64) if position is None else np.asarray(position, dtype=np.float64)
        placed = np.isfinite(at)
        for block in self.blocks:
            missing = np.isnan(z[:, block.start])
            gaps, known = np.flatnonzero(missing & placed), np.flatnonzero(~missing & placed)
            if not len(gaps) or not len(known):
                continue
            if block.kind == "category":
                z[gaps, block.where] = z[nearest(at[known], at[gaps], known), block.where]
            else:
                z[gaps, block.start] = self._between(at[known], z[known, block.start], at[gaps])
        return z

    def _between(self, at: Array, values: Array, wanted: Array) -> Array:
        """Return the values at ``wanted`` from those known at ``at``."""
        raise TypeError(f"{type(self).__name__} does not say how it interpolates")


def nearest(at: Array, wanted: Array, index: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return which of ``index`` (whose places are ``at``) lies nearest to each wanted place, the earlier of two."""
    order = np.argsort(at, kind="stable")
    places = at[order]
    after = np.minimum(np.searchsorted(places, wanted), len(places) - 1)
    before = np.maximum(after - 1, 0)
    chosen = np.where(wanted - places[before] <= places[after] - wanted, before, after)
    chosen = np.where(wanted >= places[after], after, chosen)
    # of several rows at one place the first stands for them
    return np.asarray(index[order[np.searchsorted(places, places[chosen])]])


def _merged(at: Array, values: Array) -> tuple[Array, Array]:
    """Return increasing places and the mean of the values at each."""
    places, inverse = np.unique(at, return_inverse=True)
    return places, np.bincount(inverse, weights=values) / np.bincount(inverse)


@imputers.register("linear")
class LinearInterpolation(Interpolation):
    """On a straight line between the neighbours: see ``Interpolation``."""

    name: ClassVar[str] = "linear"

    def _between(self, at: Array, values: Array, wanted: Array) -> Array:
        return np.interp(wanted, *_merged(at, values))


@imputers.register("spline")
class SplineInterpolation(Interpolation):
    """On a natural cubic spline: see ``Interpolation``."""

    name: ClassVar[str] = "spline"

    def _between(self, at: Array, values: Array, wanted: Array) -> Array:
        places, known = _merged(at, values)
        if len(places) < 3:
            return np.interp(wanted, places, known)
        return np.asarray(CubicSpline(places, known, bc_type="natural")(np.clip(wanted, places[0], places[-1])))


@imputers.register("nearest")
class NearestRow(Interpolation):
    """As the nearest row has it: see ``Interpolation``."""

    name: ClassVar[str] = "nearest"

    def _between(self, at: Array, values: Array, wanted: Array) -> Array:
        return np.asarray(values[nearest(at, wanted, np.arange(len(at)))])
