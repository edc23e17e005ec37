"""Made and bundled data whose rows are images or sequences, in the form of a lab run's data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glia.core.layout import Layout
from glia.core.protocols import Task
from glia.core.seeds import numpy_rng
from glia.data import bundled
from glia.engine.rows import Rows
from glia.lab.data import LabData
from glia.lab.made import made

Floats = NDArray[np.float64]


def shaped(name: str, x: Floats, y: NDArray[np.float64], task: Task) -> LabData:
    """Return rows of any shape in three parts; see ``made``.

    Parameters
    ----------
    name, y, task
        As in ``made``; values may be (N, T).
    x : ndarray of shape (N, …)
        (N, C, H, W) for images, (N, T, F) for sequences.
    """
    flat = made(name, x.reshape(len(x), -1), y, task)
    shape = tuple(x.shape[1:])
    train, valid, test = (Rows(part.x.reshape(-1, *shape), part.y) for part in (flat.train, flat.valid, flat.test))
    outputs = train.y.shape[1] if task == "regression" else flat.outputs
    return replace(flat, train=train, valid=valid, test=test, layout=Layout(shape), outputs=outputs)


def digits(seed: int = 0, rows: int = 1200, margin: int = 2) -> LabData:
    """Return handwritten digits, (N, 1, 8 + 2·margin, 8 + 2·margin) with values from 0 to 1, in a random order."""
    frame = bundled.load("digits")
    order = numpy_rng(seed, "digits").permutation(len(frame))[:rows]
    pixels = frame.drop("digit").to_numpy().astype(np.float64)[order].reshape(-1, 1, 8, 8) / 16.0
    label = frame["digit"].to_numpy().astype(np.float64)[order]
    room = (0, 0), (0, 0), (margin, margin), (margin, margin)
    return shaped("handwritten digits", np.pad(pixels, room), label, "multiclass")


def with_inputs(data: LabData, train: Tensor, valid: Tensor, test: Tensor) -> LabData:
    """Return the same targets with other inputs."""
    return replace(
        data,
        train=Rows(train, data.train.y),
        valid=Rows(valid, data.valid.y),
        test=Rows(test, data.test.y),
        layout=Layout(tuple(train.shape[1:])),
    )


def moved(x: Tensor, down: int, right: int) -> Tensor:
    """Return images (N, C, H, W) moved by so many pixels; what comes in is 0, what goes out is lost."""
    height, width = x.shape[-2:]
    reach = max(abs(down), abs(right))
    wide = functional.pad(x, (reach, reach, reach, reach))
    return wide[..., reach - down : reach - down + height, reach - right : reach - right + width]


def strewn(x: Tensor, reach: int, seed: int) -> Tensor:
    """Return images, each moved by a random step of up to ``reach`` pixels either way."""
    steps = numpy_rng(seed, "strewn").integers(-reach, reach + 1, (len(x), 2))
    return torch.cat([moved(image[None], int(a), int(b)) for image, (a, b) in zip(x, steps, strict=True)])
