"""A rate that falls when a figure stops improving: the one schedule that remembers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from glia.engine.schedules.base import bounded, schedules


@schedules.register("plateau")
@dataclass
class Plateau:
    """Multiply by ``factor`` after more than ``patience`` epochs without an improvement.

    Parameters
    ----------
    factor : float
        In (0, 1).
    patience : int
        Epochs without improvement that are borne, ≥ 0.
    threshold : float
        An improvement is one by more than this share of the best figure's size, ≥ 0.
    cooldown : int
        Epochs after a drop in which nothing is counted, ≥ 0.
    floor : float
        The smallest factor, ≥ 0.
    greater_is_better : bool
        Whether larger figures are better.
    """

    factor: float = 0.5
    patience: int = 5
    threshold: float = 1e-4
    cooldown: int = 0
    floor: float = 1e-4
    greater_is_better: bool = False
    current: float = field(default=1.0, init=False)
    best: float | None = field(default=None, init=False)
    bad_epochs: int = field(default=0, init=False)
    cooling: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        bounded("factor", self.factor, 1e-9, 1 - 1e-9)
        for name in ("patience", "threshold", "cooldown", "floor"):
            bounded(name, getattr(self, name), 0)

    def __call__(self, step: int, total_steps: int, steps_per_epoch: int, /) -> float:
        """Return the present factor."""
        return self.current

    def observe(self, metric: float) -> None:
        """Take note of an epoch's figure; one that is not a number counts as no improvement."""
        if self._improves(metric):
            self.best, self.bad_epochs = metric, 0
        else:
            self.bad_epochs += 1
        if self.cooling:
            self.cooling -= 1
            self.bad_epochs = 0
        if self.bad_epochs > self.patience:
            self.current = max(self.current * self.factor, self.floor)
            self.bad_epochs, self.cooling = 0, self.cooldown

    def _improves(self, metric: float) -> bool:
        if self.best is None or math.isnan(metric):
            return not math.isnan(metric)
        gain = metric - self.best if self.greater_is_better else self.best - metric
        return gain > self.threshold * abs(self.best)

    def to_dict(self) -> dict[str, Any]:
        """Return settings and state as plain JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Plateau:
        """Rebuild what ``to_dict`` gave, state included."""
        state = ("current", "best", "bad_epochs", "cooling")
        schedule = cls(**{key: value for key, value in data.items() if key not in state})
        for key in state:
            setattr(schedule, key, data[key])
        return schedule
