"""Rows of a table one of whose columns holds pictures, and their preparation into one flat tensor."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from glia.core.errors import InputError
from glia.core.layout import Feature, Layout
from glia.data.images.image_preparation import ImagePreparation, PreparedPictures
from glia.data.images.rows import ImageRows
from glia.data.preparation import Preparation

_PICTURE, _TABLE = "picture.", "table."


class PictureTable:
    """N rows, each a picture and the values of further columns.

    Parameters
    ----------
    pictures : ImageRows
        N pictures.
    frame : polars.DataFrame
        N rows of the other columns.
    column : str
        Name of the column of pictures.

    Attributes
    ----------
    shape : tuple of int
        ``(N,)``: rows, as other kinds of rows tell them.
    """

    def __init__(self, pictures: ImageRows, frame: pl.DataFrame, column: str) -> None:
        if len(pictures) != frame.height:
            raise InputError("there must be one picture per row", f"{len(pictures)} for {frame.height} rows")
        self.pictures, self.frame, self.column = pictures, frame, column
        self.shape = (frame.height,)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> PictureTable:
        """Return the rows at ``index``, an array of row numbers or a slice."""
        where = np.arange(len(self))[index]
        return PictureTable(self.pictures[where], self.frame[where], self.column)

    def identity(self) -> pl.DataFrame:
        """Return columns in which equal rows, and only those, have equal values."""
        return self.frame.with_columns(self.pictures.identity()["picture"].alias(self.column))


class PictureTablePreparation(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Brings pictures and the columns beside them to one float32 tensor (N, P + D): P pixels, then D prepared columns.

    Parameters
    ----------
    picture : ImagePreparation, optional
        How pictures are prepared.
    table : Preparation, optional
        How the other columns are.

    Attributes
    ----------
    layout_ : Layout
        Of shape (P + D,). The pixels are features of one name whose source is the column of pictures, so that what is
        found for columns is found for the picture as a whole.
    picture_shape_ : tuple of int
        (C, H, W) of a prepared picture; P = C·H·W.
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
        used = None if roles is None else {name: role for name, role in roles.items() if name != rows.column}
        self.table_ = clone(self.table or Preparation()).fit(rows.frame, y, roles=used)
        self._join(rows.column)
        return self

    def transform(self, rows: PictureTable) -> NDArray[np.float32]:
        """Return rows as the network takes them, (N, P + D).

        Raises
        ------
        InputError
            If a picture cannot be read, or a column is missing.
        """
        pixels = self.picture_.transform(rows.pictures)
        found = np.empty((len(rows), self.layout_.in_features), dtype=np.float32)
        count = pixels[0].size if len(pixels) else 0
        found[:, :count] = pixels.reshape(len(rows), -1)
        del pixels
        found[:, count:] = self.table_.transform(rows.frame)
        return found

    def rows_of(self, rows: PictureTable) -> NDArray[np.float32] | PreparedPictures:
        """Return the training rows prepared, (N, P + D): an array, or what prepares them as they are asked for.

        To be called after ``fit`` with the very rows that it was called with: pictures are not decoded again.
        """
        pictures = self.picture_.rows_of(rows.pictures)
        columns = self.table_.transform(rows.frame)
        if isinstance(pictures, PreparedPictures):
            return PreparedPictures(self.picture_, pictures.pixels, columns)
        return np.concatenate([pictures.reshape(len(rows), -1), columns], axis=1)

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what was learned as JSON data and arrays."""
        picture, pixels = self.picture_.to_state()
        table, columns = self.table_.to_state()
        arrays = {_PICTURE + name: value for name, value in pixels.items()}
        arrays |= {_TABLE + name: value for name, value in columns.items()}
        return {"column": self.column_, "picture": picture, "table": table}, arrays

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
        made.table_ = Preparation.from_state(data["table"], own[1])
        made.picture, made.table = clone(made.picture_), clone(made.table_)
        made._join(str(data["column"]))
        return made

    def _join(self, column: str) -> None:
        self.column_ = column
        self.picture_shape_ = shape = self.picture_.layout_.shape
        table = self.table_.layout_.features
        pixels = Layout(shape).in_features
        one = Feature(f"{column} (a pixel)", column)
        self.layout_ = Layout((pixels + len(table),), (*[one] * pixels, *table))
