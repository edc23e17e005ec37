"""What estimators of sequences share: how sequences are read and prepared, and what is chosen for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import clone

from glia.core.errors import InputError
from glia.data import Table
from glia.data.series import SequencePreparation, Sequences, from_nested
from glia.data.series.sequence_rows import MappedSequences, SequenceRows, sequences_in
from glia.estimators.by_length import by_length
from glia.estimators.choices import Choices
from glia.estimators.large_rows import LargeRows
from glia.estimators.own_choices import OwnChoices
from glia.estimators.sequence_choices import settle_sequences


class SequenceInput(LargeRows, OwnChoices):
    """Base of the estimators of sequences: they take what ``glia.data.series.as_sequences`` takes.

    Inside, sequences are an array (N, T, C + 1) with the mask as last channel; see ``SequencePreparation``.
    """

    preparation: Any
    _by_step = False
    _settled: Choices

    @property
    def feature_names(self) -> list[str]:
        """Names of the channels."""
        return list(self._sequences.channels_)

    @property
    def _sequences(self) -> SequencePreparation:
        found: Any = self.preparation_
        return found  # type: ignore[no-any-return]

    def _read_new(self, X: Any) -> Any:
        sequences = found_sequences(X)
        wanted = self.preparation
        if isinstance(wanted, str) or wanted is None:
            if wanted != "auto":
                raise InputError("preparation must be 'auto' or SequencePreparation(...)", f"preparation={wanted!r}")
            wanted = SequencePreparation()
        if not isinstance(wanted, SequencePreparation):
            got = type(wanted).__name__
            raise InputError("sequences need a SequencePreparation", got, "see glia.data.series")
        self._unfitted: SequencePreparation = clone(wanted)
        self._from_table = isinstance(X, Table)
        self.schema_ = X.schema if isinstance(X, Table) else None
        self.n_features_in_ = len(sequences.channels)
        return self._dense(sequences, self._unfitted.steps_for(sequences))

    def _read_known(self, X: Any) -> Any:
        if isinstance(X, SequenceRows):
            return X
        sequences = found_sequences(X)
        if not hasattr(self, "preparation_"):  # validation sequences, read before the fit
            if len(sequences.channels) != self.n_features_in_:
                got = f"{len(sequences.channels)} channels instead of {self.n_features_in_}"
                raise InputError("sequences must have the channels that are fitted", got)
            return self._dense(sequences, int(sequences.lengths.max()))
        return self._dense(self._sequences.check(sequences), self._sequences.length_)

    def _dense(self, sequences: Sequences | MappedSequences, steps: int) -> SequenceRows:
        """Return sequences as rows; nothing is laid out yet."""
        return SequenceRows(sequences, steps)

    def _fit_preparation(self, rows: Any, y: NDArray[Any], *, onehot: bool) -> Any:
        made: Any = self._unfitted
        prepared = made.fit_rows(rows, self._rows_folder())
        self.preparation_, self.layout_ = made, made.layout_
        return self._checked_rows(prepared)

    def _transform(self, rows: Any) -> NDArray[np.float32]:
        return self._sequences.transform_rows(rows)

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, validation: tuple[Any, Any] | None = None
    ) -> Any:
        """Fit to sequences.

        Parameters
        ----------
        X : Sequences, array (N, T) or (N, T, C), or list of arrays (T,) or (T, C)
            See ``glia.data.series.as_sequences``.
        y : array-like
            One target per sequence (for ``SequenceLabeler`` one label per step).
        sample_weight : array-like (N,), optional
            At least 0.
        validation : (X, y), optional
            Sequences for early stopping and calibration, instead of a share of ``X``.

        Raises
        ------
        InputError
            If the sequences, targets or settings cannot be used.
        TrainingError
            If the loss stops being finite.
        """
        if not self.warm_start and hasattr(self, "preparation_"):
            del self.preparation_  # validation sequences belong to the fit that is to come
        X = X if isinstance(X, (Table, pl.DataFrame)) else found_sequences(X)  # what is on disk stays there
        return super().fit(X, y, sample_weight, validation=validation)

    def _settle(self, params: dict[str, Any], rows: int) -> dict[str, Any]:
        settled, self._why = settle_sequences(
            params, rows=rows, task=self.task_, layout=self.layout_, by_step=self._by_step
        )
        return settled

    def _choose(self, params: dict[str, Any], rows: int, members: int) -> Choices:
        self._settled = super()._choose(params, rows, members)
        return self._settled

    def _drawn(self, train: Any) -> Any:
        drawn, why = by_length(super()._drawn(train), self._settled.network, self._settled.batch_size)
        if why:
            self._settled.why["order"] = {"value": "rows of like lengths together", "why": why}
        return drawn

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = True, True
        tags.input_tags.string = tags.input_tags.sparse = tags.input_tags.categorical = False
        return tags


def found_sequences(X: Any) -> Sequences | MappedSequences:
    """Return sequences: what ``sequences_in`` takes, and tables with a list of numbers per row and channel."""
    if isinstance(X, Table):
        return from_nested(X.frame.select(X.schema.names("sequence")))
    return from_nested(X) if isinstance(X, pl.DataFrame) else sequences_in(X)


def rows_of(X: Any) -> Sequences:
    """Return what ``found_sequences`` does, in memory."""
    found = found_sequences(X)
    return found.read() if isinstance(found, MappedSequences) else found


def with_ids(frame: pl.DataFrame, X: Any) -> pl.DataFrame:
    """Return predictions with a first column of what tells the sequences apart, where ``X`` says it."""
    if isinstance(X, Sequences) and X.ids:
        return frame.insert_column(0, pl.Series("id", list(X.ids), strict=False))
    names = X.schema.names("id") if isinstance(X, Table) else ()
    if not names or names[0] in frame.columns:
        return frame
    return frame.insert_column(0, X.frame[names[0]])
