"""Losses for classes: cross-entropies, divergence, margins and focal loss, all on raw scores (logits)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.objectives.loss import Loss, aligned, check_class_shapes, is_target_index, losses, row_mean, target_mask

_YES_NO: frozenset[Task] = frozenset({"binary", "multilabel"})
_CLASSES: frozenset[Task] = frozenset({"multiclass"})


def _check_smoothing(value: float) -> None:
    if not 0 <= value < 1:
        raise InputError("label_smoothing must be at least 0 and below 1", f"label_smoothing={value!r}")


@losses.register("binary_cross_entropy")
@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Cross-entropy of yes/no labels, −y·log σ(o) − (1 − y)·log(1 − σ(o)), averaged over labels.

    Parameters
    ----------
    label_smoothing : float
        In [0, 1): targets move this share of the way to one half (arXiv 1512.00567, section 7).
    """

    name: ClassVar[str] = "binary_cross_entropy"
    tasks: ClassVar[frozenset[Task]] = _YES_NO
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        o, y = aligned(output, target)
        if self.label_smoothing:
            y = y * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        return row_mean(F.binary_cross_entropy_with_logits(o, y, reduction="none"))


@losses.register("cross_entropy", "categorical_cross_entropy")
@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy of one class among several, −log softmax(o)[y]; targets are class numbers or probabilities.

    Parameters
    ----------
    label_smoothing : float
        In [0, 1): this share of the target is spread evenly over all classes (arXiv 1512.00567, section 7).
    """

    name: ClassVar[str] = "cross_entropy"
    tasks: ClassVar[frozenset[Task]] = _CLASSES
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        check_class_shapes(output, target)
        y = target.long() if target.ndim == 1 else target.to(output.dtype)
        return F.cross_entropy(output, y, reduction="none", label_smoothing=self.label_smoothing)


@losses.register("kl_divergence")
@dataclass(frozen=True)
class KLDivergence(Loss):
    """Kullback–Leibler divergence from predicted to target distribution, Σ p·(log p − log softmax(o)).

    Notes
    -----
    With class numbers as targets it equals cross-entropy; with probabilities (distillation, soft labels) it is
    cross-entropy less the target's own entropy, hence 0 at a perfect fit.
    """

    name: ClassVar[str] = "kl_divergence"
    tasks: ClassVar[frozenset[Task]] = _CLASSES

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        check_class_shapes(output, target)
        p = (target_mask(output, target) if target.ndim == 1 else target).to(output.dtype)
        divergence: Tensor = torch.special.xlogy(p, p) - p * F.log_softmax(output, dim=-1)
        return divergence.sum(dim=-1)


@losses.register("hinge")
@dataclass(frozen=True)
class Hinge(Loss):
    """Hinge loss of yes/no labels, max(0, 1 − s·o) with s = ±1 (Cortes and Vapnik 1995)."""

    name: ClassVar[str] = "hinge"
    tasks: ClassVar[frozenset[Task]] = _YES_NO

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        o, y = aligned(output, target)
        return row_mean(F.relu(1.0 - (2.0 * y - 1.0) * o))


@losses.register("squared_hinge")
@dataclass(frozen=True)
class SquaredHinge(Loss):
    """Squared hinge loss of yes/no labels, max(0, 1 − s·o)² with s = ±1: smooth where it reaches 0."""

    name: ClassVar[str] = "squared_hinge"
    tasks: ClassVar[frozenset[Task]] = _YES_NO

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        o, y = aligned(output, target)
        return row_mean(F.relu(1.0 - (2.0 * y - 1.0) * o).square())


@losses.register("multiclass_hinge")
@dataclass(frozen=True)
class MulticlassHinge(Loss):
    """Margin between the true class and its best rival, max(0, 1 + max over j≠y of o[j] − o[y]).

    Crammer and Singer 2001, "On the algorithmic implementation of multiclass kernel-based vector machines".
    """

    name: ClassVar[str] = "multiclass_hinge"
    tasks: ClassVar[frozenset[Task]] = _CLASSES

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        check_class_shapes(output, target)
        if target.ndim != 1:
            raise InputError("targets of the multi-class hinge must be class numbers, (B,)", f"{tuple(target.shape)}")
        true = target_mask(output, target)
        own = output.masked_fill(~true, 0.0).sum(dim=-1)
        rival = output.masked_fill(true, -math.inf).amax(dim=-1)
        return F.relu(1.0 + rival - own)


@losses.register("focal")
@dataclass(frozen=True)
class Focal(Loss):
    """Cross-entropy times (1 − p)^gamma, p the probability of the true class: easy rows count less.

    −(1 − p)^γ · log p, times α for positives and 1 − α for negatives where α is given (arXiv 1708.02002, eq. 5).

    Parameters
    ----------
    gamma : float
        At least 0; at 0 the loss is plain cross-entropy.
    alpha : float, optional
        Weight of the positive class, between 0 and 1, for yes/no labels only.

    Notes
    -----
    1 − p is computed from logits (as the other classes' share), so that its power keeps a gradient where p rounds
    to 1. Its minimiser is not the true probability: probabilities come out less sure than they should be.
    """

    name: ClassVar[str] = "focal"
    tasks: ClassVar[frozenset[Task]] = _YES_NO | _CLASSES
    gamma: float = 2.0
    alpha: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gamma) and self.gamma >= 0):
            raise InputError("gamma of the focal loss must be finite and at least 0", f"gamma={self.gamma!r}")
        if self.alpha is not None and not 0 < self.alpha < 1:
            raise InputError("alpha of the focal loss must lie between 0 and 1", f"alpha={self.alpha!r}")

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        if is_target_index(output, target):
            return self._classes(output, target)
        o, y = aligned(output, target)
        positive, negative = (
            self._term(F.logsigmoid(o), F.logsigmoid(-o)),
            self._term(F.logsigmoid(-o), F.logsigmoid(o)),
        )
        if self.alpha is not None:
            positive, negative = self.alpha * positive, (1.0 - self.alpha) * negative
        return row_mean(y * positive + (1.0 - y) * negative)

    def _classes(self, output: Tensor, target: Tensor) -> Tensor:
        if self.alpha is not None:
            raise InputError(
                "alpha of the focal loss is for yes/no labels", f"alpha={self.alpha!r}", "use class_weight instead"
            )
        true = target_mask(output, target)
        logp = F.log_softmax(output, dim=-1)
        own = logp.masked_fill(~true, 0.0).sum(dim=-1)
        others = torch.logsumexp(logp.masked_fill(true, -math.inf), dim=-1)
        return self._term(own, others)

    def _term(self, log_true: Tensor, log_other: Tensor) -> Tensor:
        return -torch.exp(self.gamma * log_other) * log_true
