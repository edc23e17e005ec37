"""All checks of an explanation at once, and what follows from them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.attribution import AttributionResult
from glia.explain.checks.agreement import agreement
from glia.explain.checks.case import Case
from glia.explain.checks.infidelity import infidelity
from glia.explain.checks.randomisation import randomisation
from glia.explain.checks.removal import removal_of
from glia.explain.checks.sensitivity import sensitivity
from glia.explain.entry import opened
from glia.explain.methods import Method, methods
from glia.explain.segments import in_segments

THRESHOLDS: dict[str, tuple[str, float, str]] = {
    "deletion gain": ("below", 0.0, "taking out what it calls important changes the output no more than chance does"),
    "insertion gain": ("below", 0.0, "putting in what it calls important changes the output no more than chance does"),
    "infidelity": ("above", 0.75, "its shares do not predict how the output changes"),
    "sensitivity": ("above", 0.5, "it changes by more than half when the row hardly changes"),
    "similarity after randomisation": ("above", 0.6, "it hardly changes when what the network learned is randomised"),
    "agreement": ("below", 0.2, "other methods say otherwise"),
}
"""Check → on which side of which figure it speaks against an explanation, and what is said then."""

ROUGH = 1e-3
"""Tolerance of the methods that an explanation is compared with."""


def check(
    predictor: Predictor,
    X: Any,
    method: str | Method = "integrated_gradients",
    *,
    background: Any = None,
    against: Sequence[str] = ("integrated_gradients", "input_x_gradient"),
    rows: int = 32,
    random_state: int = 0,
    **options: Any,
) -> AttributionResult:
    """Explain rows, and measure how far the explanation can be trusted.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        Whatever the predictor takes.
    method : str or callable
        A name, or any ``glia.explain`` method: (predictor, X, **options) → AttributionResult.
    background : rows, optional
        Handed to methods that take one; its mean stands in for what is taken out, instead of zeros.
    against : sequence of str
        Names of methods to compare with; itself, and those that cannot explain the network, are left out.
    rows : int
        The first so many rows are checked, at least 1; all are explained.
    random_state : int
        Of the checks.
    **options
        Of the method.

    Returns
    -------
    AttributionResult
        With ``checks``, and with ``warnings`` by ``THRESHOLDS``: "deletion gain" and "insertion gain" (0 is chance),
        "infidelity" (0 to 1; of signed explanations), "sensitivity", "similarity after randomisation" and "agreement"
        (rank correlation with the other methods). A check that cannot be made is left out.

    Raises
    ------
    InputError
        If the method is unknown or cannot explain the network.
    """
    if rows < 1:
        raise InputError("rows must be at least 1", f"rows={rows!r}")
    run = methods.get(method) if isinstance(method, str) else method
    if background is not None and "background" in inspect.signature(run).parameters:
        options["background"] = background
    result = run(predictor, X, **options)
    if len(result.values) > rows:
        X = X[:rows]
    if "tolerance" in inspect.signature(run).parameters:  # checks run the method many times and need no last digit
        options["tolerance"] = max(ROUGH, float(options.get("tolerance", ROUGH)))
    few = run(predictor, X, **options)
    checks = _measure(predictor, X, few, (run, options), background, random_state)
    alike = _agreement(predictor, X, few, run, against, options)
    if alike is not None:
        checks["agreement"] = alike
    return replace(result, checks={**result.checks, **checks}, warnings=(*result.warnings, *found_wanting(checks)))


def found_wanting(checks: dict[str, float]) -> tuple[str, ...]:
    """Return what measured checks say against an explanation, by ``THRESHOLDS``."""
    return tuple(text for name, (side, limit, text) in THRESHOLDS.items() if _speaks(checks, name, side, limit))


def _speaks(checks: dict[str, float], name: str, side: str, limit: float) -> bool:
    figure = checks.get(name)
    return figure is not None and (figure <= limit if side == "below" else figure > limit)


def _measure(
    predictor: Predictor,
    X: Any,
    result: AttributionResult,
    how: tuple[Method, dict[str, Any]],
    background: Any,
    random_state: int,
) -> dict[str, float]:
    run, options = how
    checks: dict[str, float] = {}
    with opened(predictor, X, options.get("output"), numbers=True) as entry:
        case = Case(entry, predictor, result, "zeros" if background is None else "mean", background)
        curves = removal_of(case, 3, random_state)
        checks["deletion gain"], checks["insertion gain"] = curves.deletion_gain, curves.insertion_gain
        if case.signed or result.residual is not None:
            checks["infidelity"] = infidelity(case, random_state=random_state)
        moved = sensitivity(lambda p: run(p, X, **options), predictor, X, entry, result, random_state=random_state)
        if moved is not None:
            checks["sensitivity"] = moved
        alike = randomisation(lambda p: run(p, X, **options), predictor, case, random_state=random_state)
        if alike is not None:
            checks["similarity after randomisation"] = alike
    return checks


def _agreement(
    predictor: Predictor,
    X: Any,
    result: AttributionResult,
    run: Method,
    against: Sequence[str],
    options: dict[str, Any],
) -> float | None:
    """Return the mean rank correlation with other methods, none where there is none or fewer than three values."""
    if result.values[0].size < 3 * result.outputs[0].size:
        return None
    found = []
    shared: dict[str, Any] = {name: options[name] for name in ("output", "background", "baseline") if name in options}
    for name in against:
        other = methods.get(name)
        if other is run:
            continue
        known = inspect.signature(other).parameters
        wanted: dict[str, Any] = {**shared, "tolerance": ROUGH}
        given = {key: value for key, value in wanted.items() if key in known}
        try:
            told = other(predictor, X, **given)
        except InputError:
            continue
        if told.values.shape == result.values.shape:
            pair = {"this": in_segments(result, result), name: in_segments(told, result)}
            found.append(agreement(pair).correlation[0, 1])
    return float(np.mean(found)) if found else None
