"""What a loss is: a pure function from outputs and targets to one figure per row, with its settings and its tasks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.core.registry import Registry
from glia.core.results import jsonable


@dataclass(frozen=True)
class Loss:
    """Base of all losses.

    A loss maps outputs of shape (B, O) and targets to losses of the rows, shape (B,), so that row weights can
    multiply before the mean is taken. It holds settings but no state, is differentiable in the outputs, and may be
    used under ``torch.func.grad`` and ``torch.func.vmap``.

    Attributes
    ----------
    name : str
        Its name in the registry ``losses``.
    tasks : frozenset of Task
        What it can be used for.
    needs_nonnegative : bool
        Whether targets must be at least 0 and therefore stay in their own units instead of being standardised.
    """

    name: ClassVar[str] = ""
    tasks: ClassVar[frozenset[Task]] = frozenset()
    needs_nonnegative: ClassVar[bool] = False

    @property
    def heads(self) -> int:
        """Network outputs per target (1 unless the loss fits several quantiles or a variance)."""
        return 1

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        raise TypeError(f"{type(self).__name__} does not define how rows are scored")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data, its name and its settings, from which ``loss_from_dict`` rebuilds it."""
        return {"name": self.name, "settings": {f.name: jsonable(getattr(self, f.name)) for f in fields(self)}}

    def point(self, output: Tensor) -> Tensor:
        """Return the point prediction of a regression, (B, T), from the outputs, (B, T * heads)."""
        return output


losses: Registry[type[Loss]] = Registry("loss")
"""Name → loss class; ``losses.get("huber")(delta=2.0)`` makes a loss with its settings."""


def aligned(output: Tensor, target: Tensor, heads: int = 1) -> tuple[Tensor, Tensor]:
    """Return outputs (B, T, heads) and targets (B, T, 1) of one floating type.

    A target of shape (B,) belongs to a single column of outputs; nothing else is broadcast, because (B,) against
    (B, 1) would silently become (B, B).

    Raises
    ------
    InputError
        If the shapes do not fit.
    """
    columns = output.unsqueeze(-1) if output.ndim == 1 else output
    rows = target.unsqueeze(-1) if target.ndim == 1 else target
    if columns.ndim != 2 or columns.shape != (rows.shape[0], rows.shape[-1] * heads):
        raise InputError(
            "outputs must have one row per target row and one column per target"
            + (f" and head ({heads} heads)" if heads > 1 else ""),
            f"output {tuple(output.shape)} and target {tuple(target.shape)}",
        )
    return columns.reshape(len(rows), -1, heads), rows.to(columns.dtype).unsqueeze(-1)


def row_mean(values: Tensor) -> Tensor:
    """Average everything but the first dimension: (B, ...) → (B,)."""
    return values.reshape(values.shape[0], -1).mean(dim=1)


def is_target_index(output: Tensor, target: Tensor) -> bool:
    """Tell whether targets are class numbers (B,) for outputs (B, C) with C ≥ 2."""
    return target.ndim == output.ndim - 1 and output.shape[-1] > 1


def target_mask(output: Tensor, target: Tensor) -> Tensor:
    """Return a boolean (B, C) that is true at each row's class."""
    return target.long().unsqueeze(-1) == torch.arange(output.shape[-1], device=output.device)


def check_class_shapes(output: Tensor, target: Tensor) -> None:
    """Raise an ``InputError`` unless outputs are (B, C), C ≥ 2, and targets (B,) or (B, C)."""
    fits = output.ndim == 2 and output.shape[1] > 1 and target.shape in (output.shape[:1], output.shape)
    if not fits:
        raise InputError(
            "multi-class outputs must be (B, C) with C ≥ 2 and targets (B,) class numbers or (B, C) probabilities",
            f"output {tuple(output.shape)} and target {tuple(target.shape)}",
        )
