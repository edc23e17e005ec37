"""Cross-entropy of scores to which the log of each class's share is added: rare classes get room."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from glia.core.errors import InputError
from glia.objectives.classification_losses import BinaryCrossEntropy, CrossEntropy
from glia.objectives.counted_loss import CountedLoss
from glia.objectives.loss import losses


@losses.register("logit_adjusted")
@dataclass(frozen=True)
class LogitAdjusted(CountedLoss):
    """Logit-adjusted cross-entropy, −log softmax(o + τ·log π)[y], with π the shares of the classes.

    arXiv 2007.07314, eq. 10. With τ = 1 the raw scores are, at the optimum, those for classes of equal shares: their
    largest has the least balanced error.

    Parameters
    ----------
    counts : tuple of float, optional
        As in ``CountedLoss``.
    tau : float
        At least 0; 0 is plain cross-entropy.
    """

    name: ClassVar[str] = "logit_adjusted"
    tau: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.tau) and self.tau >= 0):
            raise InputError("tau of the logit adjustment must be finite and at least 0", f"tau={self.tau!r}")

    @property
    def class_factors(self) -> tuple[float, ...] | None:
        """π^−τ: how much more than by its share a class counts in the raw scores."""
        if self.counts is None:
            return None
        total = sum(self.counts)
        return tuple((n / total) ** -self.tau for n in self.counts)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        single = output.ndim == 1 or output.shape[-1] == 1
        if self.counts is not None:
            log_share = self.per_class([self.tau * math.log(n / sum(self.counts)) for n in self.counts], output)
            output = output + (log_share[1] - log_share[0] if single else log_share)
        return (BinaryCrossEntropy() if single else CrossEntropy())(output, target)
