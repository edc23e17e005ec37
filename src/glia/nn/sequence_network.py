"""What all networks of sequences share: the mask, the pooling over steps, and the head that answers.

A prepared sequence is one tensor (T, C + 1): C channels and, last, the mask: 1 at real steps, 0 at padding, which comes
after them. Padding never says anything: its values are replaced by zeros before anything is computed.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.nn.mlp import is_whole
from glia.nn.spec import Problems, Spec

POOLINGS = ("last", "mean", "max")
HEADS = ("sequence", "steps")
_CELLS = 1 << 19
"""Steps of all rows together that go through a network at a time outside of training: activations take memory."""


class SequenceNetwork(nn.Module):
    """Base of networks of sequences: subclasses define ``encode``.

    Parameters
    ----------
    width : int
        Values per step that ``encode`` returns.
    out_features : int
        Outputs per row; with ``head="steps"`` those of all T steps together.
    steps : int
        T.
    pooling : {"last", "mean", "max"}
        How the steps of a sequence become one vector: that of the last real step, or the mean or maximum over the real
        ones.
    head : {"sequence", "steps"}
        One answer for each sequence, or one for each step.

    Notes
    -----
    **Shape**: (B, T, C + 1) → (B, O), or (B, T·K) for a head of K outputs per step; those of padded steps are 0.
    """

    trims: ClassVar[bool] = True
    """Whether steps that are padding in all rows of a batch are left out of the computation."""

    def __init__(self, width: int, out_features: int, steps: int, pooling: str, head: str) -> None:
        super().__init__()
        self.steps, self.pooling, self.by_step = steps, pooling, head == "steps"
        self.head = nn.Linear(width, out_features // steps if self.by_step else out_features)

    def encode(self, values: Tensor, mask: Tensor) -> Tensor:
        """Map values (B, T, C), zero where ``mask`` (B, T) is False, to (B, T, width)."""
        raise TypeError(f"{type(self).__name__} does not say how steps are encoded")

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, C + 1) to (B, O)."""
        most = max(1, _CELLS // max(x.shape[1], 1))
        if torch.is_grad_enabled() or len(x) <= most:
            return self._answer(x)
        return torch.cat([self._answer(part) for part in torch.split(x, most)])

    def _answer(self, x: Tensor) -> Tensor:
        mask = x[..., -1] > 0.5
        values = x[..., :-1].masked_fill(~mask.unsqueeze(-1), 0.0)
        steps = x.shape[1]
        if self.trims and not torch.compiler.is_exporting():
            longest = max(1, int(mask.sum(1).max()))
            values, mask = values[:, :longest], mask[:, :longest]
        states = self.encode(values, mask)
        if self.by_step:
            answers = self.head(states).masked_fill(~mask.unsqueeze(-1), 0.0)
            return F.pad(answers, (0, 0, 0, steps - answers.shape[1])).flatten(1)
        answer: Tensor = self.head(self.pool(states, mask))
        return answer

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return one vector for each sequence: (B, T, W) → (B, W)."""
        return pooled(states, mask, self.pooling)


def pooled(states: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """Return the last, mean or greatest states over the real steps, (B, W); rows without any count their first."""
    mask = mask.clone()
    mask[:, 0] = True
    if pooling == "last":
        place = mask.sum(1) - 1
        return states.gather(1, place.view(-1, 1, 1).expand(-1, 1, states.shape[2])).squeeze(1)
    kept = mask.unsqueeze(-1)
    if pooling == "mean":
        return states.masked_fill(~kept, 0.0).sum(1) / kept.sum(1)
    return states.masked_fill(~kept, float("-inf")).amax(1)


def reversed_steps(values: Tensor, mask: Tensor) -> Tensor:
    """Return every sequence from its last real step to its first; padding stays behind: (B, T, W)."""
    length = mask.sum(1, keepdim=True)  # (B, 1)
    place = torch.arange(values.shape[1], device=values.device).unsqueeze(0)
    source = torch.where(place < length, length - 1 - place, place)
    return values.gather(1, source.unsqueeze(-1).expand_as(values))


class SequenceSpec(Spec):
    """Base of the settings of networks of sequences."""

    dropout: Any
    pooling: Any
    head: Any

    def _shape(self, layout: Layout, out_features: int, **whole: Any) -> tuple[int, int]:
        """Check everything that families share; return steps T and channels C.

        Raises
        ------
        InputError
            Naming everything that is wrong, at once.
        """
        problems = Problems(type(self).__name__)
        sequence = len(layout.shape) == 2 and layout.shape[0] >= 1 and layout.shape[1] >= 2
        do = "hand in sequences (SequenceClassifier, SequenceRegressor, SequenceLabeler)"
        problems.check(sequence, "rows must be sequences (steps, channels and mask)", f"layout {layout.shape}", do)
        for name, value in whole.items():
            problems.check(is_whole(value), f"{name} must be a whole number of at least 1", f"{name}={value!r}")
        share = isinstance(self.dropout, (int, float)) and not isinstance(self.dropout, bool)
        share = share and 0.0 <= float(self.dropout) < 1.0
        problems.check(share, "dropout must be in [0, 1)", f"dropout={self.dropout!r}")
        for name, known in (("pooling", POOLINGS), ("head", HEADS)):
            value = getattr(self, name)
            problems.check(value in known, f"{name} must be one of {', '.join(known)}", f"{name}={value!r}")
        if sequence and self.head == "steps":
            fits = out_features % layout.shape[0] == 0
            got = f"{out_features} outputs for {layout.shape[0]} steps"
            problems.check(fits, "a head for steps must have as many outputs for each", got)
        problems.raise_all()
        if not sequence:  # for type checkers: raise_all has raised
            raise InputError("rows must be sequences", f"layout {layout.shape}", do)
        return layout.shape[0], layout.shape[1] - 1
