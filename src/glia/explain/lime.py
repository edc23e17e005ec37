"""Local linear models of a network, for tables, texts and images: one front door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.explain.lime_images import lime_images
from glia.explain.lime_model import LimeResult, Plan
from glia.explain.lime_table import lime_table
from glia.explain.lime_text import lime_text
from glia.explain.methods import methods


@methods.register("lime")
def lime(
    predictor: Predictor,
    X: Any,
    *,
    background: Any = None,
    output: int | str | Sequence[int | str] | None = None,
    space: str = "logit",
    samples: int = 1000,
    repeats: int = 5,
    until_stable: bool = False,
    features: int | None = None,
    selection: str = "largest",
    random_state: int = 0,
    **options: Any,
) -> LimeResult:
    """Explain by local linear models, and say how well they fit and how stable they are.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows, a text, or images
        What to explain, as the predictor takes it; one text.
    background : rows or int, optional
        For tables: where means, spreads and replacements come from, as in ``glia.explain.shap``.
    output : int, str or sequence of them, optional
        Outputs to explain, by position or name; all of them by default.
    space : {"logit", "probability"}
        What of a classifier is explained.
    samples : int
        Neighbours of each row in each repeat, at least 10.
    repeats : int
        Independent repeats, at least 2; values are their means, standard errors come from their differences.
    until_stable : bool
        Double the samples, at most six times, until repeats rank the inputs alike (Spearman correlation of 0.95) or
        standard errors are below 2 % of the largest value.
    features : int, optional
        Most inputs with a share; others get 0.
    selection : {"largest", "lasso"}
        How these inputs are chosen: by size, or by the order in which they enter on the lasso's path.
    random_state : int
        Seed of all that is drawn.
    **options
        Of ``lime_table`` (``spread``, ``kernel_width``, ``max_background``), ``lime_text`` (``mask``) or
        ``lime_images`` (``segments``, ``fill``).

    Returns
    -------
    LimeResult

    Raises
    ------
    InputError
        If rows or settings cannot be used.
    """
    plan = Plan(samples, repeats, until_stable, features, selection, random_state)
    common: dict[str, Any] = {"output": output, "space": space, "plan": plan}
    if isinstance(X, (list, tuple)) and len(X) and all(isinstance(one, str) for one in X):
        if len(X) > 1:
            raise InputError("texts are explained one at a time", f"{len(X)} texts", "call it for each of them")
        X = X[0]
    if isinstance(X, str):
        return lime_text(predictor, X, **common, **options)
    shape = tuple(predictor.prepare(X).shape)
    if len(shape) == 4:
        return lime_images(predictor, X, **common, **options)
    return lime_table(predictor, X, background=background, **common, **options)
