"""Rates that rise and fall: one cycle, and cosine with warm restarts."""

from __future__ import annotations

from dataclasses import dataclass

from glia.engine.schedules.base import bounded, schedules
from glia.engine.schedules.decay import half_cosine


@schedules.register("one_cycle")
@dataclass(frozen=True)
class OneCycle:
    """Rise to the base rate and fall far below the start, both along half a cosine. Smith & Topin, arXiv 1708.07120.

    Only the rate is cycled, not the momentum.

    Parameters
    ----------
    rise : float
        Share of the training that rises, in (0, 1).
    start_divisor : float
        The base rate over the first rate, ≥ 1.
    end_divisor : float
        The first rate over the last rate, ≥ 1.
    """

    rise: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4

    def __post_init__(self) -> None:
        bounded("rise", self.rise, 1e-9, 1 - 1e-9)
        bounded("start_divisor", self.start_divisor, 1)
        bounded("end_divisor", self.end_divisor, 1)

    def __call__(self, step: int, total_steps: int, steps_per_epoch: int, /) -> float:
        """Return the factor for ``step``; the last step has the last rate."""
        first = 1 / self.start_divisor
        top = self.rise * total_steps - 1
        if step <= top:
            return half_cosine(first, 1.0, step / top if top > 0 else 1.0)
        return half_cosine(1.0, first / self.end_divisor, (step - top) / max(1e-9, total_steps - 1 - top))


@schedules.register("warm_restarts")
@dataclass(frozen=True)
class WarmRestarts:
    """Fall along half a cosine again and again, each time for longer. SGDR: Loshchilov & Hutter, arXiv 1608.03983.

    Parameters
    ----------
    first : float, optional
        Length of the first fall in epochs, > 0; where it is not given, three falls fill the training.
    growth : float
        Each fall is this much longer than the one before, ≥ 1.
    floor : float
        Factor at the end of a fall, in [0, 1].
    """

    first: float | None = None
    growth: float = 2.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        bounded("first", 1 if self.first is None else self.first, 1e-9)
        bounded("growth", self.growth, 1)
        bounded("floor", self.floor, 0, 1)

    def __call__(self, step: int, total_steps: int, steps_per_epoch: int, /) -> float:
        """Return the factor for ``step``."""
        if self.first is None:
            length = total_steps / (1 + self.growth + self.growth**2)
        else:
            length = self.first * steps_per_epoch
        since = float(step)
        while since >= length:
            since -= length
            length *= self.growth
        return half_cosine(1.0, self.floor, since / length)
