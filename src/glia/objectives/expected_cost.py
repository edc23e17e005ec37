"""The expected cost of deciding at random by the predicted probabilities, as a loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from glia.core.decision_rule import as_cost
from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.objectives.loss import Loss, is_target_index, losses, target_mask


@losses.register("expected_cost")
@dataclass(frozen=True)
class ExpectedCost(Loss):
    """Expected cost of a row, Σ_k cost[y, k]·softmax(o)[k].

    Parameters
    ----------
    cost : matrix (C, C), optional
        True classes as rows, predicted classes as columns; nested tuples or text such as ``"0 1; 5 0"``. Without it
        every mistake costs 1.

    Notes
    -----
    Its minimiser puts all probability on the cheapest class: the scores are decisions, not probabilities, and they
    already hold the costs (``threshold="auto"`` is the one to go with it). Where probabilities are wanted as well,
    minimise cross-entropy and decide by ``least_cost``.
    """

    name: ClassVar[str] = "expected_cost"
    tasks: ClassVar[frozenset[Task]] = frozenset({"binary", "multiclass"})
    cost: tuple[tuple[float, ...], ...] | str | None = None

    def __post_init__(self) -> None:
        if self.cost is not None:
            object.__setattr__(self, "cost", tuple(tuple(row) for row in as_cost(self.cost).tolist()))

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of the rows, (B,)."""
        single = output.ndim == 1 or output.shape[-1] == 1
        if single:
            o = output.reshape(output.shape[0])
            p = torch.stack([torch.sigmoid(-o), torch.sigmoid(o)], dim=-1)
            y = target.reshape(target.shape[0]).to(p.dtype)
            shares = torch.stack([1.0 - y, y], dim=-1)
        else:
            p = torch.softmax(output, dim=-1)
            shares = (target_mask(output, target) if is_target_index(output, target) else target).to(p.dtype)
        classes = p.shape[-1]
        if self.cost is None:
            return 1.0 - (shares * p).sum(dim=-1)
        if len(self.cost) != classes:
            raise InputError("costs must have a row per class", f"{len(self.cost)} rows for {classes} classes")
        cost = torch.tensor(self.cost, dtype=p.dtype, device=p.device)
        return ((shares @ cost) * p).sum(dim=-1)
