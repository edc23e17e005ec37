"""Losses that boosting descends: where they start, where they fall fastest, and how large they are.

Scores and targets are (N, O): one column per target or class, one for two classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax

from glia.core.errors import InputError, near

Floats = NDArray[np.float64]


class BoostingLoss(Protocol):
    """One loss.

    Attributes
    ----------
    separable : bool
        Whether the columns can be stepped along one by one.
    most : float
        Longest step along a direction.
    """

    @property
    def separable(self) -> bool:
        """Whether the columns can be stepped along one by one."""
        ...

    @property
    def most(self) -> float:
        """Longest step along a direction."""
        ...

    def start(self, y: Floats, weight: Floats) -> Floats:
        """Return the best constant scores, (O,)."""
        ...

    def residual(self, y: Floats, score: Floats) -> Floats:
        """Return the negative gradient by the scores, (N, O)."""
        ...

    def rows(self, y: Floats, score: Floats) -> Floats:
        """Return each row's loss, (N,)."""
        ...


@dataclass(frozen=True)
class Squared:
    """(y − F)² / 2, averaged over the targets."""

    separable: bool = True
    most: float = math.inf

    def start(self, y: Floats, weight: Floats) -> Floats:
        """Return the mean."""
        return np.asarray(np.average(y, axis=0, weights=weight))

    def residual(self, y: Floats, score: Floats) -> Floats:
        """Return y − F."""
        return y - score

    def rows(self, y: Floats, score: Floats) -> Floats:
        """Return half the squared error."""
        return np.asarray(((y - score) ** 2).mean(axis=1) / 2)


@dataclass(frozen=True)
class Absolute:
    """|y − F|, averaged over the targets: outliers pull no harder than others."""

    separable: bool = True
    most: float = math.inf

    def start(self, y: Floats, weight: Floats) -> Floats:
        """Return the weighted median."""
        order = np.argsort(y, axis=0, kind="stable")
        half = weight.sum() / 2
        at = [int(np.searchsorted(np.cumsum(weight[rows]), half)) for rows in order.T]
        return np.array([y[order[min(i, len(y) - 1), t], t] for t, i in enumerate(at)])

    def residual(self, y: Floats, score: Floats) -> Floats:
        """Return the sign of the error."""
        return np.sign(y - score)

    def rows(self, y: Floats, score: Floats) -> Floats:
        """Return the absolute error."""
        return np.asarray(np.abs(y - score).mean(axis=1))


@dataclass(frozen=True)
class LogLoss:
    """Cross-entropy of classes. One column: y is 0 or 1 and F a logit; several: y is one-hot and F raw scores."""

    separable: bool = False
    most: float = 16.0  # where classes are separated the loss falls for ever

    def start(self, y: Floats, weight: Floats) -> Floats:
        """Return the logit, or the logs, of the classes' shares."""
        shares = np.average(y, axis=0, weights=weight)
        return np.log(shares / (1 - shares)) if y.shape[1] == 1 else np.log(shares)

    def residual(self, y: Floats, score: Floats) -> Floats:
        """Return y − p."""
        return np.asarray(y - (expit(score) if y.shape[1] == 1 else softmax(score, axis=1)))

    def rows(self, y: Floats, score: Floats) -> Floats:
        """Return −log p of the true class."""
        if y.shape[1] == 1:
            return np.asarray(np.logaddexp(0, score[:, 0]) - y[:, 0] * score[:, 0])
        return np.asarray(-(y * log_softmax(score, axis=1)).sum(axis=1))


LOSSES: dict[str, BoostingLoss] = {"squared": Squared(), "absolute": Absolute(), "log_loss": LogLoss()}


def find_loss(name: str) -> BoostingLoss:
    """Return a loss by its name.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if not isinstance(name, str) or name not in LOSSES:
        raise InputError("the loss must be a known name", f"loss={name!r}", near(str(name), LOSSES))
    return LOSSES[name]
