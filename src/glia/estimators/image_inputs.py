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
from glia.data import Table
from glia.data.images import ImageFolder, ImagePreparation, ImageRows, as_images, read_image_folder
from glia.data.stream import Stream
from glia.engine.augmented import AugmentedRows
from glia.engine.rows import Rows
from glia.estimators.base import NetworkEstimator
from glia.estimators.choices import Choices, check_members
from glia.estimators.image_augment import Augment, as_augment
from glia.estimators.image_choices import choose_for_images
from glia.nn import FlipMean, as_network

COLUMN = "image"
"""Name of the one column of inputs."""


class ImageInputs(NetworkEstimator):
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
        """Fit to pictures.

        Parameters
        ----------
        X : array, list, str, ImageFolder or Table
            ``(N, H, W)``, ``(N, C, H, W)`` or ``(N, H, W, C)``; arrays of mixed sizes; paths; or a folder.
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
        found = self._found(X)
        self.broken_ = found.broken if isinstance(found, ImageFolder) else ()
        y = self._folder_targets(found, y)
        if validation is not None:
            held = self._found(validation[0])
            validation = (held, self._folder_targets(held, validation[1]))
        rows = found if isinstance(found, Table) else as_images(found)
        return super().fit(rows, y, sample_weight, validation=validation)

    def _found(self, X: Any) -> Any:
        """Return pictures with the folder that a path names, which is looked through once."""
        if isinstance(X, (str, os.PathLike)):
            folder = read_image_folder(Path(X))
            if folder.remark:
                warnings.warn(folder.remark, stacklevel=4)
            return folder
        return X

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
        """The one input: the picture."""
        return [COLUMN]

    def _read_new(self, X: Any) -> Any:
        self._from_table = isinstance(X, Table)
        self.schema_ = X.schema if isinstance(X, Table) else None
        self.n_features_in_ = 1
        return self._rows(X)

    def _read_known(self, X: Any) -> Any:
        return self._rows(self._found(X))

    def _rows(self, X: Any) -> ImageRows:
        if isinstance(X, Table):
            X = X.frame
        if isinstance(X, pl.DataFrame) and COLUMN in X.columns:
            X = X[COLUMN]
        axis = getattr(getattr(self, "preparation_", None), "axis_", "auto")
        return as_images(X, axis)

    def _fit_preparation(self, rows: Any, y: NDArray[Any], *, onehot: bool) -> NDArray[np.float32]:
        wanted = self.preparation
        if isinstance(wanted, str) and wanted == "auto":
            wanted = ImagePreparation()
        elif wanted in (None, "none"):
            wanted = ImagePreparation(scale="none")
        if not isinstance(wanted, ImagePreparation):
            raise InputError("preparation must be 'auto', 'none' or ImagePreparation settings", f"{wanted!r}")
        self.preparation_ = made = clone(wanted).fit(rows, y)
        self.layout_: Layout = made.layout_
        prepared: NDArray[np.float32] = made.transform(rows)
        return prepared

    def _complete(self, rows: Any) -> None:
        return None

    def _transform(self, rows: Any) -> NDArray[np.float32]:
        return self.preparation_.transform(rows)  # type: ignore[union-attr]  # pictures always have one

    def _choose_members(self, rows: int) -> int:
        auto = isinstance(self.members, str) and self.members == "auto"
        return 1 if auto else check_members(self.members)

    def _choose(self, params: dict[str, Any], rows: int, members: int) -> Choices:
        found = choose_for_images(params, rows=rows, task=self.task_, layout=self.layout_, members=members)
        self.augment_, why = as_augment(self.augment, self.layout_)
        if why:
            found.why["augment"] = {"value": repr(self.augment_), "why": why}
        if members > 1 and self.augment_.mix != "none":
            raise InputError("rows are mixed for one network", f"members={members}", "set mix='none', or members=1")
        if self.augment_.views:
            found.network = FlipMean(as_network(found.network), self.augment_.views)
        return found

    def _drawn(self, train: Rows) -> Any:
        drawn = super()._drawn(train)
        transform, mixing = self.augment_.transform(self.layout_), self.augment_.mixing()
        return drawn if transform is None and mixing is None else AugmentedRows(drawn, transform, mixing)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        tags.input_tags.allow_nan = tags.input_tags.sparse = False
        return tags
