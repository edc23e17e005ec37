"""Losses that make features of two domains alike: by their moments, or by an adversary that tells them apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glia.engine.callbacks import Callback
from glia.engine.gradients import RowLoss
from glia.nn.gradient_reversal import GradientReversal
from glia.objectives.coral import coral_distance
from glia.transfer.tapped import Tapped

if TYPE_CHECKING:
    from glia.engine.loop import Trainer


def scaled_coral(source: Tensor, target: Tensor) -> Tensor:
    """Return the CORAL distance with means of features (N, D) and (M, D), in units of the source's deviations.

    Units make it indifferent to the scale of features: shrinking them all brings nothing. Features that hardly vary
    count by a tenth of what the others do, or the least change of theirs would be all.
    """
    variance = source.var(0)
    unit = (variance + 0.01 * variance.mean()).sqrt().clamp_min(1e-8)
    return coral_distance(source / unit, target / unit, means=True)


class Adversary(nn.Module):
    """A network with features, and a small one behind a gradient reversal that tells from which domain they are.

    **Shape**: (B, *shape) → (B, O + D + 1); the score of the target domain comes last.
    """

    def __init__(self, tapped: Tapped, features: int, hidden: int = 64) -> None:
        super().__init__()
        self.tapped, self.features = tapped, features
        self.reversal = GradientReversal(0.0)
        self.critic = nn.Sequential(
            nn.LayerNorm(features, elementwise_affine=False), nn.Linear(features, hidden), nn.ReLU(),
            nn.Linear(hidden, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs, features and score side by side."""
        found: Tensor = self.tapped(x)
        return torch.cat([found, self.critic(self.reversal(found[:, -self.features :]))], dim=1)


class AdaptationLoss:
    """Loss of the labelled rows plus ``weight`` times what keeps the domains apart.

    Parameters
    ----------
    loss : RowLoss
        Of the task.
    outputs, features : int
        O and D: how the network's answers are put together.
    method : {"coral", "adversarial"}
    weight : float
    """

    def __init__(self, loss: RowLoss, outputs: int, features: int, method: str, weight: float) -> None:
        self.loss, self.outputs, self.features = loss, outputs, features
        self.method, self.weight = method, weight

    def __call__(self, output: Tensor, target: tuple[Tensor, Tensor]) -> Tensor:
        """Return one loss for each row, (B,): their mean is the task's mean over the source plus the rest."""
        labels, other = target
        known = int((~other).sum())
        task = self.loss(output[:known, : self.outputs], labels[:known]) * (len(output) / known)
        losses = torch.cat([task, task.new_zeros(len(output) - known)])
        if self.method == "adversarial":
            # The adversary learns at full strength; the weight is in what the reversal lets through.
            return losses + F.binary_cross_entropy_with_logits(output[:, -1], other.float(), reduction="none")
        features = output[:, self.outputs : self.outputs + self.features]
        if min(known, len(output) - known) < 2:
            return losses
        return losses + self.weight * scaled_coral(features[:known], features[known:])


class Ramp(Callback):
    """Strengthens the reversal from 0 to ``most`` over the fit, arXiv 1409.7495, section 4: 2 / (1 + e^(-10 p)) - 1."""

    def __init__(self, reversal: GradientReversal, most: float) -> None:
        self.reversal, self.most = reversal, most

    def on_fit_start(self, trainer: Trainer) -> None:
        """Begin with nothing, so that the adversary has something to say first."""
        self.on_step_end(trainer)

    def on_step_end(self, trainer: Trainer) -> None:
        """Set the strength by the share of steps that are done."""
        share = trainer.step / max(1, trainer.epochs * trainer.steps_per_epoch)
        self.reversal.strength = self.most * (2 / (1 + math.exp(-10 * share)) - 1)
