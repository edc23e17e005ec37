"""A fitted linear model reduced to its numbers, which a file can hold without code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from glia.core.errors import InputError

Floats = NDArray[np.float64]


class FrozenLinear:
    """Weights and offsets of a linear or logistic model.

    Parameters
    ----------
    weight : ndarray (O, D)
    offset : ndarray (O,)
    classes : ndarray (C,), optional
        Labels of a logistic model, O = 1 for two and C for more; without them values are predicted.
    """

    def __init__(self, weight: Floats, offset: Floats, classes: NDArray[Any] | None = None) -> None:
        outputs = len(weight) if weight.ndim == 2 else -1
        fits = offset.shape == (outputs,)
        if classes is not None:
            fits = fits and outputs == (1 if len(classes) == 2 else len(classes))
            self.classes_ = classes
        if not fits:
            raise InputError(
                "weights, offsets and classes must fit together", f"{weight.shape}, {offset.shape}, {classes}"
            )
        self.weight, self.offset = weight, offset

    @classmethod
    def of(cls, model: Any) -> FrozenLinear:
        """Take the numbers of a fitted linear model of scikit-learn.

        Raises
        ------
        InputError
            If the model is not linear, or its probabilities are not the softmax (the sigmoid) of its scores.
        """
        if isinstance(model, FrozenLinear):
            return model
        if not (hasattr(model, "coef_") and hasattr(model, "intercept_")):
            raise InputError("only a linear meta-model can be stored as numbers", type(model).__name__)
        weight = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
        offset = np.broadcast_to(np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64)), len(weight)).copy()
        made = cls(weight, offset, getattr(model, "classes_", None))
        probe = np.random.default_rng(0).normal(size=(16, weight.shape[1]))
        said = model.predict_proba(probe) if hasattr(model, "predict_proba") else None
        if (said is None) != (getattr(made, "classes_", None) is None) or (
            said is not None and not np.allclose(said, made.predict_proba(probe), atol=1e-9)
        ):
            raise InputError("only linear and logistic meta-models can be stored as numbers", type(model).__name__)
        return made

    def predict(self, X: Any) -> NDArray[Any]:
        """Return values (N, O), or labels (N,)."""
        if hasattr(self, "classes_"):
            return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])
        return np.asarray(X @ self.weight.T + self.offset)

    def predict_proba(self, X: Any) -> Floats:
        """Return probabilities, (N, C)."""
        score = np.asarray(X @ self.weight.T + self.offset)
        if score.shape[1] == 1:
            return np.asarray(np.concatenate([expit(-score), expit(score)], axis=1))
        return np.asarray(softmax(score, axis=1))
