"""Classification of pictures by a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.data.images import ImageFolder
from glia.estimators.classifier import Classifier
from glia.estimators.image_inputs import ImageInputs
from glia.estimators.targets import as_array
from glia.objectives import EvaluationResult


class ImageClassifier(ImageInputs, Classifier):
    """A network that tells pictures apart: arrays, lists, or a folder with a sub-folder per class.

    Parameters
    ----------
    network : "auto", str, settings, nn.Module or factory
        ``"auto"`` is a ``ConvNet``; names are "convnet", "lenet", "vgg", "resnet", "vision_transformer"; or your own
        module that maps (B, C, H, W) to (B, classes), one output for two classes.
    preparation : "auto", "none" or ImagePreparation
        Size, channels and scale; "none" leaves values as they are.
    augment : "auto", "none" or Augment
        How training pictures are varied.
    objective, optimizer, lr, schedule, batch_size, epochs, early_stopping, validation_fraction, class_weight
        As in ``Classifier``.
    effort, precision, device, random_state, verbose, warm_start, checkpoint, bootstrap, balance, threshold
        As in ``Classifier``; ``balance`` is "none", "batches", "oversample" or "undersample", of pictures that memory
        does not hold "none" or "batches".
    members : "auto" or int
        Networks that are trained and averaged; "auto" is one. Pictures that memory does not hold are read once for each
        of them in every epoch.

    Examples
    --------
    ``glia.ImageClassifier().fit("photos/")`` learns the names of the sub-folders of ``photos/``.
    """

    def __init__(
        self,
        network: Any = "auto",
        preparation: Any = "auto",
        augment: Any = "auto",
        objective: Any = "auto",
        optimizer: Any = "auto",
        lr: Any = "auto",
        schedule: Any = "auto",
        batch_size: Any = "auto",
        epochs: Any = "auto",
        early_stopping: Any = "auto",
        validation_fraction: float = 0.15,
        class_weight: Any = None,
        effort: str = "default",
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = 0,
        verbose: int = 0,
        warm_start: bool = False,
        checkpoint: Any = None,
        members: Any = "auto",
        bootstrap: bool = False,
        balance: Any = "none",
        threshold: Any = "auto",
    ) -> None:
        super().__init__(
            network, preparation, objective, optimizer, lr, schedule, batch_size, epochs, early_stopping,
            validation_fraction, class_weight, effort, precision, device, random_state, verbose, warm_start, checkpoint,
            members, bootstrap, balance, threshold,
        )  # fmt: skip
        self.augment = augment

    def predict_frame(self, X: Any) -> pl.DataFrame:
        """Return a frame with ``prediction`` and ``probability_<class>``; of a folder with ``file`` before them."""
        found = self._found(X)
        frame = super().predict_frame(found)
        return frame.insert_column(0, pl.Series("file", found.names)) if isinstance(found, ImageFolder) else frame

    def evaluate(self, X: Any, y: Any = None, sample_weight: Any = None, *, n_boot: int = 500) -> EvaluationResult:
        """Score predictions, each metric with a bootstrap interval; of a folder, ``y`` are its sub-folders' names.

        Raises
        ------
        InputError
            If there are classes that were not learned.
        """
        found = self._found(X)
        return super().evaluate(found, self._folder_targets(found, y), sample_weight, n_boot=n_boot)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy; of a folder, ``y`` are its sub-folders' names."""
        found = self._found(X)
        return float(super().score(found, self._folder_targets(found, y), sample_weight))

    def _labels(self, y: Any) -> NDArray[Any]:
        values = super()._labels(as_array(y))
        if values.ndim == 1:
            unknown, counts = np.unique(values[~np.isin(values, self.classes_)], return_counts=True)
            if len(unknown):
                named = ", ".join(
                    f"{name!r} ({many})" for name, many in zip(unknown[:5].tolist(), counts, strict=False)
                )
                got = f"{int(counts.sum())} of {len(values)} of others: {named}"
                raise InputError(
                    "pictures to judge by must be of classes that were learned", got, "leave them out, or fit with them"
                )
        return values
