"""From probabilities to decisions: what a user may ask for, and what a fitted model then does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.decision_rule import as_cost
from glia.core.protocols import Task
from glia.core.results import jsonable
from glia.objectives.cost_matrix import least_cost
from glia.objectives.scored import Floats


@dataclass(frozen=True)
class Decision:
    """How a fitted model decides.

    Parameters
    ----------
    rule : str
        What was asked for.
    threshold : float, tuple of float or None
        From which probability on the second class (or a label; one for each) is answered; ``None`` where the most
        probable class is.
    factors : tuple of float, optional
        The class with the largest probability × factor is answered (several classes).
    cost : matrix, optional
        The class of least expected cost is answered.
    why : str
        Where it comes from, in words.
    """

    rule: str = "auto"
    threshold: float | tuple[float, ...] | None = None
    factors: tuple[float, ...] | None = None
    cost: tuple[tuple[float, ...], ...] | None = None
    why: str = "the most probable class"

    def codes(self, probability: Floats, task: Task) -> NDArray[np.int64]:
        """Return class codes (N,) for probabilities (N, C), or 0/1 (N, L) for several labels."""
        found: NDArray[Any]
        if task == "multilabel":
            found = probability > 0.5 if self.threshold is None else probability >= np.asarray(self.threshold)
        elif self.cost is not None:
            found = least_cost(probability, self.cost)
        elif self.threshold is not None:
            found = probability[:, 1] >= self.threshold
        else:
            found = (probability if self.factors is None else probability * np.asarray(self.factors)).argmax(axis=1)
        return np.asarray(found, dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return dict(jsonable(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], task: Task, classes: int) -> Decision:
        """Rebuild what ``to_dict`` gave.

        Raises
        ------
        ValueError
            If the figures are not finite numbers, or not as many as there are classes.
        """
        listed, factors, cost = data.get("threshold"), data.get("factors"), data.get("cost")
        threshold = tuple(float(v) for v in listed) if isinstance(listed, list) else listed
        weights = None if factors is None else tuple(float(v) for v in factors)
        matrix = None if cost is None else as_cost(cost, classes)
        figures = [*(threshold if isinstance(threshold, tuple) else [threshold or 0.0]), *(weights or ())]
        many = {"multilabel": isinstance(threshold, tuple) and len(threshold) not in (0, classes)}
        if not all(math.isfinite(float(v)) for v in figures) or many.get(task, isinstance(threshold, tuple)):
            raise ValueError("thresholds must be finite numbers, one per label")
        if weights is not None and len(weights) != classes:
            raise ValueError(f"{len(weights)} factors for {classes} classes")
        nested = None if matrix is None else tuple(tuple(row) for row in matrix.tolist())
        single = threshold if threshold is None or isinstance(threshold, tuple) else float(threshold)
        return cls(str(data["rule"]), single, weights, nested, str(data.get("why", "")))
