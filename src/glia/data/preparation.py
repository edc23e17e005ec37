"""Preparation: what turns the rows of a table into one float32 tensor, learned from training rows only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from glia.core.errors import InputError, ModelFileError
from glia.core.layout import Layout
from glia.core.results import jsonable
from glia.data.bins import Bins, edges_of_columns
from glia.data.casting import check_flat
from glia.data.column_roles import ColumnRole, require_columns, resolve_roles
from glia.data.datetimes import CyclicPart
from glia.data.encode import CategoryLimits, CategoryPart, Encode, natural_order
from glia.data.impute import BY_COLUMN, Completer, Impute, Indicator, read_impute
from glia.data.numeric import NumericColumn, NumericPart, number_column, numeric_matrix
from glia.data.preparation_rows import as_frame, as_matrix, complete_rows, positions
from glia.data.preparation_settings import check_settings
from glia.data.scale import Scale
from glia.data.schema import INPUT_ROLES
from glia.data.text import TextPart

Part: TypeAlias = NumericPart | CategoryPart | CyclicPart | TextPart
_PARTS: dict[str, type[Part]] = {
    "numeric": NumericPart,
    "category": CategoryPart,
    "cyclic": CyclicPart,
    "text": TextPart,
}
_ROWS = 2**17
_BIN_ROWS = 2**16
_IMPUTER_ROWS = 2**16
VERSION = 1


class Preparation(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Impute, scale and encode a table into one float32 matrix.

    Parameters
    ----------
    impute : str or mapping, default="auto"
        What replaces missing numbers (infinities count as missing); ``auto`` is the median. ``mean``, ``median``,
        ``constant``. ``mode`` also replaces missing categories, which otherwise are a category of their own. ``delete``
        learns from complete rows only (see ``rows_to_keep``); rows to be predicted get the median. ``native`` leaves
        them to the network: 0, and a column that says so (see ``glia.nn.MissingInputs``). ``knn``, ``iterative``,
        ``stochastic`` and ``autoencoder`` use the other numbers and the one-hot columns (see ``glia.data.impute``).
        ``linear``, ``spline`` and ``nearest`` use the rows before and after: the rows of one call must then be a series
        in its order. With options it is a mapping: ``{"name": "knn", "neighbours": 10}``, ``{"name": "linear", "by":
        "date"}``.
    fill_value : float, default=0.0
        For ``impute="constant"``, and for columns without any value in training.
    indicator : {"auto", "always", "never"}, default="auto"
        Which numeric columns get another column that says where they were missing; ``auto``: those that had missing
        values in training.
    scale : {"auto", "zscore", "minmax", "robust", "quantile", "none"}, default="auto"
        ``robust``: (x - median) / (interquartile range), then smooth clipping to ±3 (arXiv 2407.04491); ``quantile``:
        ranks mapped to a standard normal; ``auto`` is ``robust``.
    encode : {"auto", "onehot", "ordinal", "embedding"}, default="auto"
        ``auto``: one-hot columns up to ``onehot_limit`` categories, codes for an embedding beyond. ``onehot`` never
        gives codes, which a network without an embedding could not use. ``ordinal``: ranks in alphabetical order.
        Columns with the role ordinal are always ranks. Two categories make one column.
    onehot_limit : int, default=8
        See ``encode``.
    max_categories : int, optional
        Categories kept per column, the most frequent ones; the others are pooled with the rare ones. By default 128
        with ``encode="onehot"``, else 100,000.
    rare : int, optional
        Categories that occur less often are pooled. By default N // 1000, at least 2 and at most 10; with fewer
        than 50 rows none are.
    text_features : int, default=256
        Words per column of free text.
    numeric_bins : int, default=0
        Bins per numeric feature for piecewise-linear embeddings, stored in the layout; 0: none.
    bins : {"quantile", "tree"}, default="quantile"
        How their edges are found; ``tree`` needs the target (arXiv 2203.05556). Where there are many rows, trees split
        finer and there are up to twice as many bins (see ``glia.data.bins.tree_edges``).
    roles : mapping of str to (str or object), optional
        Column → "numeric", "categorical", "ordinal", "datetime" or "text" (other columns are left out), or an object
        with ``role`` and perhaps ``order`` (ordinal, lowest first) and ``format``, such as the columns of a schema. By
        default taken from the dtypes.

    Attributes
    ----------
    layout_ : Layout
        What the columns of the matrix mean.
    feature_names_in_ : ndarray of str
        The original columns that are used.
    n_features_in_ : int
        Their number.

    Notes
    -----
    Only rows given to ``fit`` are learned from. ``transform`` gives finite values for any input. The columns come as
    blocks: numbers, ranks and years; their indicators; categories; cyclic parts of dates; words.
    """

    layout_: Layout
    feature_names_in_: NDArray[np.object_]
    n_features_in_: int
    _completer: Completer | None

    def __init__(
        self,
        *,
        impute: Impute | Mapping[str, Any] = "auto",
        fill_value: float = 0.0,
        indicator: Indicator = "auto",
        scale: Scale = "auto",
        encode: Encode = "auto",
        onehot_limit: int = 8,
        max_categories: int | None = None,
        rare: int | None = None,
        text_features: int = 256,
        numeric_bins: int = 0,
        bins: Bins = "quantile",
        roles: Mapping[str, Any] | None = None,
    ) -> None:
        self.impute = impute
        self.fill_value = fill_value
        self.indicator = indicator
        self.scale = scale
        self.encode = encode
        self.onehot_limit = onehot_limit
        self.max_categories = max_categories
        self.rare = rare
        self.text_features = text_features
        self.numeric_bins = numeric_bins
        self.bins = bins
        self.roles = roles

    def fit(
        self,
        frame: pl.DataFrame | NDArray[Any],
        y: NDArray[Any] | None = None,
        *,
        roles: Mapping[str, Any] | None = None,
    ) -> Preparation:
        """Learn from training rows.

        Parameters
        ----------
        frame : polars.DataFrame or ndarray of shape (N, K)
            Training rows. The columns of an array are numeric and called x0, x1, …
        y : ndarray of shape (N,) or (N, T), optional
            Target; used by ``bins="tree"`` only.
        roles : mapping, optional
            Takes precedence over the constructor's.

        Raises
        ------
        InputError
            If a setting, a column or the number of rows cannot be used.
        """
        check_settings(self.get_params(deep=False), has_y=y is not None)
        used = roles if roles is not None else self.roles
        if isinstance(frame, np.ndarray):
            self._fit_array(as_matrix(frame), y)
        else:
            self._fit_frame(as_frame(frame), y, used)
        return self

    def transform(self, frame: pl.DataFrame | NDArray[Any]) -> NDArray[np.float32]:
        """Return rows as a contiguous float32 array (N, D); always finite.

        Raises
        ------
        InputError
            If a column that was used in ``fit`` is missing (all are named), or holds nested values.
        """
        check_is_fitted(self, "layout_")
        if isinstance(frame, np.ndarray):
            matrix = self._check_width(as_matrix(frame, least=0))
            out = np.empty((len(matrix), self.layout_.in_features), dtype=np.float32)
            self._open(self._numeric).write_matrix(matrix, out)
            if self._completer is not None:
                self._completer.complete(out, self._place(matrix))
            return out
        chosen = self._select(as_frame(frame, least=0))
        out = np.empty((len(chosen), self.layout_.in_features), dtype=np.float32)
        self._write(chosen, out)
        if self._completer is not None:
            self._completer.complete(out, self._place(chosen))
        return out

    def fit_transform(
        self,
        frame: pl.DataFrame | NDArray[Any],
        y: NDArray[Any] | None = None,
        *,
        roles: Mapping[str, Any] | None = None,
    ) -> NDArray[np.float32]:
        """Learn from training rows and return them prepared (all of them, also with ``impute="delete"``)."""
        return self.fit(frame, y, roles=roles).transform(frame)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the D columns of the matrix."""
        check_is_fitted(self, "layout_")
        return np.array([feature.name for feature in self.layout_.features], dtype=object)

    def rows_to_keep(
        self, frame: pl.DataFrame | NDArray[Any], *, roles: Mapping[str, Any] | None = None
    ) -> NDArray[np.bool_]:
        """Return which rows have no missing value in any used column, (N,): those ``impute="delete"`` learns from.

        Works before ``fit`` too: it looks at the rows only.
        """
        if isinstance(frame, np.ndarray):
            return np.asarray(np.isfinite(as_matrix(frame, least=0)).all(axis=1))
        table = as_frame(frame, least=0)
        used = resolve_roles(table.schema, roles if roles is not None else self.roles)
        return complete_rows(table, used)

    # --- state -----------------------------------------------------------------------------------------------------

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return all that was learned as plain JSON data and named arrays; neither holds code."""
        check_is_fitted(self, "layout_")
        parts, arrays = [], {}
        for kind, part in zip(_PARTS, self._parts, strict=True):
            plain, learned = part.to_state()
            parts.append(plain)
            arrays.update({f"{kind}.{name}": array for name, array in learned.items()})
        params = {name: jsonable(value) for name, value in self.get_params(deep=False).items() if name != "roles"}
        state: dict[str, Any] = {
            "version": VERSION,
            "params": params,
            "roles": [[name, role.role, list(role.order), role.format] for name, role in self._roles.items()],
            "parts": dict(zip(_PARTS, parts, strict=True)),
            "layout": self.layout_.to_dict(),
        }
        if self._completer is not None:
            state["imputer"], learned = self._completer.to_state()
            arrays.update({f"imputer.{name}": array for name, array in learned.items()})
        return state, arrays

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Preparation:
        """Rebuild what ``to_state`` gave: its ``transform`` gives the same bits.

        Raises
        ------
        ModelFileError
            If the state is of another version, incomplete or contradicts itself.
        """
        if state.get("version") != VERSION:
            raise ModelFileError(
                f"the preparation must have the format version {VERSION}",
                f"version={state.get('version')!r}",
                "use the release of Glia that wrote it",
            )
        try:
            roles = {
                str(name): ColumnRole(str(role), tuple(map(str, order)), str(form))
                for name, role, order, form in state["roles"]
            }
            fitted = cls(**state["params"], roles=roles)
            parts = []
            for kind, part in _PARTS.items():
                own = {name.partition(".")[2]: a for name, a in arrays.items() if name.startswith(f"{kind}.")}
                parts.append(part.from_state(state["parts"][kind], own))
            layout = Layout.from_dict(state["layout"])
            fitted._finish(roles, tuple(parts))
            if "imputer" in state:
                own = {name.partition(".")[2]: a for name, a in arrays.items() if name.startswith("imputer.")}
                fitted._completer = Completer.from_state(state["imputer"], own, layout.in_features)
            plain = tuple(replace(feature, bins=()) for feature in layout.features)
            if plain != fitted.layout_.features:
                raise ValueError("the layout does not fit the columns")
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise ModelFileError(
                "the saved preparation must be whole", f"{type(error).__name__}: {error}", "save the model again"
            ) from error
        fitted.layout_ = layout
        return fitted

    # --- steps of fit and transform ----------------------------------------------------------------------------------

    def _fit_array(self, matrix: NDArray[Any], y: NDArray[Any] | None) -> None:
        names = [f"x{j}" for j in range(matrix.shape[1])]
        matrix, y = self._drop_incomplete(matrix, y, self.rows_to_keep) if self.impute == "delete" else (matrix, y)
        numeric = self._fit_numeric(tuple(NumericColumn(name) for name in names), matrix)
        empty = CategoryPart(()), CyclicPart(()), TextPart(())
        self._finish(dict.fromkeys(names, ColumnRole("numeric")), (numeric, *empty))
        self._fit_imputer(matrix)
        self._add_bins(matrix, y)

    def _fit_frame(self, frame: pl.DataFrame, y: NDArray[Any] | None, given: Mapping[str, Any] | None) -> None:
        roles = resolve_roles(frame.schema, given)
        frame = frame.select(list(roles))
        if self.impute == "delete":
            frame, y = self._drop_incomplete(frame, y, lambda rows: complete_rows(rows, roles))
        named = {kind: [name for name, role in roles.items() if role.role == kind] for kind in INPUT_ROLES}
        cyclic = CyclicPart.fit(frame, {name: roles[name].format for name in named["datetime"]})
        columns = self._numeric_columns(frame, roles, cyclic)
        matrix = numeric_matrix(frame, columns)
        numeric = self._fit_numeric(columns, matrix)
        limits = CategoryLimits(self.onehot_limit, self.max_categories, self.rare)
        encoded = [] if self.encode == "ordinal" else named["categorical"]
        categories = CategoryPart.fit(frame, encoded, self.encode, read_impute(self.impute)[0], limits)
        self._finish(roles, (numeric, categories, cyclic, TextPart.fit(frame, named["text"], self.text_features)))
        self._fit_imputer(frame)
        self._add_bins(matrix, y)

    def _drop_incomplete(self, rows: Any, y: NDArray[Any] | None, complete: Any) -> tuple[Any, NDArray[Any] | None]:
        keep = complete(rows)
        if not keep.any():
            raise InputError(
                "impute='delete' must leave some rows to learn from",
                f"{len(rows)} rows, every one with a missing value",
                "use impute='auto', or leave out the columns that are mostly missing",
            )
        kept = rows.filter(keep) if isinstance(rows, pl.DataFrame) else rows[keep]
        return kept, (None if y is None else y[keep])

    def _numeric_columns(
        self, frame: pl.DataFrame, roles: dict[str, ColumnRole], cyclic: CyclicPart
    ) -> tuple[NumericColumn, ...]:
        """Return the columns of the numeric block, in the order of the table."""
        moments = {moment.column: moment for moment in cyclic.columns}
        found = []
        schema = frame.schema
        for name, role in roles.items():
            dtype = schema[name]
            ranked = role.role == "ordinal" or (role.role == "categorical" and self.encode == "ordinal")
            if role.role == "numeric" or (role.role == "ordinal" and dtype.is_numeric() and not role.order):
                found.append(number_column(name, role))
            elif ranked:
                order = role.order or natural_order(frame[name])
                found.append(NumericColumn(name, "rank", order))
            elif name in moments and moments[name].trend:
                found.append(NumericColumn(name, "years", moments[name].formats))
        return tuple(found)

    def _fit_numeric(self, columns: tuple[NumericColumn, ...], matrix: NDArray[Any]) -> NumericPart:
        part = NumericPart.fit(
            columns,
            matrix,
            impute=read_impute(self.impute)[0],
            fill_value=self.fill_value,
            scale=self.scale,
            indicator=self.indicator,
        )
        if self.impute != "native":
            return part
        # Only where training had gaps is there something learned to put in; elsewhere the median stands in.
        gappy = ~np.isfinite(matrix).all(axis=0) & np.isin(np.arange(matrix.shape[1]), part.flagged)
        return replace(part, fill=np.where(gappy, 0.0, part.fill))

    def _fit_imputer(self, rows: pl.DataFrame | NDArray[Any]) -> None:
        """Fit an imputer that looks at several columns on the training rows, prepared but for their gaps."""
        name, options = read_impute(self.impute)
        if name in BY_COLUMN or not len(self._numeric.columns):
            return
        every = max(1, -(-len(rows) // _IMPUTER_ROWS))
        sample = rows[::every]
        prepared = np.empty((len(sample), self.layout_.in_features), dtype=np.float32)
        if isinstance(sample, np.ndarray):
            gaps = replace(self._numeric, fill=np.full(len(self._numeric.fill), np.nan))
            gaps.write_matrix(sample, prepared)
        else:
            self._write(sample, prepared, gaps=True)
        features, fill = self.layout_.features, self._numeric.fill
        position = self._place(sample, options.get("by"))
        self._completer = Completer.fit(name, options, prepared, features, fill, position)

    def _write(self, frame: pl.DataFrame, out: NDArray[np.float32], *, gaps: bool = False) -> None:
        """Write the columns of all parts; with an imputer, or ``gaps``, missing numbers are NaN."""
        parts = [self._open(self._numeric, gaps=gaps), *self._parts[1:]]
        for rows in self._slices(len(frame)):
            start = 0
            for part, width in zip(parts, self._widths, strict=True):
                part.write(frame[rows], out[rows, start : start + width])
                start += width

    def _open(self, part: NumericPart, *, gaps: bool = False) -> NumericPart:
        """Return the numeric part as it is, or one that leaves gaps open where an imputer is to fill them."""
        if self._completer is None and not gaps:
            return part
        return replace(part, fill=np.full(len(part.fill), np.nan))

    def _place(self, rows: pl.DataFrame | NDArray[Any], by: str | None = None) -> NDArray[np.float64] | None:
        """Return where rows lie on the axis along which they are interpolated, (N,); ``None`` for their order."""
        by = by if self._completer is None else self._completer.by
        if by is None:
            return None
        require_columns(dict.fromkeys(self._roles), [by])  # type: ignore[arg-type]  # the names are all it looks at
        if isinstance(rows, np.ndarray):
            return np.asarray(rows[:, list(self._roles).index(by)], dtype=np.float64)
        return positions(rows, by, self._roles[by])

    def _finish(self, roles: dict[str, ColumnRole], parts: tuple[Part, ...]) -> None:
        self._roles = roles
        self._completer = None
        self._parts = parts
        features = [part.features() for part in parts]
        self._widths = [len(group) for group in features]
        self.feature_names_in_ = np.array(list(roles), dtype=object)
        self.n_features_in_ = len(roles)
        self.layout_ = Layout((sum(self._widths),), tuple(feature for group in features for feature in group))

    @property
    def _numeric(self) -> NumericPart:
        part = self._parts[0]
        if not isinstance(part, NumericPart):
            raise TypeError("the first part of a preparation is the numeric one")
        return part

    def _add_bins(self, matrix: NDArray[Any], y: NDArray[Any] | None) -> None:
        """Put the edges of piecewise-linear bins, found on the prepared training rows, into the layout."""
        if not self.numeric_bins or not matrix.shape[1]:
            return
        every = max(1, -(-len(matrix) // _BIN_ROWS))
        sample = matrix[::every]
        prepared = np.empty((len(sample), self._widths[0]), dtype=np.float32)
        self._numeric.write_matrix(sample, prepared)
        features = list(self.layout_.features)
        target = None if y is None else np.asarray(y)[::every]
        found = edges_of_columns(prepared[:, : matrix.shape[1]], target, self.numeric_bins, self.bins)
        for j, edges in enumerate(found):
            features[j] = replace(features[j], bins=edges)
        self.layout_ = Layout(self.layout_.shape, tuple(features))

    def _select(self, frame: pl.DataFrame) -> pl.DataFrame:
        names = list(self._roles)
        schema = frame.schema
        require_columns(schema, names)
        check_flat(schema, names)
        return frame.select(names)

    def _check_width(self, matrix: NDArray[Any]) -> NDArray[Any]:
        plain = all(role.role == "numeric" for role in self._roles.values())
        if not plain or matrix.shape[1] != len(self._roles):
            raise InputError(
                "an array must have the columns of the training table, all numeric",
                f"{matrix.shape[1]} columns for {len(self._roles)}: {list(self._roles)[:10]}",
                "give a table with these columns",
            )
        return matrix

    def _slices(self, rows: int) -> Iterator[slice]:
        step = max(1024, min(_ROWS, 2**25 // max(self.layout_.in_features, 1)))
        return (slice(start, start + step) for start in range(0, rows, step))
