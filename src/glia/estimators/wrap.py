"""Any torch module as a ``Predictor``: what the parts that look into networks take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.errors import InputError, near
from glia.core.layout import Feature, Layout
from glia.core.protocols import Task
from glia.data.frames import to_frame
from glia.nn.modes import evaluating

_BATCH = 4096


class WrappedModule:
    """A module, what it predicts and how rows become its input. Made by ``glia.wrap``.

    Attributes
    ----------
    network_ : nn.Module
        The module itself; its weights, its mode and its place are left as they are.
    task_ : {"binary", "multiclass", "multilabel", "regression"}
        What is predicted.
    classes_ : ndarray
        Of classifiers.
    layout_ : Layout
        Of the rows that were seen last; before that, without a shape.
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        feature_names: Sequence[str] | None,
        classes: Sequence[Any] | None,
        prepare: Callable[[Any], Any] | None,
    ) -> None:
        self.network_, self.task_ = network, task
        self.layout_ = Layout(())
        self._names = None if feature_names is None else [str(name) for name in feature_names]
        self._prepare = prepare
        if task != "regression":
            self._classes = None if classes is None else np.asarray(classes)

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns: as given, as in the last frame, or numbered (x0, x1)."""
        if self._names is not None:
            return self._names
        count = self.layout_.shape[0] if len(self.layout_.shape) == 1 else 0
        return [f"x{i}" for i in range(count)]

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels by the position of their score; whole numbers where none were given."""
        if self.task_ == "regression":
            raise AttributeError("a regression has no classes")
        if self._classes is not None:
            return self._classes
        return np.arange(2 if self.task_ == "binary" else self._outputs)

    def prepare(self, X: Any) -> Tensor:
        """Return rows as the module takes them, (N, *shape), where its weights are.

        Raises
        ------
        InputError
            If there are no rows, or they are not finite numbers.
        """
        if self._prepare is not None:
            X = self._prepare(X)
        elif hasattr(X, "columns"):
            frame = to_frame(X)
            self._names = self._names or list(frame.columns)
            X = frame.to_numpy()
        x = X if isinstance(X, Tensor) else torch.from_numpy(_numbers(X))
        if not x.ndim or not len(x):
            raise InputError("there must be rows", "none", "hand in at least one")
        weight = next(self.network_.parameters(), None)
        if weight is not None:
            x = x.to(weight.device, weight.dtype if x.is_floating_point() else None)
        shape = tuple(x.shape[1:])
        if len(shape) == 1 and self._names is not None and len(self._names) != shape[0]:
            raise InputError("there must be a name for every column", f"{len(self._names)} for {shape[0]}")
        self.layout_ = Layout(shape)
        if len(shape) == 1:
            self.layout_ = Layout(shape, tuple(Feature(name, name) for name in self.feature_names))
        return x

    def forward(self, batch: Tensor) -> Tensor:
        """Run the module in evaluation mode: (B, *shape) → (B, outputs); its modes are put back."""
        with evaluating(self.network_):
            output = self.network_(batch)
        if not isinstance(output, Tensor):
            raise InputError("the module must return one tensor", type(output).__name__, "wrap it in one that does")
        return output.reshape(len(batch), -1)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return labels, (N,) or (N, L), or values, (N,) or (N, T)."""
        outputs = self._scores(X)
        if self.task_ == "regression":
            return outputs[:, 0] if outputs.shape[1] == 1 else outputs
        if self.task_ == "multilabel":
            return (outputs > 0).astype(np.int64)
        found = (outputs[:, 0] > 0).astype(np.int64) if self.task_ == "binary" else outputs.argmax(axis=1)
        return np.asarray(self.classes_[found])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities of the classes, (N, C); of several labels, each label's own, (N, L)."""
        scores = torch.from_numpy(self._scores(X))
        if self.task_ == "regression":
            raise AttributeError("a regression has no probabilities")
        if self.task_ == "multiclass":
            return scores.softmax(1).numpy()
        high = scores.sigmoid().numpy()
        return high if self.task_ == "multilabel" else np.hstack([1 - high, high])

    @torch.no_grad()
    def _scores(self, X: Any) -> NDArray[np.float64]:
        parts = [self.forward(part).double().cpu() for part in torch.split(self.prepare(X), _BATCH)]
        scores = torch.cat(parts).numpy()
        self._outputs = scores.shape[1]
        if self.task_ == "binary" and scores.shape[1] != 1:
            raise InputError("a binary network gives one score", f"{scores.shape[1]}", 'wrap it with task="multiclass"')
        return np.asarray(scores)

    def __repr__(self) -> str:
        return f"wrap({type(self.network_).__name__}, task={self.task_!r})"


def wrap(
    module: nn.Module,
    task: Task = "regression",
    *,
    feature_names: Sequence[str] | None = None,
    classes: Sequence[Any] | None = None,
    prepare: Callable[[Any], Any] | None = None,
) -> WrappedModule:
    """Make a ``Predictor`` of any ``nn.Module``, for the parts that explain, diagnose, attack and compress.

    Parameters
    ----------
    module : nn.Module
        Maps one tensor (B, *shape) to raw scores (B, outputs) or (B,): a logit for two classes, logits for more.
    task : {"regression", "binary", "multiclass", "multilabel"}
        What the scores are.
    feature_names : sequence of str, optional
        Of rows that are vectors.
    classes : sequence, optional
        Labels in the order of the scores; for two classes, the second is the one whose logit it is.
    prepare : callable, optional
        Rows → tensor or array (N, *shape). Without it rows must be numbers already.

    Raises
    ------
    InputError
        If it is no module, or there is no such task.

    Examples
    --------
    >>> import glia, torch
    >>> glia.wrap(torch.nn.Linear(2, 1)).predict([[0.0, 0.0]]).shape
    (1,)
    """
    if not isinstance(module, nn.Module):
        raise InputError("wrap takes an nn.Module", type(module).__name__, "hand in the network itself")
    if task not in get_args(Task):
        raise InputError(
            f"task must be one of {', '.join(get_args(Task))}", repr(task), near(str(task), get_args(Task))
        )
    return WrappedModule(module, task, feature_names, classes, prepare)


def _numbers(X: Any) -> NDArray[np.float32]:
    try:
        array = np.asarray(X, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(
            "rows of a bare module must be numbers", str(error), "hand in prepare=, which turns rows into tensors"
        ) from error
    if not np.isfinite(array).all():
        raise InputError("rows must be finite numbers", "NaN or infinity", "fill them in, or hand in prepare=")
    return np.ascontiguousarray(array)
