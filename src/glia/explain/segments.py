"""Segments: stretches of steps of groups of channels, or patches of pictures, that are looked at as one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.explain.attribution import AttributionResult


@dataclass(frozen=True)
class Segments:
    """A grid over two axes: steps and channels of sequences, lines and columns of pictures.

    Parameters
    ----------
    first, second : tuple of int
        Edges along both axes, increasing, from 0. What lies beyond the last edge belongs to no segment.
    """

    first: tuple[int, ...]
    second: tuple[int, ...]

    @classmethod
    def even(cls, sizes: tuple[int, int], counts: tuple[int, int]) -> Segments:
        """Return about equal segments: ``counts`` of them along axes of ``sizes``, or fewer where there is less."""
        if min(*sizes, *counts) < 1:
            raise InputError("there must be at least one segment along each axis", f"{counts} of {sizes}")
        edges = [
            tuple(int(e) for e in np.unique(np.linspace(0, size, min(size, count) + 1).round()))
            for size, count in zip(sizes, counts, strict=True)
        ]
        return cls(edges[0], edges[1])

    @classmethod
    def of(cls, result: AttributionResult) -> Segments | None:
        """Return the segments of an explanation, ``None`` where it is not of segments."""
        told = result.settings.get("segments")
        return cls(tuple(told["first"]), tuple(told["second"])) if isinstance(told, dict) else None

    @property
    def count(self) -> int:
        """How many there are."""
        return (len(self.first) - 1) * (len(self.second) - 1)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data, as explanations keep it among their settings."""
        return {"first": list(self.first), "second": list(self.second)}

    def units_of(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Return the segment of each value of a row (A, B) or (K, A, B), flattened; ``count`` for none."""
        along = [np.searchsorted(edges, np.arange(size), side="right") - 1
                 for edges, size in zip((self.first, self.second), shape[-2:], strict=True)]  # fmt: skip
        across = len(self.second) - 1
        unit = along[0][:, None] * across + along[1][None, :]
        outside = (along[0] >= len(self.first) - 1)[:, None] | (along[1] >= across)[None, :]
        unit = np.where(outside, self.count, unit)
        return np.broadcast_to(unit, shape).reshape(-1).astype(np.int64)

    def spans(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Return from where to where (the end not included) each segment reaches along both axes."""
        return [(one, two) for one in pairwise(self.first) for two in pairwise(self.second)]

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values (N, A, B) or (N, K, A, B) summed to segments, (N, segments)."""
        return summed(values, self.units_of(values.shape[1:]), self.count)


def summed(values: NDArray[np.float64], unit: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Return values (N, …) summed to units, (N, count); ``unit`` is that of each value of a row, ``count`` for none."""
    flat = values.reshape(len(values), -1)
    return np.stack([np.bincount(unit, weights=row, minlength=count + 1)[:count] for row in flat])


def in_segments(result: AttributionResult, like: AttributionResult) -> AttributionResult:
    """Return an explanation with its values summed to the segments of another, (N, segments), where that has any."""
    segments = Segments.of(like)
    if segments is None:
        return result
    if not result.several:
        return replace(result, values=segments.sums(result.values))
    values = np.stack([segments.sums(result.values[..., o]) for o in range(result.values.shape[-1])], axis=-1)
    return replace(result, values=values)
