"""Rows of a table some of whose columns hold pictures, and their preparation into one flat tensor."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from glia.core.counts import counted
from glia.core.errors import InputError
from glia.core.layout import Feature, Layout
from glia.data.images.image_preparation import ImagePreparation, PreparedPictures, every_picture, side_by_side
from glia.data.images.rows import ImageRows
from glia.data.preparation import Preparation

_PICTURE, _TABLE = "picture.", "table."


class PictureTable:
    """N rows, each some pictures and the values of further columns.

    Parameters
    ----------
    pictures : ImageRows
        P·N pictures: those of the first column of all rows, then those of the second, and so on.
    frame : polars.DataFrame
        N rows of the other columns; they may have none.
    columns : sequence of str
        Names of the P columns of pictures.

    Attributes
    ----------
    shape : tuple of int
        ``(N,)``: rows, as other kinds of rows tell them.
    """

    def __init__(self, pictures: ImageRows, frame: pl.DataFrame, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        rows = frame.height if frame.width else len(pictures) // len(self.columns)
        if len(pictures) != len(self.columns) * rows:
            raise InputError(
                "there must be one picture per row and column of pictures",
                f"{len(pictures)} for {counted(rows, 'row')} and {counted(len(self.columns), 'column')}",
            )
        self.pictures, self.frame = pictures, frame
        self.shape = (rows,)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> PictureTable:
        """Return the rows at ``index``, an array of row numbers or a slice."""
        where = np.arange(len(self))[index]
        frame = self.frame[where] if self.frame.width else self.frame
        return PictureTable(self.pictures[every_picture(where, len(self), len(self.pictures))], frame, self.columns)

    def identity(self) -> pl.DataFrame:
        """Return columns in which equal rows, and only those, have equal values."""
        seen, count = self.pictures.identity()["picture"], len(self)
        own = [seen.slice(place * count, count).alias(name) for place, name in enumerate(self.columns)]
        return pl.DataFrame([*self.frame.get_columns(), *own])


class PictureTablePreparation(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Brings pictures and the columns beside them to one float32 tensor (N, V + D): V pixels, then D prepared columns.

    Parameters
    ----------
    picture : ImagePreparation, optional
        How pictures are prepared; those of several columns alike, to one size, channels and scale.
    table : Preparation, optional
        How the other columns are.

    Attributes
    ----------
    layout_ : Layout
        Of shape (V + D,). The pixels are features of one name whose source is their column of pictures, so that what
        is found for columns is found for the picture as a whole.
    picture_shape_ : tuple of int
        (C, H, W) of a prepared picture; V = C·H·W times the columns of pictures.
    columns_ : tuple of str
        Names of the columns of pictures.
    """

    def __init__(self, picture: ImagePreparation | None = None, table: Preparation | None = None) -> None:
        self.picture, self.table = picture, table

    def fit(
        self,
        rows: PictureTable,
        y: NDArray[Any] | None = None,
        *,
        roles: Mapping[str, Any] | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> PictureTablePreparation:
        """Learn from training rows.

        Parameters
        ----------
        rows : PictureTable
            N ≥ 1 rows.
        y : ndarray (N,) or (N, T), optional
            Target; for preparations of columns that need it.
        roles : mapping, optional
            Roles of the columns beside the picture: see ``Preparation``.
        folder : path-like, optional
            On whose disk pictures are kept, if on disk.

        Raises
        ------
        InputError
            If a setting is wrong, or a picture or column cannot be used.
        """
        self.picture_ = clone(self.picture or ImagePreparation()).fit(rows.pictures, folder=folder)
        used = None if roles is None else {name: role for name, role in roles.items() if name not in rows.columns}
        self.table_: Preparation | None = None
        if rows.frame.width:
            self.table_ = clone(self.table or Preparation()).fit(rows.frame, y, roles=used)
        self._join(rows.columns)
        return self

    def transform(self, rows: PictureTable) -> NDArray[np.float32]:
        """Return rows as the network takes them, (N, V + D).

        Raises
        ------
        InputError
            If a picture cannot be read, or a column is missing.
        """
        return side_by_side(self.picture_.transform(rows.pictures), self._beside(rows))

    def rows_of(self, rows: PictureTable) -> NDArray[np.float32] | PreparedPictures:
        """Return the training rows prepared, (N, V + D): an array, or what prepares them as they are asked for.

        To be called after ``fit`` with the very rows that it was called with: pictures are not decoded again.
        """
        pictures = self.picture_.rows_of(rows.pictures)
        columns = self._beside(rows)
        if isinstance(pictures, PreparedPictures):
            return PreparedPictures(self.picture_, pictures.stored, columns)
        return side_by_side(pictures, columns)

    def _beside(self, rows: PictureTable) -> NDArray[np.float32]:
        """Return the prepared columns beside the pictures, (N, D)."""
        return np.empty((len(rows), 0), dtype=np.float32) if self.table_ is None else self.table_.transform(rows.frame)

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what was learned as JSON data and arrays."""
        picture, pixels = self.picture_.to_state()
        table, columns = (None, {}) if self.table_ is None else self.table_.to_state()
        arrays = {_PICTURE + name: value for name, value in pixels.items()}
        arrays |= {_TABLE + name: value for name, value in columns.items()}
        return {"columns": list(self.columns_), "picture": picture, "table": table}, arrays

    @classmethod
    def from_state(cls, data: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> PictureTablePreparation:
        """Rebuild what ``to_state`` gave.

        Raises
        ------
        ValueError, ModelFileError
            If parts do not go together.
        """
        own = [{k.removeprefix(p): v for k, v in arrays.items() if k.startswith(p)} for p in (_PICTURE, _TABLE)]
        made = cls()
        made.picture_ = ImagePreparation.from_state(data["picture"], own[0])
        made.table_ = None if data["table"] is None else Preparation.from_state(data["table"], own[1])
        made.picture, made.table = clone(made.picture_), None if made.table_ is None else clone(made.table_)
        named = data["columns"] if "columns" in data else [data["column"]]  # files of before there could be several
        made._join(tuple(str(name) for name in named))
        return made

    def _join(self, columns: tuple[str, ...]) -> None:
        self.columns_ = columns
        self.picture_shape_ = shape = self.picture_.layout_.shape
        table = () if self.table_ is None else self.table_.layout_.features
        pixels = Layout(shape).in_features
        seen = [Feature(f"{column} (a pixel)", column) for column in columns for _ in range(pixels)]
        self.layout_ = Layout((len(seen) + len(table),), (*seen, *table))
