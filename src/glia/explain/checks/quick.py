"""The checks that need an explanation's values only, not the method again: cheap enough for every result."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.attribution import AttributionResult
from glia.explain.checks.agreement import agreement
from glia.explain.checks.case import Case
from glia.explain.checks.infidelity import infidelity
from glia.explain.checks.removal import removal_of
from glia.explain.checks.run import ROUGH, found_wanting
from glia.explain.entry import opened
from glia.explain.methods import methods
from glia.explain.segments import in_segments

R = TypeVar("R", bound=AttributionResult)
AGAINST = ("integrated_gradients", "input_x_gradient")


def quick_check(
    predictor: Predictor,
    X: Any,
    result: R,
    *,
    background: Any = None,
    against: Sequence[str] = AGAINST,
    rows: int = 16,
    random_state: int = 0,
) -> R:
    """Return an explanation with the checks that can be made without explaining again.

    Parameters
    ----------
    predictor : Predictor
        What was explained.
    X : rows
        The explained rows.
    result : AttributionResult
        Their explanation.
    background : rows, optional
        Its mean stands in for what is taken out, instead of zeros.
    against : sequence of str
        Names of methods to compare with; those that cannot explain the network are left out.
    rows : int
        The first so many rows are checked, at least 1.
    random_state : int
        Of the checks.

    Returns
    -------
    AttributionResult
        With "deletion gain", "insertion gain", "infidelity" and "agreement" among its ``checks``, and ``warnings``
        where they are beyond ``glia.explain.checks.THRESHOLDS``. ``glia.explain.check`` adds sensitivity and
        randomisation, for which the method has to run many times. Shares of probabilities, and rows that cannot be
        opened (such as those of networks without derivatives), come back as they are.

    Raises
    ------
    InputError
        If ``rows`` is below 1.
    """
    if rows < 1:
        raise InputError("rows must be at least 1", f"rows={rows!r}")
    if result.unit == "probability":
        return result
    try:
        few, asked = _first(result, rows), X[:rows]
    except TypeError:  # rows of a kind that has no order
        return result
    output = list(result.output_names) or None
    checks: dict[str, float] = {}
    try:
        with opened(predictor, asked, output, numbers=True) as entry:
            case = Case(entry, predictor, few, "zeros" if background is None else "mean", background)
            curves = removal_of(case, 3, random_state)
            checks["deletion gain"], checks["insertion gain"] = curves.deletion_gain, curves.insertion_gain
            if case.signed or result.residual is not None:
                checks["infidelity"] = infidelity(case, random_state=random_state)
    except InputError:
        return result
    alike = _agreement(predictor, asked, few, output, background, against)
    if alike is not None:
        checks["agreement"] = alike
    return replace(result, checks={**result.checks, **checks}, warnings=(*result.warnings, *found_wanting(checks)))


def _first(result: AttributionResult, rows: int) -> AttributionResult:
    return replace(
        result, values=result.values[:rows], outputs=result.outputs[:rows],
        base=None if result.base is None else result.base[:rows],
    )  # fmt: skip


def _agreement(
    predictor: Predictor,
    X: Any,
    result: AttributionResult,
    output: list[str] | None,
    background: Any,
    against: Sequence[str],
) -> float | None:
    """Return the mean rank correlation with other methods; ``None`` where there is none, or few values."""
    if result.values[0].size < 3 * result.outputs[0].size:
        return None
    found = []
    for name in against:
        if name == result.method:
            continue
        other = methods.get(name)
        known = inspect.signature(other).parameters
        wanted: dict[str, Any] = {"output": output, "background": background, "tolerance": ROUGH}
        given = {key: value for key, value in wanted.items() if key in known and value is not None}
        try:
            told = other(predictor, X, **given)
        except InputError:
            continue
        if told.values.shape == result.values.shape:
            pair = {"this": in_segments(result, result), name: in_segments(told, result)}
            found.append(agreement(pair).correlation[0, 1])
    return float(np.mean(found)) if found else None
