"""What is right for a row: one answer, or a label for every step; and how either is read and judged."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from glia.core.counts import counted
from glia.core.errors import InputError
from glia.estimators.sequence_input import found_sequences
from glia.estimators.step_labels import NOTHING, known_labels, read_labels
from glia.estimators.step_table import flat_labels, known_values, rarest_labels
from glia.estimators.targets import as_array

Array = NDArray[Any]
Scored = tuple[Any, Any, Any, Any]
"""A fitted estimator, rows, targets and weights, as scikit-learn's scores take them."""


class Answers:
    """One answer a row.

    Parameters
    ----------
    estimator : Any
        Unfitted, of the kind that gives such answers.
    """

    noun = "rows"

    def __init__(self, estimator: Any) -> None:
        self.classes = is_classifier(estimator)

    def read(self, X: Any, y: Any) -> Array:
        """Return the targets as an array that can be taken from by rows' numbers.

        Raises
        ------
        InputError
            If they cannot be learned from.
        """
        values = as_array(y)
        if self.classes:
            check_classification_targets(values)
        return values

    def strata(self, y: Array) -> Array | None:
        """Return classes (N,) whose shares all parts should have, ``None`` where there are none."""
        return y if self.classes and y.ndim == 1 else None

    def amount(self, y: Array) -> str:
        """Return in words how much there is to judge by."""
        return f"{len(y):,} validation {self.noun}"

    def scored(self, estimator: Any, X: Any, y: Array, weight: Any) -> Scored:
        """Return what scikit-learn's scores are asked about, from a fitted estimator and rows it has not seen."""
        return estimator, X, y, weight

    def best(self, y: Array) -> Scored | None:
        """Return what is scored where all answers are right, by which a score can be tried out; ``None`` if unknown."""
        return None

    def worth(self, encoded: Tensor) -> Tensor | None:
        """Return by how much each row's mean loss counts (N,), ``None`` where rows are alike."""
        return None


class StepAnswers(Answers):
    """A label for every step of a sequence, none where it is not known: every labelled step counts the same."""

    noun = "sequences"

    def read(self, X: Any, y: Any) -> Array:
        """Return the labels, an array (N,) of arrays (T,) with None for missing ones.

        Raises
        ------
        InputError
            If they are not as many as the steps, or none is known.
        """
        parts = read_labels(y, found_sequences(X).lengths)
        out = np.empty(len(parts), dtype=object)
        for row, part in enumerate(parts):
            there = known_labels(part)
            out[row] = part
            if not there.all():
                out[row] = part.astype(object)
                out[row][~there] = None
        if not flat_labels(out)[1].any():
            raise InputError("some step must have a label", "only missing ones")
        return out

    def strata(self, y: Array) -> Array | None:
        """Return the rarest label of every sequence as a number; those without any label are a class of their own."""
        labelled = np.flatnonzero([known_labels(part).any() for part in y])
        codes = np.full(len(y), NOTHING)
        codes[labelled] = np.unique(rarest_labels(y[labelled]), return_inverse=True)[1]
        return codes

    def amount(self, y: Array) -> str:
        """Return in words how much there is to judge by.

        Raises
        ------
        InputError
            If there is nothing.
        """
        labelled = int(flat_labels(y)[1].sum())
        if not labelled:
            got = f"{counted(len(y), 'sequence')} without any label"
            raise InputError("sequences that judge must have labels", got, "hold out others, or more")
        return f"{counted(labelled, 'labelled step')} of {counted(len(y), 'validation sequence')}"

    def scored(self, estimator: Any, X: Any, y: Array, weight: Any) -> Scored:
        """Return labelled steps as rows; each has its sequence's weight."""
        flat, there, row = flat_labels(self.read(X, y))
        found = _Steps(estimator.classes_, np.concatenate(estimator.predict_proba(X))[there])
        return found, found.probability, known_values(flat, there), None if weight is None else weight[row[there]]

    def best(self, y: Array) -> Scored | None:
        """Return labelled steps as rows, with all labels right and certain."""
        flat, there, _ = flat_labels(y)
        labels = known_values(flat, there)
        classes, codes = np.unique(labels, return_inverse=True)
        found = _Steps(classes, np.eye(len(classes))[codes])
        return found, found.probability, labels, None

    def worth(self, encoded: Tensor) -> Tensor | None:
        """Return the number of labelled steps of each row: its loss is their mean."""
        return (encoded != NOTHING).sum(1)


class _Steps(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Single steps as a fitted classifier's rows; it knows what is predicted of them, and looks at no others."""

    def __init__(self, classes: Array, probability: NDArray[np.float64]) -> None:
        self.classes, self.probability = classes, probability

    @property
    def classes_(self) -> Array:
        return self.classes

    def fit(self, X: Any, y: Any) -> _Steps:
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        return self.probability

    def predict(self, X: Any) -> Array:
        return np.asarray(self.classes_[self.probability.argmax(axis=1)])


def answers_of(estimator: Any) -> Answers:
    """Return what an estimator's answers are."""
    return StepAnswers(estimator) if getattr(estimator, "_by_step", False) else Answers(estimator)
