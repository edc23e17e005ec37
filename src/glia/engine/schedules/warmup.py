"""Rates that rise at first, so that early, badly known steps are small. Goyal et al., arXiv 1706.02677, section 2.2."""

from __future__ import annotations

from dataclasses import dataclass

from glia.engine.schedules.base import bounded, schedules
from glia.engine.schedules.decay import half_cosine


def warmup_steps(steps: int | None, share: float, total_steps: int) -> int:
    """Return the length of a warm-up: ``steps`` where given, else a share of the training, at least one step."""
    return max(1, round(share * total_steps) if steps is None else steps)


@schedules.register("warmup")
@dataclass(frozen=True)
class Warmup:
    """Rise in a straight line, then stay: ``min(1, (step + 1) / warmup)``.

    Parameters
    ----------
    steps : int, optional
        Length of the rise in optimizer steps, ≥ 1.
    share : float
        Length as a share of the training, in [0, 1]; used where ``steps`` is not given.
    """

    steps: int | None = None
    share: float = 0.05

    def __post_init__(self) -> None:
        bounded("steps", 1 if self.steps is None else self.steps, 1)
        bounded("share", self.share, 0, 1)

    def __call__(self, step: int, total_steps: int, steps_per_epoch: int, /) -> float:
        """Return the factor for ``step``."""
        return min(1.0, (step + 1) / warmup_steps(self.steps, self.share, total_steps))


@schedules.register("warmup_cosine")
@dataclass(frozen=True)
class WarmupCosine:
    """Rise in a straight line, then fall along half a cosine.

    Parameters
    ----------
    steps : int, optional
        Length of the rise in optimizer steps, ≥ 1.
    share : float
        Length as a share of the training, in [0, 1]; used where ``steps`` is not given.
    floor : float
        Factor after the last step, in [0, 1].
    """

    steps: int | None = None
    share: float = 0.05
    floor: float = 0.0

    def __post_init__(self) -> None:
        bounded("steps", 1 if self.steps is None else self.steps, 1)
        bounded("share", self.share, 0, 1)
        bounded("floor", self.floor, 0, 1)

    def __call__(self, step: int, total_steps: int, steps_per_epoch: int, /) -> float:
        """Return the factor for ``step``."""
        rise = warmup_steps(self.steps, self.share, total_steps)
        if step < rise:
            return (step + 1) / rise
        return half_cosine(1.0, self.floor, (step - rise) / max(1, total_steps - rise))
