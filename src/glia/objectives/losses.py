"""All losses by name, the default of each task, and the one door through which a loss comes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, get_args

from torch import Tensor

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.objectives import class_balanced as _class_balanced  # noqa: F401  (registers its losses, as do the others)
from glia.objectives import classification_losses as _classification  # noqa: F401
from glia.objectives import expected_cost as _expected_cost  # noqa: F401
from glia.objectives import ldam as _ldam  # noqa: F401
from glia.objectives import logit_adjusted as _logit_adjusted  # noqa: F401
from glia.objectives import regression_losses as _regression  # noqa: F401
from glia.objectives.loss import Loss, losses, row_mean

__all__ = ["CustomLoss", "Loss", "as_loss", "default_loss", "loss_from_dict", "losses"]

_DEFAULT: dict[Task, str] = {
    "binary": "binary_cross_entropy",
    "multiclass": "cross_entropy",
    "multilabel": "binary_cross_entropy",
    "regression": "mse",
}


@dataclass(frozen=True)
class CustomLoss(Loss):
    """A user's function as a loss.

    Parameters
    ----------
    function : callable
        ``(output, target) →`` losses of the rows, (B,) or (B, ...) (averaged per row), or one scalar.
    needs_rows : bool
        Refuse a scalar, because rows are weighted.

    Notes
    -----
    A scalar is taken as the batch's mean and given to every row, so that the mean over rows and its gradient are
    the function's own. Row weights cannot act on it, hence ``needs_rows``.
    """

    name: ClassVar[str] = "custom"
    tasks: ClassVar[frozenset[Task]] = frozenset(get_args(Task))
    function: Callable[[Tensor, Tensor], Tensor]
    needs_rows: bool = False

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,).

        Raises
        ------
        InputError
            If the function returns neither a scalar nor one figure per row, or a scalar where rows are weighted.
        """
        value = self.function(output, target)
        if value.ndim == 0 and not self.needs_rows:
            return value.expand(len(output))
        if value.ndim == 0 or value.shape[0] != len(output):
            raise InputError(
                "a loss must return one figure per row" + (" when rows are weighted" if value.ndim == 0 else ""),
                f"shape {tuple(value.shape)} for {len(output)} rows",
                "return the losses without averaging them (reduction='none')",
            )
        return row_mean(value)


def default_loss(task: Task) -> Loss:
    """Return the loss used where none is named: cross-entropy for classes and labels, squared error for values."""
    return losses.get(_DEFAULT[task])()


def as_loss(loss: str | Loss | Callable[[Tensor, Tensor], Tensor], task: Task) -> Loss:
    """Return a loss that fits the task.

    Parameters
    ----------
    loss : str, Loss or callable
        ``"auto"``, a registered name, a ``Loss``, or ``(output, target) → scalar or (B,)``.
    task : {"binary", "multiclass", "multilabel", "regression"}
        What is predicted.

    Raises
    ------
    InputError
        If the name is unknown (the nearest is offered), or the loss does not fit the task (those that do are named).
    """
    if isinstance(loss, str):
        found: Loss = default_loss(task) if loss == "auto" else losses.get(loss)()
    elif isinstance(loss, Loss):
        found = loss
    elif isinstance(loss, type) or not callable(loss):
        raise InputError("a loss must be a name, a Loss or a callable", f"loss={loss!r}", "make an instance of a class")
    else:
        return CustomLoss(loss)
    if task not in found.tasks:
        fitting = ", ".join(name for name in losses.names() if task in losses.get(name).tasks)
        raise InputError(f"the loss must fit the task {task!r}", f"loss={found.name!r}", f"choose one of: {fitting}")
    return found


def loss_from_dict(data: Mapping[str, Any]) -> Loss:
    """Rebuild a loss from what ``Loss.to_dict`` gave.

    Raises
    ------
    InputError
        If the loss was a user's function, which its owner must hand in again, or the data do not name a loss.
    """
    name, settings = data.get("name"), data.get("settings", {})
    if name == CustomLoss.name:
        raise InputError("a loss of your own is not stored in files", do="hand it in again")
    made = losses.get(str(name))
    unknown = set(settings) - {f.name for f in fields(made)}
    if unknown:
        raise InputError(f"the loss {name!r} must have known settings", f"{sorted(unknown)[0]!r}")
    return made(**settings)
