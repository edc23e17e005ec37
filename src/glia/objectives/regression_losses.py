"""Losses for values: squared, absolute, logarithmic, robust, quantile, count and Gaussian."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.objectives.loss import Loss, aligned, losses, row_mean

_REGRESSION: frozenset[Task] = frozenset({"regression"})


@losses.register("mse", "squared_error")
@dataclass(frozen=True)
class MSE(Loss):
    """Squared error, (y − o)²; its optimum is the conditional mean."""

    name: ClassVar[str] = "mse"
    tasks: ClassVar[frozenset[Task]] = _REGRESSION

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        o, y = aligned(output, target)
        return row_mean((y - o).square())


@losses.register("mae", "absolute_error")
@dataclass(frozen=True)
class MAE(Loss):
    """Absolute error, |y − o|; its optimum is the conditional median, so that it bears outliers."""

    name: ClassVar[str] = "mae"
    tasks: ClassVar[frozenset[Task]] = _REGRESSION

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        o, y = aligned(output, target)
        return row_mean((y - o).abs())


def _log1p_extended(value: Tensor) -> Tensor:
    return torch.where(value >= 0, torch.log1p(value.clamp_min(0.0)), value)


@losses.register("msle")
@dataclass(frozen=True)
class MSLE(Loss):
    """Squared logarithmic error, (log(1 + y) − log(1 + o))², for targets of at least 0: relative errors count.

    Notes
    -----
    Below 0, where a network may well wander, log(1 + o) is continued by its tangent o. The loss stays finite and
    once differentiable, and a negative output still gets a gradient that lifts it (a clamp would leave it there).
    """

    name: ClassVar[str] = "msle"
    tasks: ClassVar[frozenset[Task]] = _REGRESSION
    needs_nonnegative: ClassVar[bool] = True

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        o, y = aligned(output, target)
        return row_mean((_log1p_extended(y) - _log1p_extended(o)).square())

    def point(self, output: Tensor) -> Tensor:
        """Return the outputs, none below 0."""
        return output.clamp_min(0.0)


@losses.register("huber")
@dataclass(frozen=True)
class Huber(Loss):
    """Squared error near the target, absolute error beyond ``delta`` (Huber 1964).

    e²/2 for |e| ≤ δ, else δ·(|e| − δ/2), with e = y − o.

    Parameters
    ----------
    delta : float
        Where the parabola becomes a line, in units of the target, above 0.
    """

    name: ClassVar[str] = "huber"
    tasks: ClassVar[frozenset[Task]] = _REGRESSION
    delta: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.delta) and self.delta > 0):
            raise InputError("delta of the Huber loss must be finite and above 0", f"delta={self.delta!r}")

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        o, y = aligned(output, target)
        size = (y - o).abs()
        near = size.clamp_max(self.delta)
        return row_mean(near * (size - 0.5 * near))


@losses.register("log_cosh")
@dataclass(frozen=True)
class LogCosh(Loss):
    """log cosh(o − y): like squared error near 0 and absolute error far away, smooth everywhere.

    Notes
    -----
    Computed as e + log(1 + exp(−2e)) − log 2, which is exact for large errors of either sign, where cosh overflows.
    """

    name: ClassVar[str] = "log_cosh"
    tasks: ClassVar[frozenset[Task]] = _REGRESSION

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        o, y = aligned(output, target)
        error = o - y
        return row_mean(error + F.softplus(-2.0 * error) - math.log(2.0))


@losses.register("quantile", "pinball")
@dataclass(frozen=True)
class Quantile(Loss):
    """Pinball loss: an under-estimate costs q, an over-estimate 1 − q; its optimum is the q-quantile.

    max(q·(y − o), (q − 1)·(y − o)), averaged over the levels (Koenker and Bassett 1978).

    Parameters
    ----------
    levels : tuple of float
        Increasing, each between 0 and 1. A network has T·Q outputs: all levels of the first target, then the next.

    Notes
    -----
    The heads are fitted independently and may cross on rare rows; ``point`` gives the level nearest to one half.
    """

    name: ClassVar[str] = "quantile"
    tasks: ClassVar[frozenset[Task]] = _REGRESSION
    levels: tuple[float, ...] = (0.05, 0.5, 0.95)

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(float(q) for q in self.levels))
        rising = all(a < b for a, b in zip(self.levels, self.levels[1:], strict=False))
        if not self.levels or not rising or not (self.levels[0] > 0 and self.levels[-1] < 1):
            raise InputError("quantile levels must increase and lie between 0 and 1", f"levels={self.levels!r}")

    @property
    def heads(self) -> int:
        """Number of levels."""
        return len(self.levels)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        o, y = aligned(output, target, self.heads)
        under = y - o  # (B, T, Q)
        level = output.new_tensor(self.levels)
        return row_mean(torch.maximum(level * under, (level - 1.0) * under))

    def point(self, output: Tensor) -> Tensor:
        """Return the head of the level nearest to one half, (B, T)."""
        middle = min(range(self.heads), key=lambda i: abs(self.levels[i] - 0.5))
        return output.reshape(len(output), -1, self.heads)[..., middle]


@losses.register("poisson")
@dataclass(frozen=True)
class Poisson(Loss):
    """Poisson negative log-likelihood with a log link, exp(o) − y·o, for counts; the prediction is exp(o)."""

    name: ClassVar[str] = "poisson"
    tasks: ClassVar[frozenset[Task]] = _REGRESSION
    needs_nonnegative: ClassVar[bool] = True

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        o, y = aligned(output, target)
        return row_mean(torch.exp(o) - y * o)

    def point(self, output: Tensor) -> Tensor:
        """Return the expected count, exp(o)."""
        return torch.exp(output)


@losses.register("gaussian_nll")
@dataclass(frozen=True)
class GaussianNLL(Loss):
    """Negative log-likelihood of a normal distribution whose mean and variance are both predicted.

    (log v + (y − m)² / v) / 2 with outputs (m, r) per target and v = log(1 + exp r) + floor (Nix and Weigend 1994;
    arXiv 1612.01474, section 2.2.1).

    Parameters
    ----------
    floor : float
        Smallest variance, above 0; keeps one exactly fitted row from dominating everything.
    """

    name: ClassVar[str] = "gaussian_nll"
    tasks: ClassVar[frozenset[Task]] = _REGRESSION
    floor: float = 1e-6

    def __post_init__(self) -> None:
        if not (math.isfinite(self.floor) and self.floor > 0):
            raise InputError("the variance floor must be finite and above 0", f"floor={self.floor!r}")

    @property
    def heads(self) -> int:
        """Two: mean and raw variance."""
        return 2

    def variance(self, output: Tensor) -> Tensor:
        """Return the predicted variance, (B, T)."""
        return F.softplus(output.reshape(len(output), -1, 2)[..., 1]) + self.floor

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        o, y = aligned(output, target, 2)
        v = self.variance(output)
        return row_mean(0.5 * (v.log() + (y[..., 0] - o[..., 0]).square() / v))

    def point(self, output: Tensor) -> Tensor:
        """Return the predicted mean, (B, T)."""
        return output.reshape(len(output), -1, 2)[..., 0]
