"""The scale of what the first layer with weights is fed: columns of other sizes slow descent or drown each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glia.diagnose.layers import LayerPass, as_units, weighted_layers


@dataclass(frozen=True)
class InputScale:
    """Sizes of the columns (or channels) that reach the first layer with weights.

    Parameters
    ----------
    layer : str
        That layer.
    largest, smallest : float
        Root mean squares of the largest and the smallest column that is not constant.
    columns : int
        Columns that are not constant.
    worst : tuple of int
        Positions of the largest columns, at most five.
    raw : bool
        Whether the rows reach that layer as they are, with no layer between.
    """

    layer: str
    largest: float
    smallest: float
    columns: int
    worst: tuple[int, ...]
    raw: bool

    @property
    def spread(self) -> float:
        """Largest over smallest."""
        return self.largest / self.smallest if self.smallest > 0 else float("inf")


def input_scale(layers: tuple[LayerPass, ...], x: Tensor, skip: tuple[int, ...] = ()) -> InputScale | None:
    """Return the scale of the inputs; ``None`` where no layer with weights runs on floating-point numbers.

    Parameters
    ----------
    layers : tuple of LayerPass
    x : Tensor
        The rows, to tell whether they reach the layer untouched.
    skip : tuple of int
        Columns of ``x`` that are codes of categories and no quantities.
    """
    first = next(iter(weighted_layers(layers)), None)
    if first is None or first.input is None or not first.input.is_floating_point():
        return None
    seen = as_units(first.input, first.module).double()
    raw = first.input.shape == x.shape and bool(torch.equal(first.input, x))
    size, varies = seen.square().mean(dim=0).sqrt(), seen.std(dim=0, correction=0) > 0
    if raw and x.ndim == 2 and skip:
        varies[list(skip)] = False
    kept = torch.nonzero(varies).flatten()
    if not len(kept):
        return None
    order = kept[size[kept].argsort(descending=True)]
    return InputScale(
        first.name, float(size[order[0]]), float(size[order[-1]]), len(kept), tuple(order[:5].tolist()), raw
    )
