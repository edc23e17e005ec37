"""What the history of a training tells: rises, roughness, whether it was still falling, whether validation turned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Curve:
    """Signs of a training's history.

    Parameters
    ----------
    epochs : int
    first, last, best : float
        Training loss of the first and the last epoch, and the least.
    rising : float
        Share of the epochs in which the training loss rose.
    roughness : float
        Sum of all rises over the distance between the largest and the least loss: 0 for a loss that only falls.
    still_falling : float
        Share of the whole fall that came in the last quarter of the epochs.
    finite : bool
        Whether all losses are.
    valid_best, valid_last : float or None
        Validation loss, least and last; ``None`` where there was none.
    valid_best_epoch : int or None
    lr : float or None
        Largest learning rate of the history.
    """

    epochs: int
    first: float
    last: float
    best: float
    rising: float
    roughness: float
    still_falling: float
    finite: bool
    valid_best: float | None
    valid_last: float | None
    valid_best_epoch: int | None
    lr: float | None


def read_curve(history: Sequence[Mapping[str, Any]]) -> Curve | None:
    """Return the signs of a history (``train/loss``, ``valid/loss``, ``lr``); ``None`` of fewer than 2 epochs."""
    losses = [entry.get("train/loss") for entry in history]
    numbers = np.array([math.nan if value is None else float(value) for value in losses])
    good = numbers[np.isfinite(numbers)]
    if len(good) < 2:
        return None
    steps = np.diff(good)
    spread = float(good.max() - good.min())
    quarter = max(1, len(good) // 4)
    fall = float(good[0] - good[-1])
    late = float(good[-1 - quarter] - good[-1]) if len(good) > quarter else fall
    valid = [(float(e["valid/loss"]), i) for i, e in enumerate(history) if e.get("valid/loss") is not None]
    rates = [float(e["lr"]) for e in history if e.get("lr") is not None]
    best = min(valid, default=None)
    return Curve(
        epochs=len(history),
        first=float(good[0]),
        last=float(good[-1]),
        best=float(good.min()),
        rising=float((steps > 0).mean()),
        roughness=float(steps[steps > 0].sum()) / spread if spread > 0 else 0.0,
        still_falling=late / fall if fall > 0 else 0.0,
        finite=len(good) == len(numbers),
        valid_best=None if best is None else best[0],
        valid_last=valid[-1][0] if valid else None,
        valid_best_epoch=None if best is None else best[1] + 1,
        lr=max(rates, default=None),
    )
