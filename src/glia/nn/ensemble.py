"""Several trained networks as one: its probabilities, or values, are the mean of theirs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glia.core.errors import InputError
from glia.core.protocols import Task


class MeanNetwork(nn.Module):
    """The mean of K networks of one task, as a network of that task.

    Parameters
    ----------
    networks : sequence of nn.Module
        (B, *shape) → (B, O) each; held, not copied.
    task : {"binary", "multiclass", "multilabel", "regression"}
        For classes and labels probabilities are averaged, for values the outputs themselves.
    of : {"probabilities", "scores"}
        "scores" averages the outputs themselves for every task.
    weights : sequence of float, optional
        What each network counts, above 0 with sum 1; all alike without. For ``of="scores"`` or values.

    Notes
    -----
    **Shape**: (B, *shape) → (B, O).

    Outputs for classes are again raw scores, log p̄ or log p̄ − log(1 − p̄) of the averaged probabilities p̄, so that
    whatever takes one network's scores (softmax, temperature, losses, attributions) takes these. They are computed
    from log-probabilities, hence exact for scores of any size. Averaging probabilities of networks that differ in their
    random start is the deep ensemble of arXiv 1612.01474. The mean of scores is the normalised geometric mean of
    probabilities: it is as sharp as its members, while the mean of probabilities is blurred by their disagreement, so
    that a temperature found for single members fits the former.

    Raises
    ------
    InputError
        If there is no network, the task or what is averaged is unknown, or weights are wrong.
    """

    weights: Tensor | None

    def __init__(
        self,
        networks: Sequence[nn.Module],
        task: Task,
        of: str = "probabilities",
        weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if not networks:
            raise InputError("a mean must be over networks", "none", "hand in at least one")
        if task not in ("binary", "multiclass", "multilabel", "regression"):
            raise InputError("the task must be known", f"task={task!r}")
        if of not in ("probabilities", "scores"):
            raise InputError("what is averaged must be probabilities or scores", f"of={of!r}")
        self.networks = nn.ModuleList(networks)
        self.task: Task = "regression" if of == "scores" else task  # by which outputs are averaged
        self.weigh(weights)

    def weigh(self, weights: Sequence[float] | None) -> None:
        """Let networks count differently, or all alike.

        Raises
        ------
        InputError
            If there is not one weight above 0 for each network, their sum is not 1, or probabilities are averaged.
        """
        if weights is None:
            self.register_buffer("weights", None)
            return
        known = len(weights) == len(self.networks) and min(weights) > 0 and math.isclose(sum(weights), 1, rel_tol=1e-5)
        if not known or self.task != "regression":
            must = "weights must be above 0, one for each network whose outputs are averaged, with sum 1"
            raise InputError(must, f"{list(weights)[:8]} for {len(self.networks)} networks")
        self.register_buffer("weights", torch.tensor([float(w) for w in weights]))

    def member_outputs(self, x: Tensor) -> Tensor:
        """Return the members' own outputs, (K, B, O)."""
        return torch.stack([network(x) for network in self.networks])

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, *shape) to (B, O)."""
        return self.mean(self.member_outputs(x))

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the output for the members' own outputs, (K, B, O) → (B, O)."""
        return mean_output(outputs, self.task, self.weights)


def mean_output(outputs: Tensor, task: Task, weights: Tensor | None = None) -> Tensor:
    """Return the raw scores of averaged probabilities, or averaged values, (B, O), for members' outputs (K, B, O).

    ``weights``, (K,), says what each member counts where values are averaged.
    """
    share = math.log(len(outputs))
    # Row by row: torch adds up over a first axis in an order that depends on how many rows there are.
    outputs = outputs.transpose(0, 1).contiguous()
    if task == "regression":
        return outputs.mean(1) if weights is None else (outputs * weights.unsqueeze(1)).sum(1)
    if task == "multiclass":
        return torch.logsumexp(F.log_softmax(outputs, dim=-1), dim=1) - share
    yes, no = torch.logsumexp(F.logsigmoid(outputs), dim=1), torch.logsumexp(F.logsigmoid(-outputs), dim=1)
    return yes - no
