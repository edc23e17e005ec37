"""Lion: steps of one size, in the direction of a sign. Chen et al., arXiv 2302.06675, algorithm 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from glia.engine.optimizers.rules import Groups, optimizers


class Lion(Optimizer):
    """Sign of a blend of momentum and gradient, with weight decay beside it.

    ``c = β₁m + (1−β₁)g``, ``θ ← (1 − γλ)θ − γ·sign(c)``, ``m ← β₂m + (1−β₂)g`` (arXiv 2302.06675, algorithm 2).
    Half the memory of Adam; its rate wants to be three to ten times smaller than Adam's, its decay as much larger.

    Parameters
    ----------
    params : iterable
        As ``torch.optim`` takes them.
    lr : float
        γ > 0: what every weight moves by in a step.
    betas : tuple of float
        β₁ and β₂, each in [0, 1).
    weight_decay : float
        λ ≥ 0.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 5e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient; return what ``closure`` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr, (beta1, beta2), decay = group["lr"], group["betas"], group["weight_decay"]
            weights: list[Tensor] = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            gradients: list[Tensor] = [p.grad for p in weights if p.grad is not None]
            momenta = [self._momentum(p) for p in weights]
            signs = torch._foreach_lerp(momenta, gradients, 1 - beta1)
            torch._foreach_sign_(signs)
            if decay:
                torch._foreach_mul_(weights, 1 - lr * decay)
            torch._foreach_add_(weights, signs, alpha=-lr)
            torch._foreach_lerp_(momenta, gradients, 1 - beta2)
        return loss

    def _momentum(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum: Tensor = state["momentum"]
        return momentum


@optimizers.register("lion")
def lion(groups: Groups, *, lr: float = 5e-4, betas: tuple[float, float] = (0.9, 0.99)) -> Optimizer:
    """Sign of a blend of momentum and gradient: θ ← (1−γλ)θ − γ·sign(β₁m + (1−β₁)g). Chen et al., arXiv 2302.06675."""
    return Lion(groups, lr=lr, betas=betas)
