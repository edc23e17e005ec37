"""Classification of rows by a network: two classes, several, or several labels at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from glia.estimators.base import NetworkEstimator
from glia.estimators.targets import ClassTarget, as_array, class_column
from glia.objectives import EvaluationResult, class_weights, evaluate, fit_temperature, probabilities

Floats = NDArray[np.float64]
ENOUGH = 50
"""Fewest held-out rows from which a temperature is learned."""


class Classifier(ClassifierMixin, NetworkEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """A network that tells classes apart, with scikit-learn's contract and calibrated probabilities.

    Parameters
    ----------
    network : "auto", str, settings, nn.Module or factory
        ``"auto"``, a name of ``glia.nn.networks``, ``glia.nn.MLP(...)``, or your own module or what makes one.
    preparation : "auto", "none" or Preparation
        How rows become tensors; "none" hands arrays of numbers on as they are.
    objective : "auto", str, Loss or Objective
        Loss and penalties; "auto" is cross-entropy.
    optimizer : "auto", str or Optimizer
        Update rule.
    lr : "auto" or float
        Learning rate, > 0.
    schedule : "auto", str or schedule
        How the rate changes over the steps.
    batch_size, epochs : "auto" or int
        Rows per step, and most passes over the rows.
    early_stopping : "auto", bool or int
        Whether to stop when validation no longer improves; a number is the patience in epochs.
    validation_fraction : float
        Share of the rows held out for that, in [0, 1); none are below 100 rows.
    class_weight : None, "balanced" or mapping
        Weights of the classes.
    effort : {"quick", "default", "best"}
        How many steps a good result is worth.
    precision : {"auto", "float32", "bfloat16"}
        Of the forward pass.
    device : str
        "auto", "cpu", "cuda", ….
    random_state : int, None or RandomState
        Same seed, same bits.
    verbose : int
        0 is silent; 1 draws a progress line in a terminal.
    warm_start : bool
        Go on from the fitted weights in the next ``fit``.
    checkpoint : path-like, Checkpoints or None
        Folder in which ``fit`` keeps its state every minute, and from which the same fit (settings, rows and a fixed
        ``random_state``) goes on to the same bits after it was killed. One folder for one fit. ``partial_fit``, and
        ``fit`` that goes on from fitted weights, ignore it.
    members : int
        How many networks are trained at once; they differ in their random start, and probabilities are averaged.
    bootstrap : bool
        Whether each member learns from a bootstrap sample of its own (bagging).

    Attributes
    ----------
    classes_ : ndarray
        Sorted labels.
    temperature_ : float
        What raw scores are divided by before they become probabilities (arXiv 1706.04599).
    """

    def __init__(
        self,
        network: Any = "auto",
        preparation: Any = "auto",
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
        members: int = 1,
        bootstrap: bool = False,
    ) -> None:
        self.network, self.preparation, self.objective = network, preparation, objective
        self.optimizer, self.lr, self.schedule = optimizer, lr, schedule
        self.batch_size, self.epochs, self.early_stopping = batch_size, epochs, early_stopping
        self.validation_fraction, self.class_weight = validation_fraction, class_weight
        self.effort, self.precision, self.device = effort, precision, device
        self.random_state, self.verbose, self.warm_start = random_state, verbose, warm_start
        self.checkpoint, self.members, self.bootstrap = checkpoint, members, bootstrap

    @property
    def classes_(self) -> NDArray[Any]:
        """Sorted labels."""
        if not hasattr(self, "target_"):
            raise AttributeError("classes_ are known after fit")
        return self.target_.classes  # type: ignore[no-any-return]

    def predict_proba(self, X: Any) -> Floats:
        """Return calibrated probabilities, (N, C) in the order of ``classes_``, or (N, L) for several labels."""
        return self._probabilities(self._outputs(X))

    def predict_members(self, X: Any) -> Floats:
        """Return the probabilities of every member, (K, N, C), or (K, N, L) for several labels."""
        return np.stack([self._probabilities(outputs) for outputs in self._member_outputs(X)])

    def _probabilities(self, outputs: NDArray[np.float32]) -> Floats:
        scores = torch.from_numpy(outputs).double() / self.temperature_
        if self.task_ == "multiclass":
            return probabilities(scores, self.task_, self._resolved.loss).numpy()
        # The sigmoid as a softmax over (0, score): torch's sigmoid rounds the last few elements of an array in another
        # way than those before, and a row's probability must not depend on how many rows come with it.
        pairs = torch.softmax(torch.stack([torch.zeros_like(scores), scores], dim=-1), dim=-1)  # (N, O, 2)
        return (pairs[:, 0] if self.task_ == "binary" else pairs[..., 1]).numpy()

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable labels, (N,), or 0/1 (N, L) for several labels."""
        probability = self.predict_proba(X)
        return self.target_.decide(probability)  # type: ignore[no-any-return]

    def predict_frame(self, X: Any) -> pl.DataFrame:
        """Return a frame with the columns ``prediction`` and ``probability_<class>``."""
        probability = self.predict_proba(X)
        named = {f"probability_{c}": probability[:, i] for i, c in enumerate(self.classes_.tolist())}
        decided = self.target_.decide(probability)
        if self.task_ == "multilabel":
            labels = self._target_names(decided.shape[1])
            found = {f"prediction_{label}": decided[:, i] for i, label in enumerate(labels)}
            return pl.DataFrame(found | {f"probability_{label}": probability[:, i] for i, label in enumerate(labels)})
        return pl.DataFrame({"prediction": decided.tolist(), **named})

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None, *, n_boot: int = 500) -> EvaluationResult:
        """Score predictions, each metric with a bootstrap interval."""
        probability, values = self.predict_proba(X), self._labels(y)
        decided = self.target_.decide(probability)
        classes = None if self.task_ == "multilabel" else self.classes_
        return evaluate(self.task_, values, decided, probability, sample_weight, classes=classes, n_boot=n_boot)

    def _labels(self, y: Any) -> NDArray[Any]:
        """Return labels of the kind of ``classes_``: what was read from a file may be strings instead of numbers."""
        values = class_column(as_array(y))
        if values.dtype.kind != self.classes_.dtype.kind and self.task_ != "multilabel":
            names = {str(label): label for label in self.classes_.tolist()}
            values = np.array([names.get(str(value), value) for value in values.tolist()])
        return values

    def _check_y(self, y: Any) -> NDArray[Any]:
        values = class_column(as_array(y))
        check_classification_targets(values)
        return values

    def _strata(self, values: NDArray[Any]) -> NDArray[Any] | None:
        return None if values.ndim > 1 else np.unique(values, return_inverse=True)[1]

    def _row_weight(self, values: NDArray[Any], weight: Floats | None) -> Floats | None:
        if self.class_weight is None:
            return weight
        known = np.unique(values) if isinstance(self.class_weight, str) else [*self.class_weight, *np.unique(values)]
        factors = class_weights(values, self.class_weight, classes=known)
        return factors if weight is None else factors * weight

    def _new_target(self, values: NDArray[Any], classes: Any = None) -> ClassTarget:
        return ClassTarget().fit(values, classes)

    def _calibrate(self, held: tuple[NDArray[Any], NDArray[Any]] | None) -> None:
        self.temperature_ = 1.0
        if held is not None and len(held[0]) >= ENOUGH:
            self.temperature_ = fit_temperature(held[0], held[1], self.task_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
