"""Successive halving: many configurations for few epochs, the best of them for more, very few for all.

Jamieson and Talwalkar, *Non-stochastic best arm identification and hyperparameter optimization* (arXiv 1502.07943).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from glia.core.errors import InputError


@dataclass(frozen=True)
class Halving:
    """How a bracket of configurations is thinned out.

    Parameters
    ----------
    bracket : int
        Configurations that start together, at least 2.
    eta : int
        One in so many goes on to the next rung, which has so many times the epochs; at least 2.
    rungs : int
        At least 1; the last one trains for all epochs.
    siblings : int
        How many configurations of a bracket have one architecture and are trained in one computation; at least 1.
    """

    bracket: int = 18
    eta: int = 3
    rungs: int = 3
    siblings: int = 6

    def __post_init__(self) -> None:
        for name, least in (("bracket", 2), ("eta", 2), ("rungs", 1), ("siblings", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name} must be a whole number of at least {least}", f"{name}={value!r}")

    def epochs(self, all_epochs: int) -> tuple[int, ...]:
        """Return up to which epoch each rung trains; of few epochs, rungs may be the same."""
        return tuple(math.ceil(all_epochs / self.eta**back) for back in range(self.rungs - 1, -1, -1))

    def kept(self, count: int) -> int:
        """Return how many of so many configurations go on."""
        return min(count, max(1, math.ceil(count / self.eta)))


def best_of(scores: Sequence[float], count: int) -> list[int]:
    """Return the positions of the ``count`` least finite scores, in rising order; of equal ones the first counts."""
    good = [place for place, score in enumerate(scores) if math.isfinite(score)]
    return sorted(sorted(good, key=lambda place: (scores[place], place))[:count])
