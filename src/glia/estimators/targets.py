"""What is predicted, as tensors and back: classes, labels or values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.estimators.target_transforms import Bounds, TargetTransform, fit_transform


def as_array(y: Any) -> NDArray[Any]:
    """Return a target of any container as an array (N,) or (N, T).

    Raises
    ------
    InputError
        If there is no target, or it holds missing or infinite values.
    """
    if y is None:
        raise InputError("requires y to be passed, but the target y is None")
    array = y.to_numpy() if hasattr(y, "to_numpy") else np.asarray(y)
    if array.dtype.kind == "c":
        raise InputError("targets must be real", f"dtype={array.dtype}: Complex data not supported")
    missing = np.array([_is_missing(v) for v in array.ravel()]) if array.dtype == object else None
    if missing is not None and missing.any():
        raise InputError(
            "the target must have a value in every row", f"{int(missing.sum())} missing", "drop these rows"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("the target must have a value in every row", "Input y contains NaN or infinity")
    return np.asarray(array)


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:  # pandas' NA says neither yes nor no
        return True


@dataclass
class ClassTarget:
    """Class labels ↔ the tensors that losses want.

    Attributes
    ----------
    classes : ndarray
        Sorted labels; for multi-label work the positions of the labels.
    task : Task
    """

    classes: NDArray[Any] = field(default_factory=lambda: np.empty(0))
    task: Task = "binary"

    def fit(self, y: NDArray[Any], classes: Any = None) -> ClassTarget:
        """Learn the classes.

        Raises
        ------
        InputError
            If there are fewer than two classes, or the target looks like a quantity.
        """
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multilabel-indicator":
            self.task, self.classes = "multilabel", np.arange(y.shape[1])
            return self
        if kind == "multiclass-multioutput":
            raise InputError(
                "several targets at once must be 0 or 1 each (multi-label)", "a target of several columns of classes"
            )
        self.classes = np.unique(y if classes is None else np.asarray(classes))
        if len(self.classes) < 2:
            raise InputError(
                "the target must have at least two classes",
                f"one class: {self.classes.tolist()[0]!r}",
                "check the rows or choose another target",
            )
        self.task = "binary" if len(self.classes) == 2 else "multiclass"
        return self

    @property
    def outputs(self) -> int:
        """Number of classes or labels."""
        return len(self.classes)

    def encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return float32 (N,) of 0 and 1, int64 (N,) class numbers, or float32 (N, L).

        Raises
        ------
        InputError
            If a label was not among the classes.
        """
        if self.task == "multilabel":
            return np.asarray(y, dtype=np.float32)
        try:
            where = np.clip(np.searchsorted(self.classes, y), 0, len(self.classes) - 1)
            strange = np.broadcast_to(self.classes[where] != y, where.shape)
        except TypeError:  # words among numbers, which have no common order
            where, strange = np.zeros(len(y), dtype=np.intp), np.ones(len(y), dtype=bool)
        if strange.any():
            raise InputError(
                "labels must be among the classes that were fitted",
                f"{np.asarray(y)[strange][0]!r}",
                f"the classes are {self.classes.tolist()[:20]}",
            )
        return where.astype(np.float32 if self.task == "binary" else np.int64)

    def decide(self, probability: NDArray[Any]) -> NDArray[Any]:
        """Return labels for probabilities (N, C), or 0/1 (N, L) for multi-label work."""
        if self.task == "multilabel":
            return (probability > 0.5).astype(np.int64)
        return np.asarray(self.classes[probability.argmax(axis=1)])


