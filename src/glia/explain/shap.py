"""Shapley values of a network's original columns: one front door to four ways of computing them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glia.core.errors import InputError, near
from glia.core.protocols import Predictor
from glia.explain.attribution import AttributionResult
from glia.explain.backgrounds import MOST, background_rows
from glia.explain.methods import methods
from glia.explain.shapley_exact import MOST_PLAYERS, shapley_exact
from glia.explain.shapley_game import Game, make_game
from glia.explain.shapley_gradient import expected_gradients
from glia.explain.shapley_kernel import shapley_kernel
from glia.explain.shapley_permutation import shapley_permutation
from glia.explain.subject import Subject, subject
from glia.nn.modes import evaluating

Floats = NDArray[np.float64]
WAYS = ("auto", "exact", "permutation", "kernel", "gradient")
ALL_COALITIONS = 1 << 17
"""Up to so many network rows for each explained row, "auto" takes all coalitions."""
WIDE = 256
"""From more columns than this, "auto" takes gradients."""
NOISE = 0.25
"""Standard errors in relation to the values, above which the result says that it should not be relied upon."""


@methods.register("shap")
def shap(
    predictor: Predictor,
    X: Any,
    *,
    background: Any = None,
    method: str = "auto",
    output: int | str | Sequence[int | str] | None = None,
    space: str = "logit",
    groups: Mapping[str, Sequence[str]] | None = None,
    evaluations: int | None = None,
    max_background: int = MOST,
    random_state: int = 0,
) -> AttributionResult:
    """Shapley values: fair shares of each original column in the output, which add up to it.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        N rows to explain, as the predictor takes them.
    background : rows or int, optional
        What a column is when it is not known: rows as the predictor takes them, best from training, or how many of the
        explained rows. By default the explained rows stand in, as ``settings["background"]`` of the result says.
    method : {"auto", "exact", "permutation", "kernel", "gradient"}
        "exact" takes all coalitions of up to 16 columns; "permutation" random orders with their reverses; "kernel" a
        regression over random coalitions; "gradient" expected gradients, for images and other large inputs. "auto" is
        exact where that is cheap, gradients for inputs that are no vectors or have more than 256 columns, else
        permutation.
    output : int, str or sequence of them, optional
        Outputs to explain, by position or name; all of them by default.
    space : {"logit", "probability"}
        What of a classifier is shared out. Shares of a probability depend on how near it is to 0 or 1.
    groups : mapping, optional
        Name → columns that are one player; others stay alone. With it, more columns can be explained exactly.
    evaluations : int, optional
        About how many network rows are spent on each explained row; each method has its default.
    max_background : int
        More background rows than this are thinned out by chance.
    random_state : int
        Seed of everything drawn. What is drawn does not depend on the rows beside a row.

    Returns
    -------
    AttributionResult
        ``values`` (N, C), or (N, C, O) for several outputs; for images (N, *shape[, O]).

    Raises
    ------
    InputError
        If rows, background or settings cannot be used.

    Notes
    -----
    The game is the interventional one: columns outside of a coalition take their values from a background row (arXiv
    1705.07874, 1910.13413). Players are original columns: one-hot columns, embedded codes and the parts of a date
    switch together. Where a network begins with a linear layer, each column's share of that layer's sums is computed
    once, and coalitions are sums of those. Values add up to the output minus the mean output of the background, up to
    rounding. The network's weights and modes stay as they are.
    """
    begun = time.perf_counter()
    _check(method, evaluations)
    with evaluating(predictor.network_):
        seen = subject(predictor, X, output=output, space=space)
        rows, source = background_rows(predictor, seen.x, background, max_background, random_state)
        way = method
        if way == "auto":
            way = "gradient" if groups is None and _large(seen) else "columns"
        if way == "gradient":
            found = _by_gradients(seen, rows, evaluations, random_state)
        else:
            game = make_game(seen, rows, predictor.network_, groups)
            found = _by_game(game, way, evaluations, random_state)
    found["settings"] = {
        **found["settings"],
        "background": source,
        "space": seen.unit,
        "random_state": random_state,
        **({"groups": {name: list(columns) for name, columns in groups.items()}} if groups else {}),
    }
    return AttributionResult(
        method="shap",
        output_names=seen.output_names,
        unit=seen.unit,
        seconds=time.perf_counter() - begun,
        **found,
    )


def _check(method: str, evaluations: int | None) -> None:
    if method not in WAYS:
        raise InputError(f"method must be one of {', '.join(WAYS)}", f"method={method!r}", near(str(method), WAYS))
    if evaluations is not None and evaluations < 1:
        raise InputError("evaluations must be at least 1", f"evaluations={evaluations}", "leave it out, or give more")


def _large(seen: Subject) -> bool:
    """Whether gradients are the way: no columns at all, or very many, and all of them with derivatives."""
    return not seen.groups or (len(seen.groups) > WIDE and not seen.layout.indices("code"))


def _by_game(game: Game, way: str, evaluations: int | None, random_state: int) -> dict[str, Any]:
    if way == "columns":
        cheap = game.players <= MOST_PLAYERS and 2**game.players * len(game.background) <= ALL_COALITIONS
        way = "exact" if cheap else "permutation"
    error: Floats | None = None
    if way == "exact":
        values = shapley_exact(game)
    elif way == "permutation":
        values, error = shapley_permutation(game, evaluations, random_state)
    else:
        values, error = shapley_kernel(game, evaluations, random_state)
    base = np.broadcast_to(game.base, game.full.shape)
    alone = game.names == game.subject.feature_names
    parts = _parts(game.subject, values, error, game.full, base, axis=1)
    return parts | {
        "feature_names": game.names,
        "data": game.subject.data if alone else None,
        "settings": {"method": way, "way through the network": "whole" if game.layer is None else "sums by column"},
        "evaluations": game.evaluations,
    }


def _by_gradients(seen: Subject, rows: Tensor, evaluations: int | None, random_state: int) -> dict[str, Any]:
    found = expected_gradients(seen, rows, evaluations, random_state)
    values, error = found.values, found.error
    if seen.groups:
        values, error = seen.fold(values), np.sqrt(seen.fold(error**2))
    base = np.broadcast_to(found.empty.mean(axis=0), found.full.shape)
    parts = _parts(seen, values, error, found.full, base, axis=tuple(range(1, values.ndim - 1)))
    parts["checks"] = {**parts["checks"], "largest gap before the correction": found.gap}
    return parts | {
        "feature_names": seen.feature_names,
        "data": seen.data,
        "settings": {"method": "gradient"},
        "evaluations": found.evaluations,
    }


def _parts(
    seen: Subject, values: Floats, error: Floats | None, full: Floats, base: Floats, axis: int | tuple[int, ...]
) -> dict[str, Any]:
    """Return the fields of the result that every method fills in, and what they say about its trustworthiness."""
    residual = full - base - values.sum(axis=axis)
    checks = {"largest gap to the output": float(np.abs(residual).max())}
    warnings: tuple[str, ...] = ()
    if error is not None:
        sizes = float(np.abs(values).mean())
        noise = float(error.mean()) / sizes if sizes else 0.0
        checks |= {"largest standard error": float(error.max()), "standard error / size, means": noise}
        if noise > NOISE:
            warnings = (f"standard errors are {noise:.0%} of the values on average: give more evaluations",)
    return {
        "values": seen.shaped(values),
        "outputs": seen.shaped(full),
        "base": seen.shaped(np.ascontiguousarray(base)),
        "residual": seen.shaped(residual),
        "standard_error": None if error is None else seen.shaped(error),
        "checks": checks,
        "warnings": warnings,
    }
