"""What estimators of texts share: how texts are read and prepared, and what is chosen for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from glia.core.errors import InputError
from glia.data import Table
from glia.data.stream import Stream
from glia.data.texts import TextPreparation, as_texts
from glia.data.texts.rows import COLUMN, text_column
from glia.estimators.inputs import RowsIn
from glia.estimators.large_rows import LargeRows
from glia.estimators.own_choices import OwnChoices
from glia.estimators.text_choices import settle_texts
from glia.nn import Backbone


class TextInputs(LargeRows, OwnChoices):
    """Base of estimators of texts: they take what ``glia.data.texts.as_texts`` takes.

    Inside, texts are an array (N, T, 2) of token numbers and mask; see ``TextPreparation``.
    """

    preparation: Any

    @property
    def feature_names(self) -> list[str]:
        """The one input: the text."""
        return [COLUMN]

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, validation: tuple[Any, Any] | None = None
    ) -> Any:
        """Fit to texts.

        Parameters
        ----------
        X : list, array or column of N strings, or a table with one such column
            Missing texts are empty.
        y : array-like
            Targets.
        sample_weight : array-like (N,), optional
            At least 0.
        validation : (X, y), optional
            Texts for early stopping and calibration, instead of a share of ``X``.

        Raises
        ------
        InputError
            If texts, targets or settings cannot be used.
        TrainingError
            If the loss stops being finite.
        """
        if isinstance(X, Stream):
            raise InputError("texts are read into memory", "a Stream", "hand in a list of strings")
        return super().fit(X, y, sample_weight, validation=validation)

    def _read_new(self, X: Any) -> RowsIn:
        self._from_table = isinstance(X, Table)
        self.schema_ = X.schema if isinstance(X, Table) else None
        self.n_features_in_ = 1
        name = text_column(X)
        if name is not None:
            self.feature_names_in_ = np.array([name], dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_  # of a fit before
        return as_texts(X)

    def _read_known(self, X: Any) -> RowsIn:
        named = getattr(self, "feature_names_in_", None)
        return as_texts(X, None if named is None else str(named[0]))

    def _fit_preparation(self, rows: RowsIn, y: NDArray[Any], *, onehot: bool) -> Any:
        wanted = self.preparation
        if isinstance(wanted, str) and wanted == "auto":
            wanted = TextPreparation()
        if not isinstance(wanted, TextPreparation):
            got = f"preparation={wanted!r}"
            raise InputError("preparation must be 'auto' or TextPreparation(...)", got, "see glia.data.texts")
        made = clone(wanted)
        network = self.network
        if wanted.tokenizer == "auto" and isinstance(network, Backbone) and network.folder is not None:
            made.set_params(tokenizer=network.folder, hub=network.hub)
        kept: Any = made
        prepared = kept.fit_rows(rows, self._rows_folder())
        self.preparation_, self.layout_ = kept, made.layout_
        return self._checked_rows(prepared)

    def _complete(self, rows: RowsIn) -> None:
        return None

    def _transform(self, rows: RowsIn) -> NDArray[Any]:
        prepared: Any = self.preparation_
        return prepared.transform(rows)  # type: ignore[no-any-return]

    def _settle(self, params: dict[str, Any], rows: int) -> dict[str, Any]:
        settled, self._why = settle_texts(params, rows=rows)
        return settled

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.sparse = tags.input_tags.categorical = False
        tags.input_tags.string = True
        return tags
