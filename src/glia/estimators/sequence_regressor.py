"""Regression on sequences: one quantity or several for each."""

from __future__ import annotations

from typing import Any

import polars as pl

from glia.estimators.regressor import Regressor
from glia.estimators.sequence_input import SequenceInput, with_ids


class SequenceRegressor(SequenceInput, Regressor):
    """A network that predicts quantities from sequences, with the contract of ``Regressor``.

    Parameters
    ----------
    network, preparation
        As in ``SequenceClassifier``.
    **others
        As in ``Regressor``; ``members="auto"`` is one network.
    """

    def predict_frame(self, X: Any) -> pl.DataFrame:
        """Return the frame of ``Regressor.predict_frame``; of a table with the ids before it."""
        return with_ids(super().predict_frame(X), X)
