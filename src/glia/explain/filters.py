"""The weights of a network's first layer as images: what it looks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.results import Result, Table
from glia.explain.layers import layers_that_run, module_of
from glia.explain.plots.look import DIVERGING, new_axes
from glia.explain.subject import Floats, subject
from glia.nn.modes import evaluating

DEAD, TWINS = 0.01, 0.95
"""Filters smaller than this share of the largest do nothing; those whose cosine is above this say the same."""
DRAWN = 64


@dataclass(frozen=True)
class FiltersResult(Result):
    """First-layer weights.

    Parameters
    ----------
    images : ndarray of shape (K, C, H, W)
        One filter a unit; of tables (K, 1, 1, D).
    layer : str
        Path of the layer.
    sizes : ndarray of shape (K,)
        Euclidean norms.
    dead : int
        Filters that are next to nothing.
    twins : int
        Pairs that are the same up to size and sign.
    names : tuple of str
        Of D features, for tables.
    """

    images: Floats
    layer: str
    sizes: Floats
    dead: int
    twins: int
    names: tuple[str, ...]

    def summary(self) -> str:
        """Return how many filters do something, and how many say the same."""
        shape = " × ".join(map(str, self.images.shape[1:]))
        return (
            f"{self.layer} has {len(self.images)} filters of {shape}: {self.dead} of them are next to nothing, and "
            f"{self.twins} pairs are the same up to size and sign."
        )

    def tables(self) -> list[Table]:
        """Return the size of each filter."""
        order = np.argsort(-self.sizes, kind="stable")
        return [
            Table(f"Filters of {self.layer}", ("unit", "norm"), tuple((int(i), float(self.sizes[i])) for i in order))
        ]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``filters``: all side by side, each on its own scale around white."""
        return {"filters": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        shown = self.images[np.argsort(-self.sizes, kind="stable")[:DRAWN]]
        if self.names:
            ax = new_axes(ax, 1.2 + 0.22 * len(shown))
            matrix = shown[:, 0, 0]
            reach = float(np.abs(matrix).max()) or 1.0
            ax.imshow(matrix, cmap=DIVERGING, vmin=-reach, vmax=reach, aspect="auto")
            ax.set_xticks(range(len(self.names)), self.names, rotation=60, ha="right", fontsize="small")
            ax.set_ylabel("unit, by size")
        else:
            ax = new_axes(ax, 5.0, 5.4)
            ax.imshow(_mosaic(shown.sum(axis=1)), cmap=DIVERGING, vmin=-1, vmax=1, interpolation="nearest")
            ax.set_axis_off()
        ax.set_title(f"{len(self.images)} filters of {self.layer}, {self.dead} next to nothing", loc="left")
        return ax


def filters(predictor: Predictor, X: Any, *, layer: str | None = None) -> FiltersResult:
    """Return the weights of the first layer that has any, as images.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        One row or more of the kind that it takes.
    layer : str, optional
        Path of another linear layer or convolution.

    Returns
    -------
    FiltersResult

    Raises
    ------
    InputError
        If there is no such layer.
    """
    with evaluating(predictor.network_):
        seen = subject(predictor, X)
    x, network = seen.x, predictor.network_
    if layer is None:
        known = dict(network.named_modules())
        able = [name for name in layers_that_run(predictor, x) if _weight(known[name]) is not None]
        if not able and _weight(network) is not None:
            able = [""]
        if not able:
            raise InputError("a linear layer or convolution must run", type(network).__name__, "name a layer")
        layer = able[0]
    module = network if layer == "" else module_of(network, layer)
    weight = _weight(module)
    if weight is None:
        raise InputError("the layer must be linear or a convolution", f"{layer!r}, a {type(module).__name__}")
    images = _images(weight.detach().double().cpu(), tuple(x.shape[1:]))
    flat = images.reshape(len(images), -1)
    sizes = np.linalg.norm(flat, axis=1)
    alive = sizes > DEAD * (sizes.max() or 1.0)
    unit = flat[alive] / sizes[alive, None]
    twins = int((np.abs(unit @ unit.T)[np.triu_indices(len(unit), 1)] > TWINS).sum())
    table = x.ndim == 2 and images.shape[1:3] == (1, 1) and images.shape[3] == len(seen.layout.features)
    names = tuple(feature.name for feature in seen.layout.features) if table else ()
    return FiltersResult(images, layer or type(network).__name__, sizes, int((~alive).sum()), twins, names)


def _weight(module: nn.Module) -> Tensor | None:
    weight = getattr(module, "weight", None)
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    return weight if isinstance(module, kinds) and isinstance(weight, Tensor) else None


def _images(weight: Tensor, shape: tuple[int, ...]) -> Floats:
    if weight.ndim == 4:
        return np.asarray(weight.numpy())
    if weight.ndim == 3:
        return np.asarray(weight.unsqueeze(1).numpy())
    if len(shape) == 3 and weight.shape[1] == int(np.prod(shape)):
        return np.asarray(weight.reshape(len(weight), *shape).numpy())
    if len(shape) == 2 and weight.shape[1] == int(np.prod(shape)):
        return np.asarray(weight.reshape(len(weight), 1, *shape).numpy())
    return np.asarray(weight[:, None, None].numpy())


def _mosaic(images: Floats) -> Floats:
    """Return filters (K, H, W) side by side with white between them, each scaled to [−1, 1]."""
    count, high, wide = images.shape
    across = int(np.ceil(np.sqrt(count)))
    down = -(-count // across)
    board = np.zeros((down * (high + 1) - 1, across * (wide + 1) - 1))
    for i, image in enumerate(images):
        top, left = i // across * (high + 1), i % across * (wide + 1)
        board[top : top + high, left : left + wide] = image / (np.abs(image).max() or 1.0)
    return board
