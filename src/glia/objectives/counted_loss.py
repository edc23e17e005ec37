"""Losses that know how many rows each class has."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.objectives.loss import Loss, is_target_index, target_mask


@dataclass(frozen=True)
class CountedLoss(Loss):
    """Base of losses that treat classes by their numbers of training rows.

    Parameters
    ----------
    counts : tuple of float, optional
        Rows of each class, in order. ``glia.Classifier`` fills them in from its training rows; without them all
        classes are as common as each other.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({"binary", "multiclass"})
    counts: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.counts is None:
            return
        counts = tuple(float(n) for n in self.counts)
        if len(counts) < 2 or not all(math.isfinite(n) and n >= 0 for n in counts):
            raise InputError("counts must be the rows of two or more classes", f"counts={self.counts!r}")
        object.__setattr__(self, "counts", tuple(max(n, 1.0) for n in counts))  # a class may be yet to come

    def for_counts(self, counts: Iterable[float]) -> CountedLoss:
        """Return the loss with these counts, or itself where it has some."""
        return replace(self, counts=tuple(float(n) for n in counts)) if self.counts is None else self

    @property
    def class_factors(self) -> tuple[float, ...] | None:
        """By how much each class counts more than it would by its share; ``None`` where it does not."""
        return None

    def per_class(self, figures: Iterable[float], output: Tensor) -> Tensor:
        """Return one figure per class as a tensor of the output's type, (C,).

        Raises
        ------
        InputError
            If there are not as many counts as classes.
        """
        found = torch.tensor(tuple(figures), dtype=output.dtype, device=output.device)
        classes = 2 if output.ndim == 1 or output.shape[-1] == 1 else output.shape[-1]
        if len(found) != classes:
            raise InputError("there must be one count per class", f"{len(found)} counts for {classes} classes")
        return found


def of_class(figures: Tensor, output: Tensor, target: Tensor) -> Tensor:
    """Return the figure of each row's class, (B,), the mean of figures where targets are shares of classes."""
    if output.ndim == 1 or output.shape[-1] == 1:
        y = target.reshape(target.shape[0]).to(figures.dtype)
        return y * figures[1] + (1.0 - y) * figures[0]
    shares = target_mask(output, target) if is_target_index(output, target) else target
    return (shares.to(figures.dtype) * figures).sum(dim=-1)
