"""A predictor with another network, or with rows that are moved a little."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from glia.core.protocols import Predictor
from glia.nn.modes import evaluating


class StandIn:
    """A predictor with another network: all else is that of the one it stands for.

    Parameters
    ----------
    predictor : Predictor
        The one it stands for.
    network : nn.Module
        Run in the place of its network.
    dtype : torch.dtype, optional
        Of prepared rows.
    moved : tuple of rows and Tensor, optional
        Rows (the very object) and what is added to them once they are prepared, (N, *shape).

    Attributes
    ----------
    was_moved : bool
        Whether those rows were asked for.
    """

    def __init__(
        self,
        predictor: Predictor,
        network: nn.Module,
        *,
        dtype: torch.dtype | None = None,
        moved: tuple[Any, Tensor] | None = None,
    ) -> None:
        self._for, self.network_, self._dtype, self._moved = predictor, network, dtype, moved
        self.task_, self.was_moved = predictor.task_, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_for"], name)

    @property
    def feature_names(self) -> Any:
        """Names of the original columns."""
        return self._for.feature_names

    def prepare(self, X: Any) -> Tensor:
        """Return rows as the network takes them."""
        x: Tensor = self._for.prepare(X)
        if self._moved is not None and X is self._moved[0]:
            x, self.was_moved = x + self._moved[1].to(x.device, x.dtype), True
        return x.to(self._dtype) if self._dtype is not None and x.is_floating_point() else x

    def forward(self, batch: Tensor) -> Tensor:
        """Run the network in evaluation mode: (B, *shape) → (B, outputs)."""
        with evaluating(self.network_):
            out: Tensor = self.network_(batch)
        return out.reshape(len(batch), -1)

    def predict(self, X: Any) -> Any:
        """Predict with the predictor that it stands for."""
        return self._for.predict(X)


def in_double(predictor: Predictor, X: Any) -> Predictor:
    """Return the predictor with a copy of its network in double precision; itself where that does not run.

    Networks that fix single precision somewhere inside do not, and neither do some devices.
    """
    if any(isinstance(module, torch.jit.ScriptModule) for module in predictor.network_.modules()):
        return predictor
    rows = predictor.prepare(X)
    if not rows.is_floating_point() and not any(p.is_floating_point() for p in predictor.network_.parameters()):
        return predictor
    try:
        precise = StandIn(predictor, deepcopy(predictor.network_).double(), dtype=torch.float64)
        with torch.no_grad():
            kind = precise.forward(rows[:1].double() if rows.is_floating_point() else rows[:1]).dtype
    except (RuntimeError, TypeError):
        return predictor
    return precise if kind == torch.float64 else predictor
