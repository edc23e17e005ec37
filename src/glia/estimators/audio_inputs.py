"""What estimators of sounds share: how rows are read, prepared and varied, and what is chosen for them."""

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
from glia.data import Table, split_rows
from glia.data.audio import AudioFolder, AudioPreparation, SoundRows, as_sounds, manifest_columns, read_audio_folder
from glia.engine.augmented import AugmentedRows
from glia.estimators.by_length import by_length
from glia.estimators.choices import Choices
from glia.estimators.image_choices import choose_for_images
from glia.estimators.inputs import RowsIn
from glia.estimators.large_rows import LargeRows
from glia.estimators.own_choices import OwnChoices
from glia.estimators.sequence_choices import settle_sequences
from glia.estimators.spec_augment import SpecAugment, as_spec_augment

COLUMN = "audio"
"""Name of the one column of inputs."""


class AudioInputs(LargeRows, OwnChoices):
    """Mix-in for estimators whose rows are sounds.

    Attributes
    ----------
    augment_ : SpecAugment
        What was done to training sounds.
    broken_ : tuple of (str, str)
        Files of the training folder that could not be read, and why; they were left out.
    """

    preparation: Any
    augment: Any
    sample_rate: Any
    augment_: SpecAugment
    broken_: tuple[tuple[str, str], ...] = ()
    _settled: Choices

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        validation: tuple[Any, Any] | None = None,
        groups: Any = None,
    ) -> Any:
        """Fit to sounds.

        Parameters
        ----------
        X : array (N, T), list, str, AudioFolder or Table
            Samples (of ``sample_rate``); arrays of different lengths; paths of WAV files; or a folder.
        y : array-like (N,), optional
            Targets; of a folder by default the names of its sub-folders, or what its ``manifest.csv`` says.
        sample_weight : array-like (N,), optional
            At least 0.
        validation : (X, y), optional
            Sounds for early stopping and calibration, instead of a share of ``X``.
        groups : array-like (N,), optional
            Whose sound each is: no speaker is both learned from and validated by. Of a folder by default what its
            manifest says, or the sub-folders of its classes, where all sounds have one.

        Raises
        ------
        InputError
            If sounds, targets or settings cannot be used.
        TrainingError
            If the loss stops being finite.
        """
        found = self._found(X)
        self.broken_ = found.broken if isinstance(found, AudioFolder) else ()
        if groups is None and isinstance(found, AudioFolder) and all(found.groups):
            groups = found.groups
        y = self._folder_targets(found, y)
        if validation is not None:
            held = self._found(validation[0])
            validation = (held, self._folder_targets(held, validation[1]))
        rows: Any = found if isinstance(found, Table) else as_sounds(found, self.sample_rate)
        if groups is not None and validation is None and self.early_stopping is not False and self.validation_fraction:
            rows, y, sample_weight, validation = self._by_group(rows, y, sample_weight, groups)
        return super().fit(rows, y, sample_weight, validation=validation)

    def _by_group(self, rows: Any, y: Any, weight: Any, groups: Any) -> tuple[Any, Any, Any, tuple[Any, Any]]:
        if isinstance(rows, Table):
            raise InputError("groups of a table are its column's", "groups=…", "name the column in glia.fit")
        values = np.asarray(y)
        split = split_rows(
            len(rows),
            method="group",
            group=np.asarray(groups),
            test_fraction=0.0,
            validation_fraction=float(self.validation_fraction),
            random_state=self._seed("validation") % 2**32,
        )
        part = None if weight is None else np.asarray(weight)[split.train]
        return rows[split.train], values[split.train], part, (rows[split.valid], values[split.valid])

    def _found(self, X: Any) -> Any:
        """Return sounds with the folder that a path names, which is looked through once."""
        if isinstance(X, (str, os.PathLike)):
            known, named = manifest_columns(X), getattr(self, "target_name_", None)
            folder = read_audio_folder(Path(X), label=named if named in known else None)
            if folder.remark:
                warnings.warn(folder.remark, stacklevel=4)
            return folder
        return X

    def _folder_targets(self, found: Any, y: Any) -> Any:
        """Return targets: those that were given, else the classes of the folder."""
        if y is not None or not isinstance(found, AudioFolder):
            return y
        loose = sum(not name for name in found.classes)
        if loose:
            raise InputError(
                "sounds must lie in one folder per class, or have a label in manifest.csv",
                f"{loose} of {len(found)} in {str(found.root)!r} without one",
                "sort them into sub-folders named after their classes, or hand in targets",
            )
        return np.array(found.classes)

    @property
    def feature_names(self) -> list[str]:
        """The one input: the sound."""
        return [COLUMN]

    @property
    def _audio(self) -> AudioPreparation:
        found: Any = self.preparation_
        return found  # type: ignore[no-any-return]

    def _read_new(self, X: Any) -> Any:
        wanted = self.preparation
        if isinstance(wanted, str) or wanted is None:
            if wanted != "auto":
                raise InputError("preparation must be 'auto' or AudioPreparation(...)", f"preparation={wanted!r}")
            wanted = AudioPreparation()
        if not isinstance(wanted, AudioPreparation):
            raise InputError("sounds need an AudioPreparation", type(wanted).__name__, "see glia.data.audio")
        self._unfitted: AudioPreparation = clone(wanted)
        self._from_table = isinstance(X, Table)
        self.schema_ = X.schema if isinstance(X, Table) else None
        self.n_features_in_ = 1
        return self._sounds(X)

    def _read_known(self, X: Any) -> Any:
        return self._sounds(self._found(X))

    def _sounds(self, X: Any) -> SoundRows:
        if isinstance(X, Table):
            X = X.frame
        if isinstance(X, pl.DataFrame) and COLUMN in X.columns:
            X = X[COLUMN]
        return as_sounds(X, self.sample_rate)

    def _fit_preparation(self, rows: Any, y: NDArray[Any], *, onehot: bool) -> Any:
        made: Any = self._unfitted
        prepared = made.fit_rows(rows, self._rows_folder())
        self.preparation_, self.layout_ = made, made.layout_
        return self._checked_rows(prepared)

    def _complete(self, rows: RowsIn) -> None:
        return None

    def _transform(self, rows: Any) -> NDArray[np.float32]:
        return self._audio.transform(rows)

    def _settle(self, params: dict[str, Any], rows: int) -> dict[str, Any]:
        settled, self._why = settle_sequences(params, rows=rows, task=self.task_, layout=self.layout_)
        return settled

    def _choose(self, params: dict[str, Any], rows: int, members: int) -> Choices:
        if len(self.layout_.shape) == 3:
            found = choose_for_images(params, rows=rows, task=self.task_, layout=self.layout_, members=members)
            self._say_place(found)
        else:
            found = super()._choose(params, rows, members)
        self.augment_, why = as_spec_augment(params.get("augment", self.augment))
        if why:
            found.why["augment"] = {"value": repr(self.augment_), "why": why}
        self._settled = found
        return found

    def _drawn(self, train: Any) -> Any:
        drawn, why = by_length(super()._drawn(train), self._settled.network, self._settled.batch_size)
        if why:
            self._settled.why["order"] = {"value": "sounds of like lengths together", "why": why}
        masks = self.augment_.masks()
        return drawn if masks is None else AugmentedRows(drawn, masks)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.allow_nan = tags.input_tags.sparse = tags.input_tags.string = False
        tags.input_tags.categorical = False
        return tags
