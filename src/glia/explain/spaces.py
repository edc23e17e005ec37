"""In which units an output is explained: raw scores, or the probabilities that a classifier reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from glia.core.errors import InputError, near
from glia.estimators.rebalance import offset_of

SPACES = ("logit", "probability")


def link(predictor: Any, space: str) -> Callable[[Tensor], Tensor]:
    """Return what turns raw outputs (B, O) into those of a space, (B, O), differentiably.

    Parameters
    ----------
    predictor : Predictor
        Of an estimator of Glia's, probabilities are those of ``predict_proba``: its temperature and its correction for
        rebalanced classes are applied.
    space : {"logit", "probability"}
        Raw scores as they are, or probabilities; two classes have one, that of the second class.

    Raises
    ------
    InputError
        If there is no such space, or a regression is to give probabilities.
    """
    if space not in SPACES:
        raise InputError("space must be 'logit' or 'probability'", f"space={space!r}", near(str(space), SPACES))
    if space == "logit":
        return lambda raw: raw
    task = predictor.task_
    if task == "regression":
        raise InputError("probabilities need classes", "space='probability' with a regression", "leave space out")
    temperature = float(getattr(predictor, "temperature_", 1.0) or 1.0)
    offset = offset_of(getattr(predictor, "factors_", None), task)

    def apply(raw: Tensor) -> Tensor:
        scores = raw / temperature
        if offset is not None:
            scores = scores + torch.as_tensor(offset, dtype=scores.dtype, device=scores.device)
        return scores.softmax(-1) if task == "multiclass" else scores.sigmoid()

    return apply
