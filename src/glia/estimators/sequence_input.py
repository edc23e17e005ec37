"""What estimators of sequences share: how sequences are read and prepared, and what is chosen for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import clone

from glia.core.errors import InputError
from glia.data import Table
from glia.data.series import SequencePreparation, Sequences, as_sequences, from_nested
from glia.engine.rows import Rows
from glia.estimators.by_length import by_length
from glia.estimators.choices import Choices
from glia.estimators.inputs import RowsIn
from glia.estimators.own_choices import OwnChoices
from glia.estimators.sequence_choices import settle_sequences


class SequenceInput(OwnChoices):
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

    def _read_new(self, X: Any) -> RowsIn:
        sequences = rows_of(X)
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
        self.n_features_in_ = sequences.values.shape[1]
        self._channels = sequences.channels
        return self._dense(sequences, self._unfitted.steps_for(sequences))

    def _read_known(self, X: Any) -> RowsIn:
        sequences = rows_of(X)
        if not hasattr(self, "preparation_"):  # validation sequences, read before the fit
            if sequences.values.shape[1] != self.n_features_in_:
                got = f"{sequences.values.shape[1]} channels instead of {self.n_features_in_}"
                raise InputError("sequences must have the channels that are fitted", got)
            return self._dense(sequences, int(sequences.lengths.max()))
        return self._dense(self._sequences.check(sequences), self._sequences.length_)

    def _dense(self, sequences: Sequences, steps: int) -> NDArray[np.float64]:
        return sequences.dense(steps)

    def _fit_preparation(self, rows: RowsIn, y: NDArray[Any], *, onehot: bool) -> NDArray[np.float32]:
        made: Any = self._unfitted.fit_dense(np.asarray(rows), self._channels)
        self.preparation_, self.layout_ = made, made.layout_
        return made.transform_dense(np.asarray(rows))  # type: ignore[no-any-return]

    def _transform(self, rows: RowsIn) -> NDArray[np.float32]:
        return self._sequences.transform_dense(fitted_length(np.asarray(rows), self._sequences.length_))

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
        return super().fit(X, y, sample_weight, validation=validation)

    def _settle(self, params: dict[str, Any], rows: int) -> dict[str, Any]:
        settled, self._why = settle_sequences(
            params, rows=rows, task=self.task_, layout=self.layout_, by_step=self._by_step
        )
        return settled

    def _choose(self, params: dict[str, Any], rows: int, members: int) -> Choices:
        self._settled = super()._choose(params, rows, members)
        return self._settled

    def _drawn(self, train: Rows) -> Rows:
        drawn, why = by_length(super()._drawn(train), self._settled.network, self._settled.batch_size)
        if why:
            self._settled.why["order"] = {"value": "rows of like lengths together", "why": why}
        return drawn

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = True, True
        tags.input_tags.string = tags.input_tags.sparse = tags.input_tags.categorical = False
        return tags


def rows_of(X: Any) -> Sequences:
    """Return sequences: what ``as_sequences`` takes, and tables with a list of numbers per row and channel."""
    if isinstance(X, Table):
        return from_nested(X.frame.select(X.schema.names("sequence")))
    return from_nested(X) if isinstance(X, pl.DataFrame) else as_sequences(X)


def with_ids(frame: pl.DataFrame, X: Any) -> pl.DataFrame:
    """Return predictions with a first column of what tells the sequences apart, where ``X`` says it."""
    if isinstance(X, Sequences) and X.ids:
        return frame.insert_column(0, pl.Series("id", list(X.ids), strict=False))
    names = X.schema.names("id") if isinstance(X, Table) else ()
    if not names or names[0] in frame.columns:
        return frame
    return frame.insert_column(0, X.frame[names[0]])


def fitted_length(dense: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Return sequences (N, T, C + 1) with the mask last as (N, steps, C + 1): padded, or their last steps."""
    if dense.shape[1] == steps:
        return dense
    lengths = (dense[..., -1] > 0.5).sum(axis=1)
    kept = np.minimum(lengths, steps)
    out = np.zeros((len(dense), steps, dense.shape[2]))
    where = np.arange(steps)[None, :] < kept[:, None]
    source = (lengths - kept)[:, None] + np.arange(steps)[None, :]
    rows = np.broadcast_to(np.arange(len(dense))[:, None], where.shape)
    out[where] = dense[rows[where], source[where]]
    return out
