"""Made data that isolate a mechanism, in the form of a lab run's data."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.layout import Feature, Layout
from glia.core.protocols import Task
from glia.core.seeds import numpy_rng
from glia.engine.rows import Rows
from glia.lab.data import LabData

Floats = NDArray[np.float64]


def made(name: str, x: Floats, y: Floats, task: Task, *, shares: tuple[float, float] = (0.6, 0.2)) -> LabData:
    """Return rows in three parts, in the order in which they come.

    Parameters
    ----------
    name : str
        Of the data.
    x : ndarray of shape (N, D)
        Inputs; they go to networks as they are.
    y : ndarray of shape (N,)
        Class numbers from 0 on, or values, which are standardised by the training rows.
    task : {"binary", "multiclass", "regression"}
        What is predicted.
    shares : tuple of float
        Of the training and of the validation rows; the rest are test rows.
    """
    first, second = (int(sum(shares[:i]) * len(x)) for i in (1, 2))
    if task == "regression":
        target = ((y - y[:first].mean()) / max(float(y[:first].std()), 1e-12)).reshape(len(y), -1).astype(np.float32)
    else:
        target = y.astype(np.float32 if task == "binary" else np.int64)
    train, valid, test = (
        Rows(torch.from_numpy(x[where].astype(np.float32)), torch.from_numpy(target[where]))
        for where in (slice(0, first), slice(first, second), slice(second, None))
    )
    layout = Layout((x.shape[1],), tuple(Feature(f"x{i}", f"x{i}") for i in range(x.shape[1])))
    outputs = 1 if task == "regression" else int(y.max()) + 1
    return LabData(name, task, train, valid, test, layout, outputs, {}, {})


def xor(rows: int = 600, seed: int = 0, noise: float = 0.1) -> LabData:
    """Return four clouds at the corners of a square, with the class of exclusive or: no line parts them."""
    rng = numpy_rng(seed, "xor")
    corner = rng.integers(0, 2, (rows, 2))
    x = corner * 2.0 - 1 + noise * rng.normal(size=(rows, 2))
    return made("exclusive or", x, (corner[:, 0] ^ corner[:, 1]).astype(float), "binary")


def line(rows: int = 600, features: int = 5, seed: int = 0, noise: float = 0.3) -> LabData:
    """Return a linear regression."""
    rng = numpy_rng(seed, "line")
    x = rng.normal(size=(rows, features))
    return made("a linear function", x, x @ rng.normal(size=features) + noise * rng.normal(size=rows), "regression")


def waves(rows: int = 800, seed: int = 0, noise: float = 0.1) -> LabData:
    """Return a smooth function of two inputs that no linear model can follow."""
    rng = numpy_rng(seed, "waves")
    x = rng.uniform(-2, 2, (rows, 2))
    y = np.sin(2 * x[:, 0]) * np.cos(x[:, 1]) + noise * rng.normal(size=rows)
    return made("a smooth function", x, y, "regression")


def rings(rows: int = 800, seed: int = 0, noise: float = 0.12) -> LabData:
    """Return two classes, one around the other."""
    rng = numpy_rng(seed, "rings")
    label = rng.integers(0, 2, rows)
    angle = rng.uniform(0, 2 * np.pi, rows)
    radius = 1.0 + label + noise * rng.normal(size=rows)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return made("two rings", x, label.astype(float), "binary")
