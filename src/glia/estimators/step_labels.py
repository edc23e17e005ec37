"""Labels of steps: codes with −1 where there is none, and a loss that such steps have no part in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.estimators.targets import ClassTarget
from glia.objectives import Loss, ResolvedObjective

NOTHING = -1
"""The code of steps without a label."""


class StepCodes(np.ndarray[Any, np.dtype[np.int64]]):
    """Codes of labels, (N, T); −1 at padding and where a label is missing."""


@dataclass(frozen=True)
class StepCrossEntropy(Loss):
    """Cross-entropy of every labelled step, averaged over those of a row; 0 for rows without any.

    Parameters
    ----------
    outputs : int
        Scores per step: 1 for two classes (their log odds), else one a class.

    Notes
    -----
    Outputs are (B, T · outputs), targets whole numbers (B, T). Steps whose target is −1 have no gradient: exactly 0.
    """

    name: ClassVar[str] = "step_cross_entropy"
    tasks: ClassVar[frozenset[Task]] = frozenset({"binary", "multiclass"})
    outputs: int = 1

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        there = target != NOTHING
        safe = target.clamp_min(0)
        scores = output.reshape(*target.shape, self.outputs)
        if self.outputs == 1:
            values = F.binary_cross_entropy_with_logits(scores[..., 0], safe.to(scores.dtype), reduction="none")
        else:
            values = F.cross_entropy(scores.flatten(0, 1), safe.flatten(), reduction="none").view(target.shape)
        return torch.where(there, values, 0.0).sum(1) / there.sum(1).clamp_min(1)


@dataclass(frozen=True)
class StepObjective(ResolvedObjective):
    """The objective of a labeler: its network has T times as many outputs as one step."""

    steps: int = 1

    def out_features(self, targets: int) -> int:
        """Return the number of network outputs, those of all steps."""
        return self.steps * (1 if targets == 2 else targets)


class StepTarget(ClassTarget):
    """Labels of steps; their codes are made when they are read, since padding must be known there."""

    def encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return the codes as they are, int64 (N, T)."""
        return np.asarray(y, dtype=np.int64)


def read_labels(y: Any, lengths: NDArray[np.intp]) -> list[NDArray[Any]]:
    """Return the labels of every sequence, as many as it has steps.

    Parameters
    ----------
    y : array (N, T) or list of arrays
        Of an array, labels beyond the end of a sequence do not count.
    lengths : ndarray of int (N,)
        Steps of the sequences.

    Raises
    ------
    InputError
        If they are not as many as the steps.
    """
    if y is None:
        raise InputError("requires y to be passed, but the target y is None")
    if len(y) != len(lengths):
        raise InputError("there must be labels for every sequence", f"{len(lengths)} sequences and {len(y)} of labels")
    found = []
    for number, length in enumerate(lengths.tolist()):
        own = np.asarray(y[number])
        if own.ndim != 1 or (len(own) < length if isinstance(y, np.ndarray) and y.ndim == 2 else len(own) != length):
            got = f"labels of shape {own.shape} for the {length} steps of sequence {number}"
            raise InputError("every step must have a label (NaN or None where it is not known)", got)
        found.append(own[:length])
    return found


def known_labels(flat: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where a label is there: not None, and not NaN."""
    if flat.dtype.kind == "f":
        return np.asarray(~np.isnan(flat))
    if flat.dtype == object:
        return np.array([value is not None and value == value for value in flat], dtype=bool)
    return np.ones(len(flat), dtype=bool)


def label_codes(parts: list[NDArray[Any]], classes: NDArray[Any], steps: int) -> StepCodes:
    """Return the codes of labels, (N, steps), −1 where there is none; of longer sequences those of the last steps.

    Raises
    ------
    InputError
        If a label is not among the classes.
    """
    out = np.full((len(parts), steps), NOTHING, dtype=np.int64)
    flat = np.concatenate(parts)
    there = known_labels(flat)
    codes = np.full(len(flat), NOTHING, dtype=np.int64)
    codes[there] = ClassTarget(classes, "multiclass").encode(np.array(flat[there].tolist()))
    start = 0
    for row, part in enumerate(parts):
        kept = codes[start : start + len(part)][-steps:]
        out[row, : len(kept)] = kept
        start += len(part)
    return out.view(StepCodes)


def fitted_codes(codes: StepCodes, steps: int) -> StepCodes:
    """Return codes (N, T) as (N, steps), with −1 where there were none; no label is cut off."""
    lacking = steps - codes.shape[1]
    return codes if lacking == 0 else np.pad(codes, ((0, 0), (0, lacking)), constant_values=NOTHING).view(StepCodes)
