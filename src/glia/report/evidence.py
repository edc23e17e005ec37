"""Evidence for a run's record: pure functions from held-out rows and predictions to plain JSON data."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from glia.core.errors import InputError
from glia.core.results import jsonable
from glia.report.curves import curves
from glia.report.decisions import decided
from glia.report.groups import weak_groups
from glia.report.profile import data_profile
from glia.report.words import shorten

__all__ = ["curves", "data_profile", "decided", "hardest_rows", "weak_groups"]


def hardest_rows(
    frame: pl.DataFrame,
    y: ArrayLike,
    prediction: ArrayLike,
    probability: ArrayLike | None,
    losses: ArrayLike,
    k: int = 10,
    *,
    rows: ArrayLike | None = None,
) -> list[dict[str, Any]]:
    """Return the rows on which the network lost most, worst first.

    Parameters
    ----------
    frame : polars.DataFrame
        N held-out rows with their original columns.
    y, prediction : array-like
        (N,) or (N, T) true and predicted classes or values.
    probability : array-like or None
        (N,) of the second of two classes, or (N, C); None for values.
    losses : array-like
        (N,) loss of each row.
    k : int, default=10
        How many to return.
    rows : array-like, optional
        (N,) the rows' numbers in the source; by default their places in ``frame``.

    Returns
    -------
    list of dict
        ``row, truth, prediction, confidence`` (the largest probability, None for values), ``loss``, ``values``
        (column → value).

    Raises
    ------
    InputError
        If the lengths differ.
    """
    lost = np.asarray(losses, dtype=np.float64)
    true, guess = np.asarray(y), np.asarray(prediction)
    if not len(lost) == len(true) == len(guess) == frame.height:
        got = f"{len(lost)} losses, {len(true)} true and {len(guess)} predicted values for {frame.height} rows"
        raise InputError("rows, losses and predictions must be equally many", got)
    order = np.argsort(-np.nan_to_num(lost, nan=np.inf), kind="stable")[:k]
    sure = _confidence(probability)
    numbers = np.arange(len(lost)) if rows is None else np.asarray(rows)
    return [
        {
            "row": jsonable(numbers[i]),
            "truth": jsonable(true[i]),
            "prediction": jsonable(guess[i]),
            "confidence": None if sure is None else float(sure[i]),
            "loss": jsonable(float(lost[i])),
            "values": {name: _plain(value) for name, value in frame.row(int(i), named=True).items()},
        }
        for i in order
    ]


def _confidence(probability: ArrayLike | None) -> Any:
    if probability is None:
        return None
    scores = np.asarray(probability, dtype=np.float64)
    if scores.ndim == 1 or scores.shape[1] == 1:
        return np.maximum(scores.ravel(), 1 - scores.ravel())
    return scores.max(axis=1)


def _plain(value: Any) -> Any:
    plain = jsonable(value)
    return shorten(plain, 200) if isinstance(plain, (str, list, dict)) else plain
