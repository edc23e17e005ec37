"""Weights of rows from weights of classes, for data in which some classes are rare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glia.core.errors import InputError, near


def class_weights(
    y: ArrayLike,
    weight: str | Mapping[Any, float] | None,
    classes: Sequence[Any] | NDArray[Any] | None = None,
) -> NDArray[np.float64]:
    """Return one weight per row, (N,).

    Parameters
    ----------
    y : array-like, (N,)
        Class labels.
    weight : "balanced", mapping or None
        ``"balanced"``: N / (K · count of the row's class), K the number of classes that occur, so that all classes
        weigh the same and the mean weight is 1 (King and Zeng 2001). A mapping gives class → weight; classes that it
        does not name weigh 1. ``None``: all rows weigh 1.
    classes : array-like, optional
        The classes that may occur; by default those in ``y``.

    Raises
    ------
    InputError
        If a label or a key is not among the classes, a weight is negative or not finite, or the word is unknown.
    """
    labels = np.asarray(y)
    if labels.ndim != 1:
        raise InputError("class weights need one label per row", f"y of shape {labels.shape}", "use sample_weight")
    present, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    known = present.tolist() if classes is None else np.asarray(classes).tolist()
    strange = [label for label in present.tolist() if label not in known]
    if strange:
        raise InputError(
            "every label must be one of the classes", f"label {strange[0]!r}", near(str(strange[0]), known)
        )
    if weight is None:
        return np.ones(len(labels))
    if isinstance(weight, str):
        if weight != "balanced":
            raise InputError("class_weight must be 'balanced', a mapping or None", f"class_weight={weight!r}")
        return np.asarray((len(labels) / (len(present) * counts))[inverse], dtype=np.float64)
    if not isinstance(weight, Mapping):
        raise InputError("class_weight must be 'balanced', a mapping or None", f"class_weight={weight!r}")
    return _from_mapping(weight, known, present, inverse)


def _from_mapping(
    weight: Mapping[Any, float], known: list[Any], present: NDArray[Any], inverse: NDArray[np.intp]
) -> NDArray[np.float64]:
    for key, value in weight.items():
        if key not in known:
            raise InputError(
                "every key of class_weight must be one of the classes", f"key {key!r}", near(str(key), map(str, known))
            )
        if not (np.isfinite(value) and value >= 0):
            raise InputError("a class weight must be finite and at least 0", f"class_weight[{key!r}]={value!r}")
    return np.asarray([float(weight.get(label, 1.0)) for label in present.tolist()], dtype=np.float64)[inverse]
