"""The perceptron as an estimator: step activation, learning rule, mistake bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.estimators.inputs import canonical, check_lengths, count, read_weight, take
from glia.estimators.prepared import PreparedEstimator
from glia.estimators.targets import ClassTarget, as_array, class_column
from glia.nn import PerceptronNetwork, mistake_bound, multiclass_perceptron_rule, perceptron_rule
from glia.objectives import class_weights


class Perceptron(ClassifierMixin, PreparedEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Rosenblatt's perceptron for two classes or several.

    The fit sees distinct rows in an order of its own, with their weights: it depends on neither the order of ``X`` nor
    on whether a row is given twice or weighs 2.

    Parameters
    ----------
    preparation : "auto", "none" or Preparation
        How rows become numbers.
    epochs : int
        Most passes over the rows; rows that no plane separates never settle.
    lr : float
        > 0; only the scale of the weights depends on it.
    fit_bias : bool
        Whether the plane may miss the origin.
    class_weight : None, "balanced" or mapping
        Weights of the classes: factors of the corrections.
    random_state : int or None
        Shuffles rows before each pass; ``None`` keeps their order.

    Attributes
    ----------
    network_ : PerceptronNetwork
    mistakes_, n_iter_ : int
        Mistakes, and passes.
    converged_ : bool
        Whether a whole pass was without a mistake.
    mistake_bound_ : float
        (R / margin)², the most mistakes that could have been made (Novikoff 1962), with the margin of the plane that
        was found; infinite where the rows were not separated or there are more than two classes.
    """

    def __init__(
        self,
        preparation: Any = "auto",
        epochs: int = 1000,
        lr: float = 1.0,
        fit_bias: bool = True,
        class_weight: Any = None,
        random_state: Any = None,
    ) -> None:
        self.preparation, self.epochs, self.lr, self.fit_bias = preparation, epochs, lr, fit_bias
        self.class_weight, self.random_state = class_weight, random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Perceptron:
        """Learn a separating plane.

        Parameters
        ----------
        X : frame, array or sparse matrix (N, D)
        y : array-like (N,)
            Classes.
        sample_weight : array-like (N,), optional
            Factors of the corrections, at least 0.

        Raises
        ------
        InputError
            If rows, targets or settings cannot be used.
        """
        rows = self._read_new(X)
        values = class_column(as_array(y))
        check_lengths(rows, values)
        index, weight = canonical(rows, values, read_weight(rows, sample_weight))
        rows, values = take(rows, index), values[index]
        if count(rows) < 2:
            raise InputError("training needs at least two rows", "1 sample (n_samples=1)", "hand in more rows")
        self.target_ = ClassTarget().fit(values)
        if self.task_ == "multilabel":
            raise InputError("a perceptron's target must be one column of classes", "several labels at once")
        if self.class_weight is not None:
            factor = class_weights(values, self.class_weight)
            weight = factor if weight is None else factor * weight
        x = self._fit_preparation(rows, values, onehot=True).reshape(len(index), -1).astype(np.float64)
        self._learn(x, self.target_.encode(values), weight)
        return self

    def _learn(self, x: NDArray[np.float64], codes: NDArray[Any], weight: NDArray[np.float64] | None) -> None:
        seed = None if self.random_state is None else int(check_random_state(self.random_state).randint(2**31))
        common: dict[str, Any] = {
            "max_epochs": self.epochs, "lr": self.lr, "fit_bias": self.fit_bias, "sample_weight": weight,
            "random_state": seed, "keep_best": True,
        }  # fmt: skip
        if self.task_ == "binary":
            found = perceptron_rule(x, codes, **common)
            plane = np.append(found.weights, found.bias) if self.fit_bias else found.weights
            self.mistake_bound_ = mistake_bound(x, codes, plane)
        else:
            found = multiclass_perceptron_rule(x, codes, n_classes=self.target_.outputs, **common)
            self.mistake_bound_ = float("inf")
        self.fit_, self.network_ = found, PerceptronNetwork.from_fit(found)
        self.mistakes_, self.n_iter_, self.converged_ = found.mistakes, found.epochs, found.converged

    @property
    def task_(self) -> Task:
        """What is predicted."""
        return self.target_.task

    @property
    def classes_(self) -> NDArray[Any]:
        """Sorted labels."""
        if not hasattr(self, "target_"):
            raise AttributeError("classes_ are known after fit")
        return self.target_.classes

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the weighted sums before the step: (N,) for two classes, (N, C) for several."""
        sums = self.prepare(X).double().numpy() @ np.atleast_2d(self.fit_.weights).T + np.atleast_1d(self.fit_.bias)
        return np.asarray(sums[:, 0] if self.task_ == "binary" else sums)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return classes, (N,)."""
        sums = self.decision_function(X)
        code = (sums > 0).astype(int) if self.task_ == "binary" else sums.argmax(axis=1)
        return np.asarray(self.classes_[code])

    def prepare(self, X: Any) -> Tensor:
        """Return rows as the network takes them, (N, D)."""
        check_is_fitted(self, "network_")
        rows = self._read_known(X)
        if count(rows) == 0:
            raise InputError("there must be rows to predict", "0 sample(s) while a minimum of 1 is required")
        return torch.from_numpy(self._transform(rows)).flatten(1)

    def forward(self, batch: Tensor) -> Tensor:
        """Run the network: (B, D) → its outputs."""
        check_is_fitted(self, "network_")
        return self.network_(batch)  # type: ignore[no-any-return]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        return tags
