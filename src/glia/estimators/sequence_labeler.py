"""Labels for every step of a sequence (many to many)."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from glia.core.errors import InputError
from glia.data import Stream, Table
from glia.data.series import LONGEST, Sequences, nested_frame
from glia.estimators.rare_classes import ENOUGH, USUAL_SPREAD
from glia.estimators.sequence_input import SequenceInput, found_sequences, rows_of
from glia.estimators.step_labels import (
    NOTHING,
    StepCodes,
    StepCrossEntropy,
    StepObjective,
    StepTarget,
    fitted_codes,
    known_labels,
    label_codes,
    read_labels,
)
from glia.estimators.step_names import step_names
from glia.estimators.step_scores import evaluate_steps
from glia.estimators.step_windows import cut_evenly, windows_of
from glia.estimators.targets import ClassTarget
from glia.nn import as_network
from glia.nn.sequence_network import SequenceSpec
from glia.objectives import EvaluationResult, fit_temperature
from glia.objectives.penalties import Penalties

Floats = NDArray[np.float64]


class SequenceLabeler(SequenceInput):
    """A network that labels every step of a sequence.

    Parameters
    ----------
    network : "auto", str, settings, nn.Module or factory
        As in ``SequenceClassifier``; families of Glia's get a head for steps. Your own module returns (B, T·K): K
        scores for each step, one (the log odds) for two classes.
    preparation : "auto" or SequencePreparation
        Where its length is "auto", longer sequences than 2,048 steps are learned from in parts; else none may have more
        steps than it keeps. Predicted are sequences of any length, in windows that overlap by half.
    optimizer, lr, schedule, batch_size, epochs, early_stopping, validation_fraction, effort, precision
        As in ``Classifier``.
    device, random_state, verbose, warm_start, checkpoint
        As in ``Classifier``.

    Attributes
    ----------
    classes_ : ndarray
        Sorted labels.
    temperature_ : float
        What scores are divided by before they become probabilities.

    Notes
    -----
    ``y`` is an array (N, T) or a list of arrays, one label for each step; NaN or None where it is not known. Padding,
    and steps without a label, have no part in the loss, in calibration and in any metric.
    """

    _by_step = True
    members, bootstrap, objective = 1, False, "auto"
    temperature_: float
    _step_classes: NDArray[Any] | None = None
    _lengths: NDArray[np.intp]
    _steps: int
    _target: StepTarget

    def __init__(
        self,
        network: Any = "auto",
        preparation: Any = "auto",
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
    ) -> None:
        self.network, self.preparation = network, preparation
        self.optimizer, self.lr, self.schedule = optimizer, lr, schedule
        self.batch_size, self.epochs, self.early_stopping = batch_size, epochs, early_stopping
        self.validation_fraction, self.effort, self.precision = validation_fraction, effort, precision
        self.device, self.random_state, self.verbose = device, random_state, verbose
        self.warm_start, self.checkpoint = warm_start, checkpoint

    @property
    def target_(self) -> StepTarget:
        """The labels."""
        return self._target

    @target_.setter
    def target_(self, target: ClassTarget) -> None:
        self._target = StepTarget(target.classes, target.task)  # from a file it comes as one of whole sequences

    @property
    def classes_(self) -> NDArray[Any]:
        """Sorted labels."""
        if not hasattr(self, "_target"):
            raise AttributeError("classes_ are known after fit")
        return self._target.classes

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, validation: tuple[Any, Any] | None = None
    ) -> Any:
        """Fit to sequences and the labels of their steps: see ``SequenceInput.fit``."""
        warm = self.warm_start and hasattr(self, "network_")
        self._step_classes = self.classes_ if warm else None
        if not warm and getattr(self.preparation, "max_length", "auto") == "auto":
            X, y, sample_weight = _in_parts(X, y, sample_weight)
        return super().fit(X, y, sample_weight, validation=validation)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """Take one pass over further sequences; the first call may name all ``classes`` that will ever come."""
        if hasattr(self, "network_"):
            self._step_classes = self.classes_
        else:
            self._step_classes = None if classes is None else np.unique(np.asarray(classes))
        return super().partial_fit(X, y, classes, sample_weight)

    def predict_proba(self, X: Any) -> list[Floats]:
        """Return probabilities of the classes at every step: one array (T, K) a sequence."""
        sequences = rows_of(X)
        check_is_fitted(self, "network_")
        cut = windows_of(sequences, self.layout_.shape[0])
        flat = self._probabilities(self._outputs(cut.sequences), cut.sequences.lengths)[cut.kept]
        return np.split(flat, np.cumsum(sequences.lengths)[:-1])

    def predict(self, X: Any) -> list[NDArray[Any]]:
        """Return the most probable label of every step: one array (T,) a sequence."""
        return [self.classes_[part.argmax(axis=1)] for part in self.predict_proba(X)]

    def predict_frame(self, X: Any) -> pl.DataFrame:
        """Return a frame of all steps: ``sequence``, ``step``, ``prediction`` and ``probability_<class>``.

        Of a table, columns named as its id and its times take the place of the first two.
        """
        sequences = rows_of(X)
        flat = np.concatenate(self.predict_proba(sequences))
        told: dict[str, Any] = {"prediction": self.classes_[flat.argmax(axis=1)].tolist()}
        told |= {f"probability_{c}": flat[:, i] for i, c in enumerate(self.classes_.tolist())}
        return step_names(X, sequences).with_columns(**{name: pl.Series(values) for name, values in told.items()})

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None, *, n_boot: int = 500) -> EvaluationResult:
        """Score the labelled steps of all sequences, each metric with an interval from resampling whole sequences.

        A sequence's weight is that of each of its steps.
        """
        sequences = rows_of(X)
        truth = np.concatenate(read_labels(y, sequences.lengths))
        probability = np.concatenate(self.predict_proba(sequences))
        there = known_labels(truth)
        if not there.any():
            raise InputError("some step must have a label", "none")
        decided = self.classes_[probability.argmax(axis=1)]
        row = np.repeat(np.arange(len(sequences)), sequences.lengths)[there]
        labels = np.array(truth[there].tolist())
        weight = None if sample_weight is None else np.asarray(sample_weight)[row]
        return evaluate_steps(
            self.task_, labels, decided[there], probability[there], row, classes=self.classes_, sample_weight=weight,
            n_boot=n_boot,
        )  # fmt: skip

    def _probabilities(self, outputs: NDArray[np.float32], lengths: NDArray[np.intp]) -> Floats:
        """Return probabilities of all real steps, one after the other, (S, K)."""
        steps = self.layout_.shape[0]
        real = np.arange(steps)[None, :] < lengths[:, None]
        scores = torch.from_numpy(outputs.reshape(len(outputs), steps, -1)[real]).double() / self.temperature_
        if scores.shape[1] == 1:
            scores = torch.cat([torch.zeros_like(scores), scores], 1)
        return np.asarray(torch.softmax(scores, 1).numpy())

    def _dense(self, sequences: Any, steps: int) -> Any:
        most = int(sequences.lengths.max())
        if most > steps:
            bound = f" ({LONGEST} unless it is set)" if steps == LONGEST else ""
            do = f"cut it into parts, or fit with SequencePreparation(max_length={most})"
            raise InputError(f"a sequence to label must have at most {steps} steps{bound}", f"{most}", do)
        self._lengths, self._steps = sequences.lengths, steps
        return super()._dense(sequences, steps)

    def _check_y(self, y: Any) -> NDArray[Any]:
        steps = self._sequences.length_ if hasattr(self, "preparation_") else self._steps
        if isinstance(y, StepCodes):
            return fitted_codes(y, steps)
        parts = read_labels(y, self._lengths)
        classes = self._step_classes
        if classes is None:
            flat = np.concatenate(parts)
            classes = np.unique(np.array(flat[known_labels(flat)].tolist()))
            self._step_classes = classes
            if len(classes) < 2:
                got = f"{len(classes)} of them: {classes.tolist()}"
                raise InputError("the labels must be of at least two classes", got)
        return label_codes(parts, classes, steps)

    def _new_target(self, values: NDArray[Any], classes: Any = None) -> StepTarget:
        known = self._step_classes
        if known is None:
            raise InputError("the labels must be of at least two classes", "none")
        return StepTarget(known, "binary" if len(known) == 2 else "multiclass")

    def _resolve(self, weighted: bool = False) -> None:
        outputs = 1 if len(self.classes_) == 2 else len(self.classes_)
        # As several labels at once, which is what steps are to the engine: it measures nothing but the loss.
        self._resolved = StepObjective("multilabel", StepCrossEntropy(outputs), Penalties(), self.layout_.shape[0])

    def _settle(self, params: dict[str, Any], rows: int) -> dict[str, Any]:
        settled = super()._settle(params, rows)
        spec = as_network(settled["network"])
        if isinstance(spec, SequenceSpec):
            settled["network"] = clone(spec).set_params(head="steps")
        return settled

    def _calibrate(self, held: tuple[NDArray[Any], NDArray[Any]] | None) -> None:
        self.temperature_ = 1.0
        if held is None:
            return
        there = held[1] != NOTHING
        scores = held[0].reshape(*held[1].shape, -1)[there]
        if there.sum() >= ENOUGH:
            task: Any = self.task_
            self.temperature_ = fit_temperature(scores, held[1][there], task, spread=USUAL_SPREAD)


def _in_parts(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Return sequences that are too long to be read at once, their labels and weights in parts; others as they are."""
    if isinstance(X, Stream):
        return X, y, sample_weight
    sequences = found_sequences(X)
    if not isinstance(sequences, Sequences) or sequences.lengths.max() <= LONGEST:
        return X, y, sample_weight
    cut, labels, row = cut_evenly(sequences, read_labels(y, sequences.lengths), LONGEST)
    weight = None if sample_weight is None else np.asarray(sample_weight)[row]
    return (Table(nested_frame(cut), X.schema, X.name) if isinstance(X, Table) else cut), labels, weight
