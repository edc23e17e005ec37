"""Quantities read off pictures by a network."""

from __future__ import annotations

from typing import Any

import polars as pl

from glia.data.images import ImageFolder
from glia.estimators.image_inputs import ImageInputs
from glia.estimators.regressor import Regressor


class ImageRegressor(ImageInputs, Regressor):
    """A network that predicts quantities from pictures, with prediction intervals.

    Parameters
    ----------
    network, preparation, augment
        As in ``ImageClassifier``. Where a quantity depends on position or side, set ``augment="none"``.
    objective, optimizer, lr, schedule, batch_size, epochs, early_stopping, validation_fraction
        As in ``Regressor``.
    effort, precision, device, random_state, verbose, warm_start, checkpoint, bootstrap, target_transform, bounds
        As in ``Regressor``.
    members : "auto" or int
        Networks that are trained and averaged; "auto" is one.
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
        effort: str = "default",
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = 0,
        verbose: int = 0,
        warm_start: bool = False,
        checkpoint: Any = None,
        members: Any = "auto",
        bootstrap: bool = False,
        target_transform: str = "none",
        bounds: Any = None,
    ) -> None:
        super().__init__(
            network, preparation, objective, optimizer, lr, schedule, batch_size, epochs, early_stopping,
            validation_fraction, effort, precision, device, random_state, verbose, warm_start, checkpoint, members,
            bootstrap, target_transform, bounds,
        )  # fmt: skip
        self.augment = augment

    def predict_frame(self, X: Any) -> pl.DataFrame:
        """Return a frame with ``prediction``, ``low`` and ``high``, and ``file`` first where a folder is given."""
        found = self._found(X)
        frame = super().predict_frame(found)
        return frame.insert_column(0, pl.Series("file", found.names)) if isinstance(found, ImageFolder) else frame
