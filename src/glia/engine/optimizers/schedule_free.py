"""Schedule-free AdamW: averaging takes the place of a falling rate. Defazio et al., arXiv 2405.15682, algorithm 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from glia.core.errors import TrainingError
from glia.engine.optimizers.rules import Groups, optimizers


class ScheduleFree(Optimizer):
    """AdamW whose answer is a running average of its steps; no end of training need be known.

    Three points per weight: z takes the steps, x averages them, and gradients are taken at y between the two.
    With ``γₜ = γ·√(1−β₂ᵗ)·min(1, t/warmup)`` and ``cₜ = γₜ² / Σγᵢ²`` (arXiv 2405.15682, algorithm 1)::

        y = (1−β₁)z + β₁x        v ← β₂v + (1−β₂)g²
        z ← z − γₜ(g/(√v + ε) + λy)
        x ← (1−cₜ)x + cₜz

    While training, the parameters hold y. ``eval()`` puts x there, for validating, saving and using the network, and
    ``train()`` puts y back, bit for bit.

    Parameters
    ----------
    params : iterable
        As ``torch.optim`` takes them.
    lr : float
        γ > 0; one to ten times what AdamW wants.
    betas : tuple of float
        β₁ in (0, 1] and β₂ in [0, 1).
    eps, weight_decay : float
        ε and λ, at least 0.
    warmup_steps : int
        Steps over which the rate rises.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 2.5e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "warmup_steps": warmup_steps}
        # Counts live in the groups, so that a state_dict carries them.
        super().__init__(params, {**defaults, "steps": 0, "weight_sum": 0.0, "averaged": False})

    @property
    def averaged(self) -> bool:
        """Whether the parameters hold the average x at present."""
        return any(group["averaged"] for group in self.param_groups)

    @torch.no_grad()
    def eval(self) -> None:
        """Put the average x into the parameters; nothing happens where it is there already."""
        for group in self.param_groups:
            for p in group["params"] if not group["averaged"] else ():
                if "z" in self.state[p]:
                    self.state[p]["y"] = p.detach().clone()
                    p.lerp_(self.state[p]["z"], 1 - 1 / group["betas"][0])
            group["averaged"] = True

    @torch.no_grad()
    def train(self) -> None:
        """Put the training point y back into the parameters."""
        for group in self.param_groups:
            for p in group["params"] if group["averaged"] else ():
                if "y" in self.state[p]:
                    p.copy_(self.state[p].pop("y"))
            group["averaged"] = False

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient; return what ``closure`` returns.

        Raises
        ------
        TrainingError
            If the parameters hold the average: call ``train()`` first.
        """
        if self.averaged:
            raise TrainingError("schedule-free steps start from the training point · got eval() · call train() first")
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights: list[Tensor] = [p for p in group["params"] if p.grad is not None]
            if weights:
                self._update(group, weights)
        return loss

    def _update(self, group: dict[str, Any], y: list[Tensor]) -> None:
        (beta1, beta2), eps, decay = group["betas"], group["eps"], group["weight_decay"]
        group["steps"] += 1
        steps = group["steps"]
        rate = group["lr"] * math.sqrt(1 - beta2**steps) * min(1.0, steps / max(1, group["warmup_steps"]))
        group["weight_sum"] += rate**2
        share = rate**2 / group["weight_sum"] if group["weight_sum"] > 0 else 0.0
        for p in y:
            if "z" not in self.state[p]:
                self.state[p].update(z=p.detach().clone(), v=torch.zeros_like(p))
        z, v = [self.state[p]["z"] for p in y], [self.state[p]["v"] for p in y]
        gradients = [p.grad for p in y if p.grad is not None]
        torch._foreach_mul_(v, beta2)
        torch._foreach_addcmul_(v, gradients, gradients, 1 - beta2)
        size = torch._foreach_sqrt(v)
        torch._foreach_add_(size, eps)
        direction = torch._foreach_div(gradients, size)
        if decay:
            torch._foreach_add_(direction, y, alpha=decay)
        # x is never stored: put into the update of y, it cancels.
        torch._foreach_lerp_(y, z, share)
        torch._foreach_add_(y, direction, alpha=-rate * (1 - beta1 + beta1 * share))
        torch._foreach_add_(z, direction, alpha=-rate)


@optimizers.register("schedule_free")
def schedule_free(
    groups: Groups,
    *,
    lr: float = 2.5e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    warmup_steps: int = 0,
) -> Optimizer:
    """AdamW steps, averaged as they go; wants the schedule "constant". Defazio et al., arXiv 2405.15682."""
    return ScheduleFree(groups, lr=lr, betas=betas, eps=eps, warmup_steps=warmup_steps)
