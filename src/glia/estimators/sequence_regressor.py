"""Regression on sequences: one quantity or several for each."""

from __future__ import annotations

from glia.estimators.regressor import Regressor
from glia.estimators.sequence_input import SequenceInput


class SequenceRegressor(SequenceInput, Regressor):
    """A network that predicts quantities from sequences, with the contract of ``Regressor``.

    Parameters
    ----------
    network, preparation
        As in ``SequenceClassifier``.
    **others
        As in ``Regressor``; ``members="auto"`` is one network.
    """
