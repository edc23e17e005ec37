"""What ``glia explain`` shares over the kinds of data: options of the method, and what is predicted."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from glia.core.errors import InputError

if TYPE_CHECKING:
    from glia.cli.explain import ExplainSettings

BACKGROUND = 20
"""Most rows that stand for an unknown one."""


def asked_options(method: Any, settings: ExplainSettings, wanted: Any = None) -> dict[str, Any]:
    """Return what was asked for and the one seed, by the names of the method's parameters.

    Parameters
    ----------
    method : callable
    settings : ExplainSettings
    wanted : object, optional
        The wanted answer as the method takes it; by default as it was written.

    Raises
    ------
    InputError
        If something was asked for that the method does not have.
    """
    takes = inspect.signature(method).parameters
    asked = {
        "output": settings.output,
        "space": None if settings.space == "logit" else settings.space,
        "column": settings.column,
        "target": settings.wanted if wanted is None else wanted,
        "immutable": settings.immutable or None,
    }
    options = {name: value for name, value in asked.items() if value is not None}
    for name in options:
        if name not in takes:
            flag = "wanted" if name == "target" else name
            raise InputError(f"{settings.method} must take --{flag}", f"--{flag}", "leave it out")
    return options | {name: settings.seed for name in ("random_state", "seed") if name in takes}


def row_options(method: Any, settings: ExplainSettings, background: Sequence[Any] | None = None) -> dict[str, Any]:
    """Return what a method for pictures, sounds or sequences takes of the settings."""
    options = asked_options(method, settings)
    # Integrated gradients start from the mean picture or sequence, which is what zeros are once prepared.
    own_start = settings.method in ("integrated_gradients", "occlusion")
    if background is not None and not own_start and "background" in inspect.signature(method).parameters:
        options["background"] = background[: min(settings.background, BACKGROUND)]
    return options


def same_space(result: Any) -> bool:
    """Tell whether the explained outputs are those that removal looks at."""
    return bool(result.unit != "probability")


def answers(model: Any, rows: Any, result: Any) -> tuple[list[str], list[int]]:
    """Return what is predicted in words, and which explained output is shown of each row: the predicted class's."""
    if model.task_ == "regression":
        return [f"{float(value):.4g}" for value in model.predict(rows)], [0] * len(rows)
    probability = model.predict_proba(rows)
    decided = model.decide(probability)
    names = [str(one) for one in model.classes_.tolist()]
    if model.task_ == "multilabel":
        return [str(one) for one in decided.tolist()], [0] * len(rows)
    best = [names.index(str(one)) for one in decided.tolist()]
    said = [f"{names[i]} ({probability[row, i]:.0%})".replace("%", " %") for row, i in enumerate(best)]
    shown = [result.output_names.index(names[i]) if names[i] in result.output_names else 0 for i in best]
    return said, shown
