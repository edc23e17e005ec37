"""Cross-entropy or focal loss weighted by the effective number of rows of each class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from glia.core.errors import InputError
from glia.objectives.classification_losses import BinaryCrossEntropy, CrossEntropy, Focal
from glia.objectives.counted_loss import CountedLoss, of_class
from glia.objectives.loss import losses


def effective_weights(counts: Sequence[float], beta: float = 0.999) -> tuple[float, ...]:
    """Return weights of classes, (1 − β) / (1 − β^n), scaled so that they add up to the number of classes.

    arXiv 1901.05555, eq. 4: n rows cover as much as (1 − β^n) / (1 − β) rows without overlap would. β = 0 weighs all
    classes the same, β → 1 by 1 / n.

    Raises
    ------
    InputError
        If β is not in [0, 1), or a count is not above 0.
    """
    if not 0 <= beta < 1:
        raise InputError("beta must be at least 0 and below 1", f"beta={beta!r}")
    if not counts or not all(math.isfinite(n) and n > 0 for n in counts):
        raise InputError("counts must be above 0", f"counts={list(counts)!r}")
    # −expm1(n·log β) is 1 − β^n without cancellation, which matters as β nears 1.
    raw = [1.0 if beta == 0 else (1.0 - beta) / -math.expm1(n * math.log(beta)) for n in counts]
    return tuple(w * len(raw) / sum(raw) for w in raw)


@losses.register("class_balanced")
@dataclass(frozen=True)
class ClassBalanced(CountedLoss):
    """Cross-entropy (or focal loss) times a weight of the row's class by its effective number of rows.

    Class-balanced loss (arXiv 1901.05555).

    Parameters
    ----------
    counts : tuple of float, optional
        As in ``CountedLoss``.
    beta : float
        In [0, 1): 0.9 to 0.9999 are usual. Classes of many more rows than 1 / (1 − β) weigh alike.
    gamma : float
        Of the focal loss, at least 0; 0 is plain cross-entropy.
    """

    name: ClassVar[str] = "class_balanced"
    beta: float = 0.999
    gamma: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        effective_weights((1.0,), self.beta)
        Focal(self.gamma)

    @property
    def class_factors(self) -> tuple[float, ...] | None:
        """Weights of the classes; ``None`` for the focal loss, whose probabilities are bent in other ways as well."""
        return None if self.counts is None or self.gamma else effective_weights(self.counts, self.beta)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        single = output.ndim == 1 or output.shape[-1] == 1
        plain = Focal(self.gamma) if self.gamma else BinaryCrossEntropy() if single else CrossEntropy()
        values = plain(output, target)
        if self.counts is None:
            return values
        return values * of_class(self.per_class(effective_weights(self.counts, self.beta), output), output, target)
