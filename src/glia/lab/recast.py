"""The user's data with the target taken otherwise: values as two classes, classes as values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia.core.protocols import Task
from glia.engine.rows import Rows
from glia.lab.data import LabData

_PARTS = ("train", "valid", "test")


def as_classes(data: LabData) -> LabData:
    """Return data with classes: values become "above the training rows' median, or not"; classes stay as they are."""
    if data.task != "regression":
        return data
    middle = _column(data.train.y).median()
    rows = [_with(data.part(part), (_column(data.part(part).y) > middle).float()) for part in _PARTS]
    return _replaced(data, "binary", 2, rows)


def as_two_classes(data: LabData) -> LabData:
    """Return data with two classes; of several, the commonest against the rest."""
    data = as_classes(data)
    if data.task == "binary":
        return data
    common = data.train.y.mode().values
    rows = [_with(data.part(part), (data.part(part).y == common).float()) for part in _PARTS]
    return _replaced(data, "binary", 2, rows)


def as_values(data: LabData) -> LabData:
    """Return data with one value per row, standardised: of classes, 1 for the commonest and 0 for all others."""
    if data.task == "regression":
        columns = {part: _column(data.part(part).y) for part in _PARTS}
    else:
        common = data.train.y.mode().values
        columns = {part: (data.part(part).y == common).float() for part in _PARTS}
    centre, spread = columns["train"].mean(), columns["train"].std().clamp_min(1e-6)
    rows = [_with(data.part(part), ((columns[part] - centre) / spread)[:, None]) for part in _PARTS]
    return _replaced(data, "regression", 1, rows)


def arrays(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return inputs (N, D) and class numbers (N,) as NumPy arrays."""
    return rows.x.numpy().astype(np.float64), rows.y.numpy().astype(np.int64)


def _replaced(data: LabData, task: Task, outputs: int, parts: list[Rows]) -> LabData:
    train, valid, test = parts
    return replace(data, task=task, outputs=outputs, train=train, valid=valid, test=test)


def _column(y: Tensor) -> Tensor:
    return y.reshape(len(y), -1)[:, 0]


def _with(rows: Rows, y: Tensor) -> Rows:
    return Rows(rows.x, y.to(torch.float32))
