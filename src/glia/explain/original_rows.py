"""Rows as people have them, for methods that write new values into them: a frame, and back to what was handed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.data.frames import to_frame


@dataclass(frozen=True)
class OriginalRows:
    """A table and the form in which its predictor takes it.

    Parameters
    ----------
    frame : polars.DataFrame
        (N, C), with the predictor's names of columns.
    array : bool
        Whether the predictor is handed arrays.
    """

    frame: pl.DataFrame
    array: bool

    def given(self, frame: pl.DataFrame) -> Any:
        """Return rows like these as the predictor takes them."""
        return frame.to_numpy() if self.array else frame


def original_rows(predictor: Predictor, X: Any) -> OriginalRows:
    """Return rows as a frame.

    Raises
    ------
    InputError
        If they are no table.
    """
    array = not hasattr(X, "columns") and not hasattr(X, "frame")
    if isinstance(X, Tensor):
        X = X.detach().cpu().numpy()
    if array and np.ndim(X) != 2:
        raise InputError("rows must be a table", f"an array of {np.ndim(X)} axes", "hand in (rows, columns)")
    frame = to_frame(X)
    names = list(predictor.feature_names)
    if array and len(names) == frame.width:
        frame = frame.rename(dict(zip(frame.columns, map(str, names), strict=True)))
    return OriginalRows(frame, array)
