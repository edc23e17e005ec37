"""Rates that only fall: constant, step, exponential, linear and cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from glia.engine.schedules.base import bounded, schedules


@schedules.register("constant")
@dataclass(frozen=True)
class Constant:
    """The base rate throughout."""

    def __call__(self, step: int, total_steps: int, steps_per_epoch: int, /) -> float:
        """Return 1."""
        return 1.0


@schedules.register("step")
@dataclass(frozen=True)
class StepDecay:
    """Multiply by ``factor`` every so many epochs: ``factor^⌊epoch / every⌋``.

    Parameters
    ----------
    every : int, optional
        Epochs between drops, ≥ 1; a third of the training where it is not given.
    factor : float
        In [0, 1].
    """

    every: int | None = None
    factor: float = 0.1

    def __post_init__(self) -> None:
        bounded("every", 1 if self.every is None else self.every, 1)
        bounded("factor", self.factor, 0, 1)

    def __call__(self, step: int, total_steps: int, steps_per_epoch: int, /) -> float:
        """Return the factor for ``step``."""
        if self.every is None:
            return float(self.factor ** (3 * step // max(1, total_steps)))
        return float(self.factor ** (step // steps_per_epoch // self.every))


@schedules.register("exponential")
@dataclass(frozen=True)
class ExponentialDecay:
    """Multiply by ``factor`` per epoch, a little at each step: ``factor^(step / steps_per_epoch)``.

    Parameters
    ----------
    factor : float, optional
        In (0, 1]; where it is not given, the rate ends at a hundredth.
    """

    factor: float | None = None

    def __post_init__(self) -> None:
        bounded("factor", 1 if self.factor is None else self.factor, 1e-12, 1)

    def __call__(self, step: int, total_steps: int, steps_per_epoch: int, /) -> float:
        """Return the factor for ``step``."""
        if self.factor is None:
            return float(0.01 ** (step / max(1, total_steps)))
        return float(self.factor ** (step / steps_per_epoch))


@schedules.register("linear")
@dataclass(frozen=True)
class LinearDecay:
    """Go in a straight line from ``start`` to ``floor`` times the base rate.

    Parameters
    ----------
    start, floor : float
        Factors at the first step and after the last one, ≥ 0.
    """

    start: float = 1.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        bounded("start", self.start, 0)
        bounded("floor", self.floor, 0)

    def __call__(self, step: int, total_steps: int, steps_per_epoch: int, /) -> float:
        """Return the factor for ``step``."""
        return self.start + (self.floor - self.start) * min(1.0, step / max(1, total_steps))


@schedules.register("cosine")
@dataclass(frozen=True)
class CosineDecay:
    """Fall along half a cosine: ``floor + (1 − floor)(1 + cos(π·progress))/2``. Loshchilov & Hutter, arXiv 1608.03983.

    Parameters
    ----------
    floor : float
        Factor after the last step, in [0, 1].
    """

    floor: float = 0.0

    def __post_init__(self) -> None:
        bounded("floor", self.floor, 0, 1)

    def __call__(self, step: int, total_steps: int, steps_per_epoch: int, /) -> float:
        """Return the factor for ``step``."""
        return half_cosine(1.0, self.floor, step / max(1, total_steps))


def half_cosine(start: float, end: float, progress: float) -> float:
    """Return the value between ``start`` and ``end`` on half a cosine; ``progress`` beyond 1 counts as 1."""
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
