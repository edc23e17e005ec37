"""What a metric is: scikit-learn's figure for all rows, and the same figure for many weighted resamples at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from glia.core.protocols import Task
from glia.core.registry import Registry
from glia.objectives.scored import Codes, Floats, Scored


class Draws:
    """R resamples of the same N rows, as weights: how often each row was drawn times its own weight.

    Parameters
    ----------
    data : Scored
        The rows.
    weight : ndarray, (R, N)
        At least 0.
    """

    def __init__(self, data: Scored, weight: Floats) -> None:
        self.data, self.weight = data, weight
        self.cache: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.weight)

    @cached_property
    def total(self) -> Floats:
        """Sum of weights, (R,)."""
        sums: Floats = self.weight.sum(axis=1)
        return sums

    def mean(self, values: Floats) -> Floats:
        """Weighted means of row figures: (N,) → (R,) or (N, K) → (R, K)."""
        sums: Floats = self.weight @ values
        return sums / (self.total if values.ndim == 1 else self.total[:, None])

    def totals(self, codes: Codes, size: int, weight: Floats | None = None) -> Floats:
        """Sum of weights per code, (R, size)."""
        w = self.weight if weight is None else weight
        places = codes[None, :] + size * np.arange(len(w))[:, None]
        sums = np.bincount(places.ravel(), w.ravel(), size * len(w)).astype(np.float64)
        return sums.reshape(len(w), size)

    @cached_property
    def marginals(self) -> tuple[Floats, Floats, Floats]:
        """Per class, each (R, C): weight that is right, that is truly of the class, that is predicted as it."""
        y, guess, size = self.data.y, self.data.predicted, len(self.data.classes)
        right = y == guess
        return (
            self.totals(y[right], size, self.weight[:, right]),
            self.totals(y, size),
            self.totals(guess, size),
        )

    @cached_property
    def label_marginals(self) -> tuple[Floats, Floats, Floats]:
        """The same per label of a multi-label task, each (R, L)."""
        y, guess = self.data.y.astype(np.float64), self.data.predicted.astype(np.float64)
        return self.weight @ (y * guess), self.weight @ y, self.weight @ guess


def ratio(above: Floats, below: Floats, otherwise: float) -> Floats:
    """Divide, giving ``otherwise`` where the divisor is 0."""
    safe = np.where(below > 0, below, 1.0)
    return np.asarray(np.where(below > 0, above / safe, otherwise), dtype=np.float64)


@dataclass(frozen=True)
class Metric:
    """One figure of merit.

    Parameters
    ----------
    name : str
        Its name in the registry ``metrics``.
    tasks : frozenset of Task
        Where it applies.
    needs : {"prediction", "probability"}
        What it looks at.
    greater_is_better : bool
        Direction.
    unit : str
        What the figure counts, for people.
    description : str
        One line for people.
    score : callable
        ``Scored → float``, the figure for all rows; scikit-learn's function wherever it has one.
    resample : callable
        ``Draws → (R,)``, the same figure for weighted resamples; NaN where it is not defined.
    undefined : callable, optional
        ``Scored → str``: why the figure is not defined for these rows, ``""`` if it is.
    chance : callable, optional
        For figures that are 0 at best and that chance alone lifts: ``(Scored, generator, size) → (size,)``, the
        figures of a perfect model. See ``glia.objectives.bootstrap.interval``.
    """

    name: str
    tasks: frozenset[Task]
    needs: Literal["prediction", "probability"]
    greater_is_better: bool
    unit: str
    description: str
    score: Callable[[Scored], float]
    resample: Callable[[Draws], Floats]
    undefined: Callable[[Scored], str] | None = None
    chance: Callable[[Scored, np.random.Generator, int], Floats] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "__doc__", self.description)  # what ``metrics.describe()`` shows

    def why_undefined(self, data: Scored) -> str:
        """Return why the figure cannot be given for these rows, or ``""``."""
        if (data.prediction if self.needs == "prediction" else data.probability) is None:
            return f"needs {self.needs}"
        return "" if self.undefined is None else self.undefined(data)


metrics: Registry[Metric] = Registry("metric")
"""Name → metric."""


def add(metric: Metric) -> Metric:
    """Register a metric under its own name."""
    return metrics.register(metric.name)(metric)
