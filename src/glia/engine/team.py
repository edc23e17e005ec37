"""What a training step has to agree on with other workers, and the answer of a process that is alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from glia.engine.gradients import Gradient, RowLoss
from glia.engine.nonfinite import NonFinite, locate_nonfinite

if TYPE_CHECKING:
    from glia.engine.loop import Trainer


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Return Σ w·v / Σ w, or the plain mean without weights; 0 where all weights are 0."""
    if weight is None:
        return values.mean()
    return (values * weight).sum() / weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)


class Team(Protocol):
    """The workers that train one network together; every method is called by all of them at the same point."""

    def begin(self, trainer: Trainer) -> None:
        """Start from one state, once the callbacks have begun: one of them may have taken up an earlier fit."""

    def gradient(self, own: Gradient) -> Gradient:
        """Return what computes the gradients of this worker's rows, given what a process by itself would take."""

    def rows(self, x: Tensor) -> int:
        """Return the rows of the whole mini-batch, of which ``x`` (B, …) is this worker's part."""

    def combine(self, loss: Tensor) -> float | Tensor:
        """Make the gradients those of the whole mini-batch; return its mean loss, given that of the part."""

    def epoch_loss(self, total: float | Tensor, rows: int) -> float:
        """Return the mean loss of an epoch from the sum over its ``rows`` rows."""

    def mean(self, values: Tensor, weight: Tensor | None) -> Tensor:
        """Return the weighted mean of rows' figures (B,) over all workers' rows."""

    def locate(self, network: nn.Module, x: Tensor, loss: RowLoss, y: Tensor) -> NonFinite:
        """Say where a value stopped being finite, on whichever worker that was."""


class Alone:
    """One process: there is nobody to agree with."""

    def begin(self, trainer: Trainer) -> None:
        """Start from the state that is here."""

    def gradient(self, own: Gradient) -> Gradient:
        """Return it as it is."""
        return own

    def rows(self, x: Tensor) -> int:
        """Return the rows of ``x``."""
        return len(x)

    def combine(self, loss: Tensor) -> float | Tensor:
        """Return the loss as it is."""
        return loss

    def epoch_loss(self, total: float | Tensor, rows: int) -> float:
        """Return the total over the rows."""
        return float(total) / max(rows, 1)

    def mean(self, values: Tensor, weight: Tensor | None) -> Tensor:
        """Return the mean of these rows, which are all."""
        return weighted_mean(values, weight)

    def locate(self, network: nn.Module, x: Tensor, loss: RowLoss, y: Any) -> NonFinite:
        """Look here."""
        return locate_nonfinite(network, x, loss, y)