@dataclass
class ValueTarget:
    """Quantities ↔ standardised float32 (N, T).

    Attributes
    ----------
    mean, scale : ndarray (T,)
        What was subtracted and divided by.
    single : bool
        Whether y was (N,): predictions then are too.
    transform : TargetTransform or None
        What was applied before.
    bounds : tuple of float or None
        Between which predictions are kept.
    rest : ndarray (R, T) or None
        Errors on the transformed scale, by which the mean on the target's own scale is found.
    """

    mean: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    scale: NDArray[np.float64] = field(default_factory=lambda: np.ones(1))
    single: bool = True
    task: Task = "regression"
    transform: TargetTransform | None = None
    bounds: Bounds | None = None
    rest: NDArray[np.float64] | None = None

    def fit(
        self,
        y: NDArray[Any],
        weight: NDArray[Any] | None = None,
        *,
        standardise: bool = True,
        transform: str = "none",
        bounds: Bounds | None = None,
    ) -> ValueTarget:
        """Learn transform, location and scale; a constant target keeps scale 1.

        Raises
        ------
        InputError
            If a value is not a finite number, lies out of the bounds, or does not fit the transform.
        """
        columns = self._columns(y)
        self.single, self.bounds = y.ndim == 1, bounds
        if bounds is not None and not (bounds[0] <= columns.min() and columns.max() <= bounds[1]):
            got = f"values from {columns.min():g} to {columns.max():g} for bounds={bounds!r}"
            raise InputError("targets must lie within their bounds", got, "correct the bounds or the values")
        self.transform, self.rest = fit_transform(transform, columns, bounds), None
        columns = self._forward(columns)
        self.mean, self.scale = np.zeros(columns.shape[1]), np.ones(columns.shape[1])
        if standardise:
            self.mean = np.average(columns, axis=0, weights=weight)
            spread = np.sqrt(np.average((columns - self.mean) ** 2, axis=0, weights=weight))
            self.scale = np.where(spread > 0, spread, 1.0)
        return self

    @property
    def outputs(self) -> int:
        """Number of targets."""
        return len(self.mean)

    def encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return standardised targets, float32 (N, T)."""
        return ((self._forward(self._columns(y)) - self.mean) / self.scale).astype(np.float32)

    def scaled(self, output: NDArray[Any]) -> NDArray[np.float64]:
        """Undo the standardisation alone: (N, T) on the scale of the transform."""
        return np.asarray(output.astype(np.float64) * self.scale + self.mean)

    def restore(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values (N, T) of the transformed scale in the target's own units, within the bounds."""
        values = values if self.transform is None else self.transform.inverse(values)
        return values if self.bounds is None else np.clip(values, *self.bounds)

    def decode(self, output: NDArray[Any], *, mean: bool = False) -> NDArray[np.float64]:
        """Return values in the target's own units, (N,) or (N, T).

        With ``mean`` they are means also where the transform is not linear: of what each held-out error would lead to
        (Duan's smearing, JASA 1983). Without, the transform is just undone, which maps medians to medians.
        """
        values = self.scaled(output)
        if mean and self.transform is not None and self.rest is not None:
            values = np.mean([self.restore(values + error) for error in self.rest], axis=0)
        else:
            values = self.restore(values)
        return values[:, 0] if self.single else values

    def learn_rest(self, errors: NDArray[np.float64], most: int = 51) -> None:
        """Keep quantiles of held-out errors (M, T) on the transformed scale."""
        if self.transform is not None and len(errors):
            self.rest = np.quantile(errors, (np.arange(most) + 0.5) / most, axis=0)

    def _forward(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        return columns if self.transform is None else self.transform.forward(columns)

    @staticmethod
    def _columns(y: NDArray[Any]) -> NDArray[np.float64]:
        try:
            columns = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        except (TypeError, ValueError) as error:
            raise InputError(
                "the target of a regression must be numbers", str(error), "use Classifier for classes"
            ) from error
        if not np.isfinite(columns).all():
            raise InputError("the target must have a value in every row", "Input y contains NaN or infinity")
        return columns


def class_column(y: NDArray[Any]) -> NDArray[Any]:
    """Return a column vector of labels as (N,), with scikit-learn's warning; leave indicator matrices alone."""
    return y if y.ndim == 2 and y.shape[1] > 1 else np.asarray(column_or_1d(y, warn=True))
