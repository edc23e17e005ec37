"""Whether every class is among the rows that are learned from, asked before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.counts import counted
from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.data import Split

_NAMED = 5


def check_seen(split: Split, y: NDArray[Any], task: Task) -> None:
    """Refuse a division by which a model would be judged on classes that it never saw.

    Parameters
    ----------
    split : Split
    y : ndarray (N,) or (N, T)
        Targets.
    task : Task

    Raises
    ------
    InputError
        If a class has rows for validation or test only.
    """
    if task not in ("binary", "multiclass") or y.ndim != 1:
        return
    known, unseen = np.unique(y[split.train]), []
    for part, index in (("validation", split.valid), ("test", split.test)):
        labels, counts = np.unique(y[index], return_counts=True)
        new = ~np.isin(labels, known)
        rows = zip(labels[new].tolist(), counts[new].tolist(), strict=True)
        unseen += [f"{label!r} in the {part} part alone ({counted(many, 'row')})" for label, many in rows]
    if unseen:
        more = f", and {len(unseen) - _NAMED} more" if len(unseen) > _NAMED else ""
        raise InputError(
            "every class must be among the rows that are learned from",
            ", ".join(unseen[:_NAMED]) + more,
            "divide the rows by another group, time or seed, or leave the rows of such classes out",
        )
