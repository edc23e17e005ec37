"""Cross-entropy with margins that are wider for rarer classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from glia.core.errors import InputError
from glia.objectives.classification_losses import BinaryCrossEntropy, CrossEntropy
from glia.objectives.counted_loss import CountedLoss
from glia.objectives.loss import is_target_index, losses, target_mask


@losses.register("ldam")
@dataclass(frozen=True)
class LDAM(CountedLoss):
    """Label-distribution-aware margin loss: the true class's score must win by Δ ∝ n^(−1/4).

    −log softmax(s·(o − Δ·1[y]))[y] with Δ[k] = margin·(min n / n[k])^(1/4) (arXiv 1906.07413, eq. 11 and 13).

    Parameters
    ----------
    counts : tuple of float, optional
        As in ``CountedLoss``; without them all classes have the widest margin.
    margin : float
        Of the rarest class, at least 0.
    scale : float
        s, above 0. The paper has 30, for scores that are cosines; 1 suits scores without bounds.

    Notes
    -----
    Margins bend the probabilities: they mean something only after ``fit_temperature``.
    """

    name: ClassVar[str] = "ldam"
    margin: float = 0.5
    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.margin) and self.margin >= 0 and math.isfinite(self.scale) and self.scale > 0):
            got = f"margin={self.margin!r} and scale={self.scale!r}"
            raise InputError("the margin must be at least 0 and the scale above 0", got)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        single = output.ndim == 1 or output.shape[-1] == 1
        counts = self.counts or (1.0,) * (2 if single else output.shape[-1])
        delta = self.per_class([self.margin * (min(counts) / n) ** 0.25 for n in counts], output)
        if single:
            y = target.reshape(output.shape).to(output.dtype)
            return BinaryCrossEntropy()(self.scale * (output - y * delta[1] + (1.0 - y) * delta[0]), target)
        shares = target_mask(output, target) if is_target_index(output, target) else target
        return CrossEntropy()(self.scale * (output - shares.to(output.dtype) * delta), target)
