"""Saliency: how steeply an output changes with each input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.attribution import AttributionResult
from glia.explain.entry import Entry, opened
from glia.explain.finish import Parts, finish
from glia.explain.methods import methods
from glia.explain.subject import Floats


@methods.register("saliency")
def saliency(
    predictor: Predictor,
    X: Any,
    *,
    output: int | str | Sequence[int | str] | None = None,
    absolute: bool = True,
    batch_rows: int = 256,
) -> AttributionResult:
    """Return the size of the gradient at each input.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        Whatever the predictor takes.
    output : int, str or sequence of them, optional
        The outputs to explain; all by default.
    absolute : bool
        The size; for a column that became several prepared features, or a category's vector, the Euclidean norm of
        their gradients. Otherwise the gradient with its sign, which a category does not have.
    batch_rows : int
        Rows in memory at a time.

    Returns
    -------
    AttributionResult
        Values in units of the output per prepared unit of the input. They do not add up to the output.

    Raises
    ------
    InputError
        If the network cannot be differentiated, or signs are asked for of a category.

    Notes
    -----
    Source: Simonyan, Vedaldi and Zisserman, arXiv 1312.6034.
    """
    found = Parts()
    with opened(predictor, X, output) as entry:
        check_signs(entry, absolute)
        for point in entry.parts_of(batch_rows):
            outputs, slopes = entry.slopes(point)
            found.values.append(sizes(entry, slopes) if absolute else signed(entry, slopes))
            found.outputs.append(outputs.cpu().numpy())
        return finish(entry, "saliency", found, {"absolute": absolute})


def check_signs(entry: Entry, absolute: bool) -> None:
    """Raise if signed gradients are asked for of categories."""
    if not absolute and entry.categories:
        raise InputError(
            "a gradient has a sign for numbers only",
            "columns of embedded categories",
            "use absolute=True, or input_x_gradient",
        )


def sizes(entry: Entry, slopes: list[list[Tensor]]) -> Floats:
    """Return the Euclidean norm of the gradients of what each column became, (B, C, O) or (B, *shape, O)."""
    squares = [entry.features([part.double().square() for part in parts]) for parts in slopes]
    return np.sqrt(entry.to_columns(squares))


def signed(entry: Entry, slopes: list[list[Tensor]]) -> Floats:
    """Return gradients, summed over what each column became, (B, C, O) or (B, *shape, O)."""
    return entry.to_columns([entry.features(parts) for parts in slopes])


def times_input(entry: Entry, tensors: Sequence[Tensor], slopes: list[list[Tensor]]) -> Floats:
    """Return Σ value × gradient over what each column became, (B, C, O) or (B, *shape, O)."""
    values = [torch.nan_to_num(t.double()) for t in tensors]  # a missing number has no share
    products = [entry.features([part.double() * t for part, t in zip(parts, values, strict=True)]) for parts in slopes]
    return entry.to_columns(products)
