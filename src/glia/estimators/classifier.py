"""Classification of rows by a network: two classes, several, or several labels at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from glia.estimators.rare_classes import RareClasses
from glia.estimators.rebalance import offset_of
from glia.estimators.targets import as_array, class_column
from glia.objectives import EvaluationResult, evaluate, imbalance, probabilities

Floats = NDArray[np.float64]


class Classifier(ClassifierMixin, RareClasses):  # type: ignore[misc]  # scikit-learn carries no types
    """A network that tells classes apart, with scikit-learn's contract and calibrated probabilities.

    Parameters
    ----------
    network : "auto", mapping, str, settings, nn.Module or factory
        ``"auto"``, what to change of it (``{"hidden": (64, 64)}``), a name of ``glia.nn.networks``,
        ``glia.nn.MLP(...)``, or your own module or what makes one.
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
        Weights of the classes' rows in training.
    effort : {"quick", "default", "best"}
        How many steps a good result is worth.
    precision : {"auto", "float32", "bfloat16"}
        Of the forward pass; "auto" is bfloat16 for large networks of layers that were compared, where the processor
        multiplies it, else float32. Weights and predictions are float32.
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
    members : "auto" or int
        How many networks are trained at once; they differ in their random start, and probabilities are averaged.
        "auto" is one where a network is given, and of "quick" effort; else 4 or, of "best" effort, 8, each of which
        holds out other rows, so that every row is learned from and also judges; their scores are averaged.
    bootstrap : bool
        Whether each member learns from a bootstrap sample of its own (bagging).
    balance : str or Balance
        How training rows are made to count evenly by class: "none", "batches" (every mini-batch has as many rows of
        each class), or a name of ``glia.data.balance.balancers``: "oversample", "undersample", "smote", …. Rows that
        judge (validation, test) are never touched.
    threshold : "auto", float, str or mapping
        From which probability on the second class is answered: a number, or chosen on the validation rows: "f1",
        "balanced" (accuracy), "mcc", ``{"recall_at_precision": 0.9}``, ``{"precision_at_recall": 0.9}``; or by costs,
        ``{"cost": [[0, 1], [5, 0]]}`` (true classes as rows). "auto" is the most probable class, counting classes as
        training did.
    radial : bool
        Whether, of "auto" members and below 8,000 rows, a radial network joins the mean at the end: it goes by
        distances to the rows (``glia.nn.RadialNetwork``) and makes answers better where it errs elsewhere. It holds the
        prepared training rows, and so does the model's file; ``False`` leaves both out.

    Attributes
    ----------
    classes_ : ndarray
        Sorted labels.
    threshold_ : float, tuple or None
        The threshold, one for each of several labels; ``None`` for more than two classes.

    Notes
    -----
    ``class_weight``, ``balance`` and some losses make classes count more than they are common. Probabilities are
    corrected for that (``glia.objectives.shift_prior``), so that they stay true; decisions keep the benefit.
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
        members: Any = "auto",
        bootstrap: bool = False,
        balance: Any = "none",
        threshold: Any = "auto",
        radial: bool = True,
    ) -> None:
        self.network, self.preparation, self.objective = network, preparation, objective
        self.optimizer, self.lr, self.schedule = optimizer, lr, schedule
        self.batch_size, self.epochs, self.early_stopping = batch_size, epochs, early_stopping
        self.validation_fraction, self.class_weight = validation_fraction, class_weight
        self.effort, self.precision, self.device = effort, precision, device
        self.random_state, self.verbose, self.warm_start = random_state, verbose, warm_start
        self.checkpoint, self.members, self.bootstrap = checkpoint, members, bootstrap
        self.balance, self.threshold, self.radial = balance, threshold, radial

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
        if self.factors_ is not None:
            scores = scores + torch.as_tensor(offset_of(self.factors_, self.task_), dtype=torch.float64)
        if self.task_ == "multiclass":
            return probabilities(scores, self.task_, self._resolved.loss).numpy()
        # The sigmoid as a softmax over (0, score): torch's sigmoid rounds the last few elements of an array in another
        # way than those before, and a row's probability must not depend on how many rows come with it.
        pairs = torch.softmax(torch.stack([torch.zeros_like(scores), scores], dim=-1), dim=-1)  # (N, O, 2)
        return (pairs[:, 0] if self.task_ == "binary" else pairs[..., 1]).numpy()

    def predict(self, X: Any) -> NDArray[Any]:
        """Return labels by ``threshold``, (N,), or 0/1 (N, L) for several labels."""
        return self.decide(self.predict_proba(X))

    def predict_frame(self, X: Any) -> pl.DataFrame:
        """Return a frame with the columns ``prediction`` and ``probability_<class>``."""
        probability = self.predict_proba(X)
        named = {f"probability_{c}": probability[:, i] for i, c in enumerate(self.classes_.tolist())}
        decided = self.decide(probability)
        if self.task_ == "multilabel":
            labels = self._target_names(decided.shape[1])
            found = {f"prediction_{label}": decided[:, i] for i, label in enumerate(labels)}
            return pl.DataFrame(found | {f"probability_{label}": probability[:, i] for i, label in enumerate(labels)})
        return pl.DataFrame({"prediction": decided.tolist(), **named})

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None, *, n_boot: int = 500) -> EvaluationResult:
        """Score predictions, each metric with a bootstrap interval; say so where accuracy misleads."""
        probability, values = self.predict_proba(X), self._labels(y)
        decided = self.decide(probability)
        classes = None if self.task_ == "multilabel" else self.classes_
        found = evaluate(self.task_, values, decided, probability, sample_weight, classes=classes, n_boot=n_boot)
        caution = "" if classes is None else imbalance(values, decided, classes, sample_weight).message
        return replace(found, caution=caution)

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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
