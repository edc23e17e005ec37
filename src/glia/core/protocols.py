"""The few shapes that parts agree on. Everything above the engine speaks in these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.layout import Layout

Task = Literal["binary", "multiclass", "multilabel", "regression"]
"""What is predicted. ``regression`` covers one target and several."""

FloatArray = NDArray[np.floating[Any]]


@runtime_checkable
class NetworkSpec(Protocol):
    """Settings of a network family: knows how to build a module once the data's layout is known."""

    def build(self, layout: Layout, out_features: int) -> nn.Module:
        """Return a freshly initialised module that maps (B, *layout.shape) to (B, out_features)."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """A fitted model as the parts that look into it see it. ``glia.wrap`` makes one of any ``nn.Module``."""

    network_: nn.Module
    task_: Task

    @property
    def feature_names(self) -> Sequence[str]:
        """Names of the original columns."""
        ...

    def prepare(self, X: Any) -> Tensor:
        """Turn rows into the network's input, (N, *shape)."""
        ...

    def forward(self, batch: Tensor) -> Tensor:
        """Run the network in evaluation mode: (B, *shape) → (B, outputs), raw scores."""
        ...

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict classes or values for rows."""
        ...


class PreparationLike(Protocol):
    """What turns rows into tensors: fitted on training rows only, saved with the model."""

    layout_: Layout

    def fit(self, X: Any, y: Any = None) -> Any:
        """Learn statistics from training rows."""
        ...

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Turn rows into a contiguous array (N, *layout_.shape)."""
        ...


Device = torch.device
