"""Guided backpropagation: gradients that keep, at every rectifier, only what is above 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.attribution import AttributionResult
from glia.explain.entry import opened
from glia.explain.finish import Parts, finish
from glia.explain.methods import methods
from glia.explain.rewriting import Call, rewriting
from glia.explain.rewriting.names import RECTIFIERS
from glia.explain.saliency import check_signs, signed, sizes


@methods.register("guided_backprop")
def guided_backprop(
    predictor: Predictor,
    X: Any,
    *,
    output: int | str | Sequence[int | str] | None = None,
    absolute: bool = True,
    batch_rows: int = 256,
) -> AttributionResult:
    """Return guided gradients.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        Whatever the predictor takes.
    output : int, str or sequence of them, optional
        The outputs to explain; all by default.
    absolute : bool
        As in ``saliency``.
    batch_rows : int
        Rows in memory at a time.

    Returns
    -------
    AttributionResult
        They show what a network could react to rather than what it decides by: on image networks they stay nearly the
        same when upper layers are randomised (arXiv 1810.03292). ``glia.explain.check`` measures that.

    Raises
    ------
    InputError
        If the network has no rectifier (ReLU, GELU, SiLU and the like), or cannot be differentiated.

    Notes
    -----
    At a rectifier f the gradient g becomes f′(z)·max(g, 0) where z > 0, else 0. Shared modules, functions and in-place
    forms are all found. Source: Springenberg, Dosovitskiy, Brox and Riedmiller, arXiv 1412.6806.
    """
    found, seen = Parts(), [0]

    def guide(call: Call) -> Tensor:
        seen[0] += 1
        z = call.args[0]
        passed: Tensor = Guide.apply(z)  # type: ignore[no-untyped-call]
        result: Tensor = call.function(passed.clone(), *call.args[1:], **call.kwargs)
        guided: Tensor = Positive.apply(result)  # type: ignore[no-untyped-call]
        return guided

    handlers = dict.fromkeys(RECTIFIERS, guide)
    with opened(predictor, X, output) as entry:
        check_signs(entry, absolute)
        for point in entry.parts_of(batch_rows):
            outputs, slopes = entry.slopes(
                point, lambda: rewriting(entry.network, handlers, "guided backpropagation", strict=False)
            )
            found.values.append(sizes(entry, slopes) if absolute else signed(entry, slopes))
            found.outputs.append(outputs.cpu().numpy())
        if not seen[0]:
            raise InputError(
                "guided backpropagation needs a network with rectifiers (ReLU and the like)",
                type(entry.network).__name__,
                "use saliency",
            )
        return finish(entry, "guided_backprop", found, {"absolute": absolute})


class Positive(torch.autograd.Function):
    """The identity, whose gradient keeps what is above 0."""

    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        """Return y."""
        return y.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Return the part of the gradient above 0."""
        return grads[0].clamp(min=0)


class Guide(torch.autograd.Function):
    """The identity, whose gradient keeps what belongs to inputs above 0."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        """Return z."""
        ctx.save_for_backward(z > 0)
        return z.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Return the gradient where z > 0."""
        (above,) = ctx.saved_tensors
        passed: Tensor = grads[0] * above
        return passed
