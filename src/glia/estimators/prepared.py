"""What all estimators share: reading rows, the schema of frames, and their preparation into a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone, is_classifier

import glia.estimators.autoencoder_training  # noqa: F401  # lets preparations learn autoencoders
from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.data import Schema, Table, learn_schema, unify
from glia.data.preparation import Preparation
from glia.estimators.choices import BINNED_COLUMNS, BINNED_ROWS, bins_for, changes_of
from glia.estimators.inputs import RowsIn, read_rows, refuse_files
from glia.nn.numeric_embeddings import BY_BINS


class PreparedEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Base of estimators that take rows as they come.

    Attributes
    ----------
    schema_ : Schema or None
        Roles of the columns where frames were fitted; ``None`` for arrays of numbers.
    preparation_ : Preparation or None
        Fitted on training rows only; ``None`` where arrays go to the network as they are.
    layout_ : Layout
        Meaning of the prepared columns.
    """

    preparation: Any
    schema_: Schema | None
    preparation_: Preparation | None
    layout_: Layout
    _from_table: bool

    @property
    def feature_names(self) -> list[str]:
        """Names of the original columns that are used."""
        if self.schema_ is not None:
            return list(self.schema_.inputs())
        named = getattr(self, "feature_names_in_", None)
        return [f"x{i}" for i in range(self.n_features_in_)] if named is None else [str(name) for name in named]

    def _read_new(self, X: Any) -> RowsIn:
        """Read rows to learn from; frames get a schema."""
        self._from_table = isinstance(X, Table)
        if isinstance(X, Table):
            refuse_files(X.schema, is_classifier(self))
            self.schema_ = X.schema
            frame = unify(X.frame, X.schema).select(X.schema.inputs())
            self.n_features_in_ = frame.width
            self.feature_names_in_ = np.array(frame.columns, dtype=object)
            return frame
        rows = read_rows(self, X, reset=True)
        self.schema_ = None
        if isinstance(rows, pl.DataFrame) and rows.height:
            known, self.schema_ = learn_schema(rows)
            refuse_files(self.schema_, is_classifier(self))
            if not self.schema_.inputs():
                why = "; ".join(f"{column.name}: {column.reason}" for column in self.schema_.columns[:5])
                raise InputError("at least one column must be usable", why, "check the table with glia describe")
            rows = unify(known, self.schema_)
        return rows

    def _read_known(self, X: Any) -> RowsIn:
        """Read rows to predict."""
        if self._from_table or isinstance(X, Table):
            frame = X.frame if isinstance(X, Table) else X
            return self._unified(frame)
        rows = read_rows(self, X, reset=False)
        if (self.schema_ is None) != isinstance(rows, np.ndarray) and self.schema_ is not None:
            return self._unified(pl.DataFrame(rows, schema=list(self.schema_.names())))
        return self._unified(rows) if isinstance(rows, pl.DataFrame) and self.schema_ is not None else rows

    def _unified(self, frame: Any) -> pl.DataFrame:
        if self.schema_ is None:
            raise InputError("a model fitted on an array takes arrays", "a table with named columns")
        return unify(frame, self.schema_).select(self.schema_.inputs())

    def _fit_preparation(self, rows: RowsIn, y: NDArray[Any], *, onehot: bool) -> NDArray[np.float32]:
        """Fit the preparation on training rows and return them prepared, (N, *shape)."""
        wanted = self.preparation
        if isinstance(rows, np.ndarray) and (rows.ndim > 2 or wanted in (None, "none")):
            self.preparation_, self.layout_ = None, Layout(tuple(rows.shape[1:]))
            return self._as_tensor_array(rows)
        if isinstance(wanted, str) or wanted is None:
            if wanted != "auto":
                raise InputError(
                    "preparation must be 'auto', 'none' (for arrays of numbers) or Preparation settings",
                    f"preparation={wanted!r}",
                )
            wanted = Preparation(encode="onehot") if onehot else Preparation(**self._bins(rows, y))
        roles = None if self.schema_ is None else {column.name: column for column in self.schema_.columns}
        self.preparation_ = clone(wanted).fit(rows, y, roles=roles)
        self.layout_ = self.preparation_.layout_
        return self.preparation_.transform(rows)

    def _bins(self, rows: RowsIn, y: NDArray[Any]) -> dict[str, Any]:
        """Return bins for the numbers of a table that is long enough to place them and not too wide to use them."""
        changes = changes_of(getattr(self, "network", None))
        if changes is None or changes.get("numeric_embedding", "piecewise_linear") not in BY_BINS:
            return {}
        if len(rows) < BINNED_ROWS or rows.shape[1] > BINNED_COLUMNS:
            return {}
        return {"numeric_bins": bins_for(rows.shape[1]), "bins": "tree" if y.ndim == 1 else "quantile"}

    def _complete(self, rows: RowsIn) -> NDArray[np.intp] | None:
        """Return the rows without gaps where the preparation asks to learn from those only, else ``None``."""
        if not isinstance(self.preparation, Preparation) or self.preparation.impute != "delete":
            return None
        roles = None if self.schema_ is None else {column.name: column for column in self.schema_.columns}
        return np.flatnonzero(self.preparation.rows_to_keep(rows, roles=roles))

    def _transform(self, rows: RowsIn) -> NDArray[np.float32]:
        if self.preparation_ is None:
            return self._as_tensor_array(np.asarray(rows))
        return self.preparation_.transform(rows)

    @staticmethod
    def _as_tensor_array(rows: NDArray[Any]) -> NDArray[np.float32]:
        prepared = np.ascontiguousarray(rows, dtype=np.float32)
        if not np.isfinite(prepared).all():
            raise InputError(
                "inputs that are not prepared must be finite",
                "NaN, infinity or a value too large for float32",
                "fill in the missing values",
            )
        return prepared
