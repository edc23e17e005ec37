"""Classification of sequences: one class for each, or several labels."""

from __future__ import annotations

from typing import Any

import polars as pl

from glia.estimators.classifier import Classifier
from glia.estimators.sequence_input import SequenceInput, with_ids


class SequenceClassifier(SequenceInput, Classifier):
    """A network that tells sequences apart, with the contract of ``Classifier``.

    Rows are sequences of one or several channels, of one length or of different ones, with gaps: an array (N, T) or
    (N, T, C), a list of arrays (T,) or (T, C), or ``glia.data.series.sequences_of(table, id=…, time=…)``.

    Parameters
    ----------
    network : "auto", str, settings, nn.Module or factory
        "rnn", "gru", "lstm", "tcn", "sequence_transformer", their settings (``glia.nn.LSTM(hidden=32)``), or your own
        module: it gets (B, T, C + 1), the last channel being the mask (1 at real steps), and returns (B, O).
    preparation : "auto" or SequencePreparation
        How sequences become tensors.
    **others
        As in ``Classifier``; ``members="auto"`` is one network.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.sin(np.linspace(0, 6, 40) * np.linspace(1, 3, 60)[:, None])
    >>> SequenceClassifier(epochs=2).fit(X, np.arange(60) > 30).predict(X[:2]).shape
    (2,)
    """

    def predict_frame(self, X: Any) -> pl.DataFrame:
        """Return a frame with ``prediction`` and ``probability_<class>``; of a table with the ids before them."""
        return with_ids(super().predict_frame(X), X)
