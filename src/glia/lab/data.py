"""The data of a lab run: read, divided and prepared once, as tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from torch import Tensor

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.core.protocols import Task
from glia.core.seeds import numpy_rng
from glia.data import bundled, read
from glia.data.preparation import Preparation
from glia.data.table import Table
from glia.data.targets import infer_task
from glia.engine.rows import Rows
from glia.estimators.targets import ClassTarget, ValueTarget

PARTS = ("train", "valid", "test")
_SHARES = (0.6, 0.2, 0.2)


@dataclass(frozen=True)
class LabData:
    """Rows of three parts, prepared.

    Parameters
    ----------
    name : str
        Of the table.
    task : {"binary", "multiclass", "regression"}
        What is predicted.
    train, valid, test : Rows
        Tensors (N, D) and targets as the engine takes them.
    layout : Layout
        Of the prepared rows.
    outputs : int
        Values that a network gives per row.
    frames : dict
        Part → the raw input columns.
    targets : dict
        Part → the raw target values.
    """

    name: str
    task: Task
    train: Rows
    valid: Rows
    test: Rows
    layout: Layout
    outputs: int
    frames: dict[str, pl.DataFrame]
    targets: dict[str, NDArray[Any]]

    @property
    def chance(self) -> float:
        """Score on the test rows of always giving the commonest class; 0, which is R² of the mean, in regression."""
        if self.task == "regression":
            return 0.0
        common = self.train.y.mode().values
        return float((self.test.y == common).float().mean())

    def part(self, name: str) -> Rows:
        """Return a part by its name."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[name]

    def head(self, rows: int) -> LabData:
        """Return the same with at most so many training rows."""
        return self if rows >= len(self.train) else replace(self, train=self.train.take(torch.arange(rows)))


def load_data(source: Any = None, target: str | None = None, *, rows: int = 4000, seed: int = 0) -> LabData:
    """Read a table, the bundled census by default, and divide and prepare it.

    Parameters
    ----------
    source : path, frame or Table, optional
        Whatever ``glia.read`` takes.
    target : str, optional
        The column to predict; needed with ``source``.
    rows : int
        At most so many rows are drawn from it, ≥ 50.
    seed : int
        Of the draw and the division.

    Raises
    ------
    InputError
        If the table has no such target, or too few rows.
    """
    if source is None:
        table = replace(read(bundled.load("adult"), target="income"), name="adult (bundled)")
    elif target is None:
        raise InputError("the lab must know what to predict", "data without a target", "name the column with --target")
    else:
        table = read(source, target=target)
    order = numpy_rng(seed, "lab rows").permutation(len(table))[:rows]
    if len(order) < 50:
        raise InputError("the lab needs at least 50 rows", f"{len(order)}", "hand in a longer table")
    return prepare(table, order)


def prepare(table: Table, order: NDArray[Any]) -> LabData:
    """Divide rows in this order into training, validation and test, and prepare all by the training rows."""
    name = table.schema.names("target")[0]
    values = table.frame.get_column(name)
    task = infer_task(values)
    ends = np.cumsum([int(share * len(order)) for share in _SHARES[:2]])
    places = dict(zip(PARTS, np.split(order, ends), strict=True))
    frames = {part: table.frame.select(table.schema.inputs())[where] for part, where in places.items()}
    targets = {part: values.to_numpy()[where] for part, where in places.items()}
    roles = {column.name: column for column in table.schema.columns}
    preparation = clone(Preparation(encode="onehot")).fit(frames["train"], targets["train"], roles=roles)
    encoder = ValueTarget() if task == "regression" else ClassTarget()
    encoder.fit(np.concatenate([targets[part] for part in PARTS]) if task != "regression" else targets["train"])
    parts = {
        part: Rows(_tensor(preparation.transform(frames[part])), _tensor(encoder.encode(targets[part])))
        for part in PARTS
    }
    return LabData(
        table.name, task, parts["train"], parts["valid"], parts["test"], preparation.layout_, encoder.outputs, frames,
        targets,
    )  # fmt: skip


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))
