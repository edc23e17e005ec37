"""The update rules that torch has, under the field's names; each one's default rate stands in its signature.

In the formulas θ are the weights, g the gradient, γ the learning rate, λ the weight decay, and all products,
quotients and roots are taken element by element. Fused kernels (one pass over the memory) are used where torch has
them for the device and type, kernels over lists of tensors elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch.optim import Optimizer

from glia.core.registry import Registry
from glia.engine.optimizers.lean import LeanAdam, LeanAdamW, LeanSGD

Groups: TypeAlias = list[dict[str, Any]]
Rule: TypeAlias = Callable[..., Optimizer]
"""``rule(groups, *, lr=..., **options)``; ``groups`` come from ``parameter_groups`` and hold the weight decay."""

optimizers: Registry[Rule] = Registry("optimizer")

_FUSED_TYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def kernels(groups: Groups, devices: tuple[str, ...] = ("cpu", "cuda")) -> dict[str, bool]:
    """Return torch's flag for the fastest kernels that can update all of these parameters."""
    tensors = [p for group in groups for p in group["params"]]
    fused = all(p.device.type in devices and p.dtype in _FUSED_TYPES for p in tensors)
    return {"fused": True} if fused else {"foreach": True}


@optimizers.register("sgd")
def sgd(groups: Groups, *, lr: float = 0.1) -> Optimizer:
    """Plain gradient steps: θ ← θ − γ(g + λθ). Robbins & Monro (1951)."""
    return LeanSGD(groups, lr=lr, **kernels(groups))


class HeavyBall(LeanSGD):
    """Torch's SGD with momentum, whose velocities start as zeros instead of at the first gradient.

    The numbers are the same (μ·0 + g = g), but torch 2.13's fused kernel fails where some velocities exist and others
    do not yet, which is what unfreezing a layer in the middle of training leads to.
    """

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, with its velocities."""
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            self.state[p]["momentum_buffer"] = torch.zeros_like(p, requires_grad=False)


@optimizers.register("momentum")
def momentum(groups: Groups, *, lr: float = 0.02, momentum: float = 0.9) -> Optimizer:
    """Gradient steps with a heavy ball: v ← μv + g + λθ, θ ← θ − γv. Polyak (1964)."""
    return HeavyBall(groups, lr=lr, momentum=momentum, **kernels(groups))


@optimizers.register("nesterov")
def nesterov(groups: Groups, *, lr: float = 0.02, momentum: float = 0.9) -> Optimizer:
    """Momentum that looks ahead: v ← μv + d, θ ← θ − γ(d + μv), d = g + λθ. Sutskever et al. (2013), eq. 3, 4."""
    return HeavyBall(groups, lr=lr, momentum=momentum, nesterov=True, **kernels(groups))


@optimizers.register("adagrad")
def adagrad(groups: Groups, *, lr: float = 0.05, eps: float = 1e-10) -> Optimizer:
    """Rates fall with the sum of squares: s ← s + g², θ ← θ − γg/(√s + ε). Duchi et al. (2011), JMLR 12."""
    return torch.optim.Adagrad(groups, lr=lr, eps=eps, **kernels(groups, ("cpu",)))


@optimizers.register("adadelta")
def adadelta(groups: Groups, *, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6) -> Optimizer:
    """Take steps in the weights' own units: Δ = g·RMS(Δ)/RMS(g), θ ← θ − γΔ. Zeiler, arXiv 1212.5701."""
    return torch.optim.Adadelta(groups, lr=lr, rho=rho, eps=eps, foreach=True)


@optimizers.register("rmsprop")
def rmsprop(groups: Groups, *, lr: float = 1e-3, alpha: float = 0.99, eps: float = 1e-8) -> Optimizer:
    """Gradients over their recent size: s ← αs + (1−α)g², θ ← θ − γg/(√s + ε). Tieleman & Hinton (2012)."""
    return torch.optim.RMSprop(groups, lr=lr, alpha=alpha, eps=eps, foreach=True)


@optimizers.register("adam")
def adam(
    groups: Groups, *, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
) -> Optimizer:
    """Momentum over recent size, both bias-corrected: θ ← θ − γ·m̂/(√v̂ + ε). Kingma & Ba, arXiv 1412.6980.

    Weight decay is added to the gradient (an L2 penalty), hence rescaled with it; ``adamw`` keeps the two apart.
    """
    return LeanAdam(groups, lr=lr, betas=betas, eps=eps, **kernels(groups))


@optimizers.register("adamw")
def adamw(
    groups: Groups, *, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
) -> Optimizer:
    """Adam with weight decay beside the gradient: θ ← (1−γλ)θ − γ·m̂/(√v̂ + ε). Loshchilov & Hutter, arXiv 1711.05101."""
    return LeanAdamW(groups, lr=lr, betas=betas, eps=eps, **kernels(groups))


@optimizers.register("nadam")
def nadam(
    groups: Groups,
    *,
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    momentum_decay: float = 4e-3,
) -> Optimizer:
    """Adam with Nesterov's look-ahead. Dozat (2016), ICLR workshop."""
    return torch.optim.NAdam(groups, lr=lr, betas=betas, eps=eps, momentum_decay=momentum_decay, foreach=True)
