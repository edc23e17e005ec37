"""Integrated gradients: the mean gradient on the way from a baseline, times the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.attribution import AttributionResult
from glia.explain.baselines import baselines
from glia.explain.entry import Entry, Point, opened
from glia.explain.finish import Parts, finish
from glia.explain.methods import methods
from glia.explain.path_integral import PathIntegral, quadrature
from glia.explain.stand_in import in_double


@methods.register("integrated_gradients", "expected_gradients")
def integrated_gradients(
    predictor: Predictor,
    X: Any,
    *,
    baseline: Any = "zeros",
    background: Any = None,
    output: int | str | Sequence[int | str] | None = None,
    tolerance: float = 1e-5,
    max_steps: int = 2048,
    quadrature_rule: str = "gauss_legendre",
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
        "zeros": the prepared row of zeros, and no category at all (the zero vector); "mean": the mean of the
        background; "rows": the average over paths from every row of the background (expected gradients); or one row.
    background : rows, optional
        For "mean" and "rows".
    output : int, str or sequence of them, optional
        The outputs to explain; all by default.
    tolerance : float
        > 0, of the residual of every path, as a share of the difference that it explains or of 1, whichever is larger.
        Paths are cut into more pieces until it is reached.
    max_steps : int
        Most gradients per path, at least 16; where they do not suffice, the result warns.
    quadrature_rule : {"gauss_legendre", "trapezoid"}
        In every piece.
    precise : bool
        In double precision, where the network runs in it (a copy does).
    batch_rows : int
        Rows in memory at a time.

    Returns
    -------
    AttributionResult
        With ``base`` and ``residual``; ``checks`` has "gradients per path" and "quadrature error", the largest sum of
        the sizes of residuals along a path before kinks were placed: an estimate of what may be wrong with single
        shares.

    Raises
    ------
    InputError
        If the network cannot be differentiated or a setting is wrong.

    Notes
    -----
    Sources: Sundararajan, Taly and Yan, arXiv 1703.01365; expected gradients: Erion et al., arXiv 1906.10670, here over
    every background row rather than a sample. Numbers that a network cuts into pieces (``numeric_embedding``) move on a
    straight line between their embeddings.
    """
    if not tolerance > 0 or max_steps < 16 or batch_rows < 1:
        got = f"tolerance={tolerance!r}, max_steps={max_steps!r}, batch_rows={batch_rows!r}"
        raise InputError("tolerance must be > 0, max_steps at least 16, batch_rows at least 1", got)
    rule = quadrature(quadrature_rule)
    found, steps, errors = Parts(), [], []
    with torch.inference_mode(False):
        acting = in_double(predictor, X) if precise else predictor
    with opened(acting, X, output, numbers=True) as entry:
        base = baselines(entry, acting, baseline, background)
        for rows in torch.split(entry.subject.x, max(1, batch_rows // len(base))):
            integral = _paths(entry, entry.at(rows), base, (rule, tolerance, max_steps, batch_rows), found)
            steps.append(integral.steps)
            errors.append(integral.error)
        count = torch.cat(steps)
        whole, start = np.concatenate(found.outputs), np.concatenate(found.base)
        shares = np.concatenate([v.sum(axis=tuple(range(1, v.ndim - 1))) for v in found.values])
        allowed = tolerance * np.maximum(1.0, np.abs(whole - start).max(axis=1, keepdims=True))
        short = int((np.abs(whole - start - shares) > allowed).any(axis=1).sum())
        warnings = (f"{short} rows miss the tolerance of {tolerance:g} after {max_steps} gradients",) if short else ()
        settings = {
            "baseline": baseline if isinstance(baseline, str) else "row",
            "rows": len(base),
            "tolerance": tolerance,
            "max_steps": max_steps,
            "quadrature_rule": quadrature_rule,
            "precise": acting is not predictor,
        }
        checks = {
            "gradients per path": float(count.double().mean()),
            "quadrature error": float(torch.cat(errors).max()),
        }
        return finish(entry, "integrated_gradients", found, settings, adds_up=True, checks=checks, warnings=warnings)


def _paths(entry: Entry, rows: Point, base: Point, how: tuple[Any, ...], found: Parts) -> PathIntegral:
    """Integrate from every baseline to every row and average over baselines."""
    many, several = len(rows), len(base)
    row_of = torch.arange(many, device=rows.x.device).repeat_interleave(several)
    base_of = torch.arange(several, device=rows.x.device).repeat(many)
    integral = PathIntegral(entry, rows.rows(row_of), base.rows(base_of), *how)
    shares, last, first = integral.run()

    def mean(values: Tensor) -> Tensor:
        return values.reshape(many, several, *values.shape[1:]).mean(1)

    found.values.append(entry.to_columns([mean(share) for share in shares]))
    found.outputs.append(mean(last).cpu().numpy())
    found.base.append(mean(first).cpu().numpy())
    return integral
