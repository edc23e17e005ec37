"""What ``glia explain`` of pictures, sounds and sequences shares: options of the method, and what is predicted."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from glia.core.errors import InputError

if TYPE_CHECKING:
    from glia.cli.explain import ExplainSettings

BACKGROUND = 20
"""Most rows that stand for an unknown one."""


def row_options(method: Any, settings: ExplainSettings, background: Sequence[Any] | None = None) -> dict[str, Any]:
    """Return what the method takes of the settings.

    Raises
    ------
    InputError
        If something was asked for that the method does not have.
    """
    takes = inspect.signature(method).parameters
    options: dict[str, Any] = {}
    if settings.output is not None:
        options["output"] = settings.output
    if settings.space != "logit":
        options["space"] = settings.space
    for name in options:
        if name not in takes:
            raise InputError(f"{settings.method} must take --{name}", f"--{name}", "leave it out")
    # Integrated gradients start from the mean picture or sequence, which is what zeros are once prepared.
    if (
        background is not None
        and "background" in takes
        and settings.method not in ("integrated_gradients", "occlusion")
    ):
        options["background"] = background[: min(settings.background, BACKGROUND)]
    options |= {name: settings.seed for name in ("random_state", "seed") if name in takes}
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
