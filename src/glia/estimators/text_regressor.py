"""Regression on texts: one quantity or several for each."""

from __future__ import annotations

from glia.estimators.regressor import Regressor
from glia.estimators.text_inputs import TextInputs


class TextRegressor(TextInputs, Regressor):
    """A network that predicts quantities from texts, with the contract of ``Regressor``.

    Parameters
    ----------
    network, preparation
        As in ``TextClassifier``.
    **others
        As in ``Regressor``; ``members="auto"`` is one network.
    """
