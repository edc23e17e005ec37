"""Input × gradient: what each input would contribute, were the network linear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glia.core.protocols import Predictor
from glia.explain.attribution import AttributionResult
from glia.explain.entry import opened
from glia.explain.finish import Parts, finish
from glia.explain.methods import methods
from glia.explain.saliency import times_input


@methods.register("input_x_gradient")
def input_x_gradient(
    predictor: Predictor,
    X: Any,
    *,
    output: int | str | Sequence[int | str] | None = None,
    batch_rows: int = 256,
) -> AttributionResult:
    """Return each input times its gradient; of embedded columns, the sum over their vector.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        Whatever the predictor takes.
    output : int, str or sequence of them, optional
        The outputs to explain; all by default.
    batch_rows : int
        Rows in memory at a time.

    Returns
    -------
    AttributionResult
        Its residual is what is missing to the output: 0 for networks without biases whose activations are linear on
        either side of 0.

    Raises
    ------
    InputError
        If the network cannot be differentiated.

    Notes
    -----
    Source: Shrikumar, Greenside, Shcherbina and Kundaje, arXiv 1605.01713.
    """
    found = Parts()
    with opened(predictor, X, output, numbers=True) as entry:
        for point in entry.parts_of(batch_rows):
            outputs, slopes = entry.slopes(point)
            found.values.append(times_input(entry, point.tensors, slopes))
            found.outputs.append(outputs.cpu().numpy())
        return finish(entry, "input_x_gradient", found, {}, adds_up=True)
