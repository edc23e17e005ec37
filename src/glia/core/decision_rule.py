"""What a user may ask to be decided by: a threshold, a purpose, or what mistakes cost. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import InputError, near

PLAIN = ("auto", "f1", "balanced", "mcc")
LEVELS = ("recall_at_precision", "precision_at_recall")
_MUST = (
    "threshold must be a number from 0 to 1, 'auto', 'f1', 'balanced', 'mcc', {'cost': matrix}, "
    "{'recall_at_precision': p} or {'precision_at_recall': r}"
)


@dataclass(frozen=True)
class Rule:
    """What decides: ``name`` is one of ``PLAIN`` or ``LEVELS``, "number" or "cost".

    Parameters
    ----------
    name : str
    level : float, optional
        The number, or the stated precision or recall.
    cost : matrix, optional
        True classes as rows, predicted classes as columns.
    """

    name: str = "auto"
    level: float | None = None
    cost: tuple[tuple[float, ...], ...] | None = None

    @property
    def needs_rows(self) -> bool:
        """Whether labelled rows, that the model was not trained on, have to settle it."""
        return self.name in ("f1", "balanced", "mcc", *LEVELS)

    @property
    def text(self) -> str:
        """The rule as it is written on the command line."""
        if self.name == "number":
            return f"{self.level:.6g}"
        if self.cost is not None:
            return "cost=" + "; ".join(" ".join(f"{v:g}" for v in row) for row in self.cost)
        return self.name if self.level is None else f"{self.name}={self.level:g}"

    @property
    def words(self) -> str:
        """What the rule makes largest, as a person says it."""
        if self.name in LEVELS:
            goal, _, other = self.name.partition("_at_")
            return f"{goal} at a {other} of at least {self.level:g}"
        return {"f1": "F1", "balanced": "balanced accuracy", "mcc": "Matthews correlation"}.get(self.name, self.name)

    @property
    def value(self) -> Any:
        """The rule as ``Classifier`` takes it, plain data."""
        if self.name == "number":
            return self.level
        if self.cost is not None:
            return {"cost": [list(row) for row in self.cost]}
        return self.name if self.level is None else {self.name: self.level}


def as_rule(value: Any) -> Rule:
    """Return a rule from what a user wrote: a number, a word, a mapping with one entry, or text such as ``"f1"``.

    Text may also be ``"0.3"``, ``"recall_at_precision=0.9"`` and ``"cost=0 1; 5 0"``.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if isinstance(value, Rule):
        return value
    if isinstance(value, str):
        name, found, rest = value.partition("=")
        if found:
            return as_rule({name.strip(): rest})
        if value in PLAIN:
            return Rule(value)
        number = _number(value)
        if number is None:
            words = [*PLAIN, *(f"{name}=0.9" for name in LEVELS), "cost=0 1; 5 0"]
            raise InputError(_MUST, f"threshold={value!r}", near(value, words))
        value = number
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, level),) = value.items()
        if name == "cost":
            return Rule("cost", cost=tuple(tuple(row) for row in as_cost(level).tolist()))
        share = _number(level)
        if name in LEVELS and share is not None and 0 < share <= 1:
            return Rule(name, share)
    number = _number(value) if isinstance(value, Real) and not isinstance(value, bool) else None
    if number is None or not 0 <= number <= 1:
        raise InputError(_MUST, f"threshold={value!r}")
    return Rule("number", number)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


_DO = "write the costs of each true class as a row, predicted classes as columns: '0 1; 5 0'"


def as_cost(cost: Any, classes: int | None = None) -> NDArray[np.float64]:
    """Return a matrix of costs, (C, C): true classes as rows, predicted classes as columns.

    Parameters
    ----------
    cost : array-like (C, C) or str
        Text has the rows divided by semicolons: ``"0 1; 5 0"``. Costs are in units of the user's; below 0 is a gain.
    classes : int, optional
        C, where it is known.

    Raises
    ------
    InputError
        If it is not a square matrix of finite numbers of the right size, a right answer costs more than a wrong one,
        or no mistake costs anything.
    """
    must = "costs must be a square matrix of numbers" + (f" of {classes} classes" if classes else "")
    try:
        rows = [row.replace(",", " ").split() for row in cost.split(";")] if isinstance(cost, str) else cost
        matrix = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(must, repr(cost), _DO) from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2 or not np.isfinite(matrix).all():
        raise InputError(must, repr(cost), _DO)
    if classes is not None and len(matrix) != classes:
        raise InputError(must, f"{len(matrix)} rows: {cost!r}", f"{_DO}; classes are in sorted order")
    extra = matrix - np.diag(matrix)[:, None]
    if (extra < 0).any() or not extra.any():
        got = f"row {int(np.argmin(extra.min(axis=1))) + 1} of {cost!r}" if (extra < 0).any() else repr(cost)
        raise InputError("a right answer must not cost more than a wrong one, and some mistake must cost", got, _DO)
    return matrix
