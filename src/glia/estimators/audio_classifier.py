"""Classification of sounds by a network."""

from __future__ import annotations

from typing import Any

import polars as pl

from glia.data.audio import AudioFolder
from glia.estimators.audio_inputs import AudioInputs
from glia.estimators.classifier import Classifier
from glia.objectives import EvaluationResult


class AudioClassifier(AudioInputs, Classifier):
    """A network that tells sounds apart: WAV files, arrays of samples, or a folder with a sub-folder per class.

    Parameters
    ----------
    network : "auto", str, settings, nn.Module or factory
        As in ``SequenceClassifier``, for steps of spectra; with ``AudioPreparation(form="picture")`` as in
        ``ImageClassifier``.
    preparation : "auto" or AudioPreparation
        Rate, length, and spectra on the mel scale.
    augment : "auto", "none" or SpecAugment
        How training sounds are varied; "auto" leaves them as they are.
    sample_rate : int, optional
        Samples per second of arrays; files say it themselves.
    **others
        As in ``Classifier``; ``members="auto"`` is one network.

    Examples
    --------
    ``glia.AudioClassifier().fit("sounds/")`` learns the names of the sub-folders of ``sounds/``.
    """

    def __init__(
        self,
        network: Any = "auto",
        preparation: Any = "auto",
        augment: Any = "auto",
        sample_rate: int | None = None,
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
        self.augment, self.sample_rate = augment, sample_rate

    def predict_frame(self, X: Any) -> pl.DataFrame:
        """Return a frame with ``prediction`` and ``probability_<class>``; of a folder with ``file`` before them."""
        found = self._found(X)
        frame = super().predict_frame(found)
        return frame.insert_column(0, pl.Series("file", found.names)) if isinstance(found, AudioFolder) else frame

    def evaluate(self, X: Any, y: Any = None, sample_weight: Any = None, *, n_boot: int = 500) -> EvaluationResult:
        """Score predictions, each metric with a bootstrap interval; of a folder, ``y`` are its classes."""
        found = self._found(X)
        return super().evaluate(found, self._folder_targets(found, y), sample_weight, n_boot=n_boot)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy; of a folder, ``y`` are its classes."""
        found = self._found(X)
        return float(super().score(found, self._folder_targets(found, y), sample_weight))
