"""What estimators of pictures share: how rows are read, prepared and varied."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import clone

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.core.source_kinds import source_kind
from glia.data import Table, read, unify
from glia.data.frames import to_frame
from glia.data.images import (
    ImageFolder,
    ImagePreparation,
    ImageRows,
    PictureTable,
    PictureTablePreparation,
    PreparedPictures,
    as_images,
    read_image_folder,
)
from glia.data.stream import Stream
from glia.data.stream.mapped import open_array
from glia.engine.augmented import AugmentedRows
from glia.engine.image_transforms import OfPicture
from glia.estimators.choices import Choices, check_members
from glia.estimators.image_augment import Augment, as_augment
from glia.estimators.image_choices import choose_for_images
from glia.estimators.image_table import as_table, check_pictures, is_frame, pictures_of
from glia.estimators.large_rows import LargeRows
from glia.nn import FlipMean, PictureAndTable, as_network

COLUMN = "image"
"""Name of the one column of inputs."""


class ImageInputs(LargeRows):
    """Mix-in for estimators whose rows are pictures.

    Attributes
    ----------
    augment_ : Augment
        What was done to training pictures.
    broken_ : tuple of (str, str)
        Files of the training folder that could not be read, and why; they were left out.
    """

    augment: Any
    augment_: Augment
    broken_: tuple[tuple[str, str], ...] = ()

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, validation: tuple[Any, Any] | None = None
    ) -> Any:
        """Fit to pictures, or to rows of a table with columns of pictures.

        Parameters
        ----------
        X : array, list, str, ImageFolder, frame or Table
            ``(N, H, W)``, ``(N, C, H, W)`` or ``(N, H, W, C)``; arrays of mixed sizes; paths; a folder; the name of an
            ``.npy`` file or of a table; a frame or table, some columns of which hold paths of pictures.
        y : array-like (N,), optional
            Targets; of a folder by default the names of its sub-folders.
        sample_weight : array-like (N,), optional
            At least 0.
        validation : (X, y), optional
            Pictures for early stopping and calibration, instead of a share of ``X``.

        Raises
        ------
        InputError
            If pictures, targets or settings cannot be used.
        TrainingError
            If the loss stops being finite.
        """
        if isinstance(X, Stream):
            raise InputError("pictures are read from a folder or an array", "a Stream", "hand in the folder's name")
        found = self._found(X, new=True)
        self.broken_ = found.broken if isinstance(found, ImageFolder) else ()
        y = self._folder_targets(found, y)
        if validation is not None:
            held = self._found(validation[0], new=True)
            validation = (held, self._folder_targets(held, validation[1]))
        rows: Any = found if isinstance(found, Table) else as_table(found)
        if rows is None:
            rows = as_images(to_frame(found) if is_frame(found) else found)
        return super().fit(rows, y, sample_weight, validation=validation)

    def _found(self, X: Any, *, new: bool = False) -> Any:
        """Return pictures with the folder, array or table that a path names, which is looked through once."""
        if not isinstance(X, (str, os.PathLike)):
            return X
        path = Path(X)
        if path.suffix == ".npy":
            return open_array(path)
        if path.is_file() and source_kind(path) == "table":
            if new:
                return read(path)
            if self.reads_table(path):
                return self._table_frame(path)
        folder = read_image_folder(path)
        if folder.remark:
            warnings.warn(folder.remark, stacklevel=4)
        return folder

    def reads_table(self, path: str | os.PathLike[str]) -> bool:
        """Tell whether a path names a table with the columns of pictures that were fitted."""
        if self.schema_ is None or not Path(path).is_file() or source_kind(path) == "images":
            return False
        return set(self._picture_columns) <= set(self._table_frame(path).columns)

    def _table_frame(self, path: str | os.PathLike[str]) -> pl.DataFrame:
        frame = read(path, infer=False).frame
        named = [name for name in self._picture_columns if name in frame.columns]
        asked = dict.fromkeys(named, "image")
        return read(path, infer=False, roles=asked).frame

    def _folder_targets(self, found: Any, y: Any) -> Any:
        """Return targets: those that were given, else the names of the sub-folders."""
        if y is not None or not isinstance(found, ImageFolder):
            return y
        loose = sum(not name for name in found.classes)
        if loose:
            raise InputError(
                "pictures must lie in one folder per class",
                f"{loose} of {len(found)} directly in {str(found.root)!r}",
                "sort them into sub-folders named after their classes, or hand in targets",
            )
        return np.array(found.classes)

    @property
    def feature_names(self) -> list[str]:
        """The inputs: the picture, and the columns beside it where there are any."""
        prepared = getattr(self, "preparation_", None)
        if isinstance(prepared, PictureTablePreparation) and self.schema_ is not None:
            return list(self.schema_.inputs())
        return [COLUMN]

    @property
    def _picture_columns(self) -> tuple[str, ...]:
        return self.schema_.names("image") if self.schema_ is not None else (COLUMN,)

    def _read_new(self, X: Any) -> Any:
        self._from_table = isinstance(X, Table)
        self.schema_ = X.schema if isinstance(X, Table) else None
        self.n_features_in_ = len(X.schema.inputs()) if isinstance(X, Table) else 1
        if isinstance(X, Table):
            check_pictures(X.schema)
            self.feature_names_in_ = np.array(X.schema.inputs(), dtype=object)
        return self._rows(X)

    def _read_known(self, X: Any) -> Any:
        return self._rows(self._found(X))

    def _rows(self, X: Any) -> ImageRows | PictureTable:
        axis = getattr(getattr(self, "preparation_", None), "axis_", "auto")
        if isinstance(X, PictureTable):
            return X
        framed = isinstance(X, Table) or is_frame(X)
        if framed and self.schema_ is not None and len(self.schema_.inputs()) > 1:
            frame = unify(X.frame if isinstance(X, Table) else X, self.schema_)
            columns = self._picture_columns
            beside = frame.select([name for name in self.schema_.inputs() if name not in columns])
            return PictureTable(pictures_of(frame.select(columns)), beside, columns)
        if framed:
            X = X.frame if isinstance(X, Table) else to_frame(X)
            X = X[self._picture_columns[0]] if self._picture_columns[0] in X.columns else X
        elif self.schema_ is not None and len(self.schema_.inputs()) > 1:
            got = f"a {type(X).__name__}"
            raise InputError("rows must be a table with the columns that were fitted", got, "hand in a frame or a file")
        return as_images(X, axis)

    def _fit_preparation(self, rows: Any, y: NDArray[Any], *, onehot: bool) -> Any:
        wanted = self.preparation
        if isinstance(wanted, str) and wanted == "auto":
            wanted = ImagePreparation()
        elif wanted in (None, "none"):
            wanted = ImagePreparation(scale="none")
        beside = isinstance(rows, PictureTable)
        folder = self._rows_folder()
        if not isinstance(wanted, (ImagePreparation, *([PictureTablePreparation] if beside else []))):
            raise InputError("preparation must be 'auto', 'none' or ImagePreparation settings", f"{wanted!r}")
        made: Any
        prepared: NDArray[np.float32] | PreparedPictures
        if beside:
            whole = PictureTablePreparation(picture=wanted) if isinstance(wanted, ImagePreparation) else wanted
            roles = None if self.schema_ is None else {column.name: column for column in self.schema_.columns}
            made = clone(whole).fit(rows, y, roles=roles, folder=folder)
        else:
            made = clone(wanted).fit(rows, y, folder=folder)
        prepared = made.rows_of(rows)
        self.preparation_ = made
        self.layout_: Layout = made.layout_
        return self._checked_rows(prepared)

    def _complete(self, rows: Any) -> None:
        return None

    def _transform(self, rows: Any) -> NDArray[np.float32]:
        return self.preparation_.transform(rows)  # type: ignore[union-attr]  # pictures always have one

    @property
    def _picture_layout(self) -> Layout:
        """Shape of the prepared pictures, also where columns stand beside them."""
        made = self.preparation_
        return Layout(made.picture_shape_) if isinstance(made, PictureTablePreparation) else self.layout_

    def _choose_members(self, rows: int) -> int:
        auto = isinstance(self.members, str) and self.members == "auto"
        return 1 if auto else check_members(self.members)

    def _choose(self, params: dict[str, Any], rows: int, members: int) -> Choices:
        layout = self._picture_layout
        found = choose_for_images(params, rows=rows, task=self.task_, layout=layout, members=members)
        self._say_place(found)
        self.augment_, why = as_augment(self.augment, layout)
        if why:
            found.why["augment"] = {"value": repr(self.augment_), "why": why}
        if members > 1 and self.augment_.mix != "none":
            raise InputError("rows are mixed for one network", f"members={members}", "set mix='none', or members=1")
        if self.augment_.views:
            found.network = FlipMean(as_network(found.network), self.augment_.views)
        if layout is not self.layout_:
            if self.augment_.mix != "none":
                got = f"mix={self.augment_.mix!r}"
                raise InputError("pictures are mixed where there are no columns beside them", got, "set mix='none'")
            if not isinstance(found.network, PictureAndTable):
                found.network = PictureAndTable(layout.shape, found.network, pictures=len(self._picture_columns))
        return found

    def _drawn(self, train: Any) -> Any:
        drawn = super()._drawn(train)
        layout = self._picture_layout
        transform, mixing = self.augment_.transform(layout), self.augment_.mixing()
        if transform is not None and layout is not self.layout_:
            transform = OfPicture(transform, layout.shape, len(self._picture_columns))
        return drawn if transform is None and mixing is None else AugmentedRows(drawn, transform, mixing)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        tags.input_tags.allow_nan = tags.input_tags.sparse = False
        return tags
