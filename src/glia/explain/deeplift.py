"""DeepLIFT: differences from a baseline, handed back through the network by its rescale rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from glia.core.protocols import Predictor
from glia.explain.attribution import AttributionResult
from glia.explain.baselines import baselines, known
from glia.explain.deeplift_rules import Multipliers
from glia.explain.entry import Entry, Point, opened
from glia.explain.finish import Parts, finish
from glia.explain.methods import methods
from glia.explain.saliency import times_input
from glia.explain.stand_in import in_double
from glia.explain.subject import Floats

INCOMPLETE = 1e-3
"""Largest residual, as a share of the largest difference explained (or of 1)."""


@methods.register("deeplift")
def deeplift(
    predictor: Predictor,
    X: Any,
    *,
    baseline: Any = "zeros",
    background: Any = None,
    output: int | str | Sequence[int | str] | None = None,
    precise: bool = True,
    batch_rows: int = 256,
) -> AttributionResult:
    """Return each input's share of the difference between a row's output and its baseline's.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        Whatever the predictor takes.
    baseline : {"zeros", "mean", "rows"} or rows
        What differences are from: see ``glia.explain.integrated_gradients``. "rows" averages over the background.
    background : rows, optional
        For "mean" and "rows".
    output : int, str or sequence of them, optional
        The outputs to explain; all by default.
    precise : bool
        In double precision, where the network runs in it (a copy does).
    batch_rows : int
        Rows in memory at a time; a row takes the place of two.

    Returns
    -------
    AttributionResult
        With ``base`` and ``residual``, which is 0 but for rounding.

    Raises
    ------
    InputError
        If an operation of the network has no rule; the message names it and its module.

    Notes
    -----
    Shared activation modules, activations as functions or operators, in-place operations, norms, gates, recurrent
    layers and attention are all taken into account. What is not: a choice that the network makes by comparing values
    that vary (``torch.where(x > 0, …)``, sorting) and functions outside of torch; the residual shows it, and above
    ``INCOMPLETE`` the result warns.

    Source: Shrikumar, Greenside and Kundaje, arXiv 1704.02685.
    """
    found = Parts()
    with torch.inference_mode(False):
        acting = in_double(predictor, X) if precise else predictor
    with opened(acting, X, output) as entry:
        base = baselines(entry, acting, baseline, background)
        for point in entry.parts_of(max(1, batch_rows // 2)):
            shares, starts = [], []
            for number in range(len(base)):
                values, outputs, start = _differences(entry, point, base.rows(slice(number, number + 1)))
                shares.append(values)
                starts.append(start)
            found.values.append(np.mean(shares, axis=0))
            found.base.append(np.mean(starts, axis=0))
            found.outputs.append(outputs)
        residual = np.concatenate(
            [
                o - b - v.sum(axis=tuple(range(1, v.ndim - 1)))
                for o, b, v in zip(found.outputs, found.base, found.values, strict=True)
            ]
        )
        moved = max(float(np.abs(o - b).max()) for o, b in zip(found.outputs, found.base, strict=True))
        share = float(np.abs(residual).max()) / max(1.0, moved)
        warnings = (f"shares miss {share:.1%} of the difference that they explain",) if share > INCOMPLETE else ()
        settings = {
            "baseline": baseline if isinstance(baseline, str) else "row",
            "rows": len(base),
            "precise": acting is not predictor,
        }
        return finish(entry, "deeplift", found, settings, adds_up=True, warnings=warnings)


def _differences(entry: Entry, point: Point, base: Point) -> tuple[Floats, Floats, Floats]:
    """Return shares (B, C, O), outputs (B, O) and the baseline's outputs (B, O) for one baseline."""
    rows = len(point)
    start = [b.expand(rows, *b.shape[1:]).clone() for b in base.tensors]
    start[0] = known(start[0], point.x)
    codes = entry.codes
    if bool(codes.any()):
        start[0] = torch.where(codes, point.x, start[0])
    multipliers = Multipliers(entry.network)
    free = [t.requires_grad_(t.is_floating_point()) for t in start]
    given = [t.view_as(t) for t in free]
    with multipliers.noting():
        first = entry.score(Point(given[0], tuple(given[1:]))).detach().double().cpu().numpy()
    outputs, slopes = entry.slopes(point, multipliers.using)
    change = [(now - before.detach()) for now, before in zip(point.tensors, start, strict=True)]
    return times_input(entry, change, slopes), outputs.cpu().numpy(), first
