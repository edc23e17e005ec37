"""Penalties on weights: L1 by a proximal step (exact zeros), L2 by its gradient, and both together (elastic net)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glia.core.errors import InputError

_NORMS: tuple[type[nn.Module], ...] = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)


def penalised_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Return the trainable weights that a penalty acts on: everything but biases, norms and other vectors.

    Parameters
    ----------
    module : nn.Module
        Any network.

    Returns
    -------
    list of nn.Parameter
        Parameters with two or more dimensions outside of normalisation layers, each once, in order of definition.
        A bias says where the output sits and a norm's scale how large it is: shrinking them distorts the fit
        without making it simpler.
    """
    skipped = {id(p) for part in module.modules() if isinstance(part, _NORMS) for p in part.parameters(recurse=False)}
    return [p for p in module.parameters() if p.requires_grad and p.ndim >= 2 and id(p) not in skipped]


@torch.no_grad()
def prox_l1_(params: Iterable[Tensor], step: float) -> None:
    """Soft-threshold in place: w ← sign(w)·max(|w| − step, 0), which gives exact zeros.

    Parameters
    ----------
    params : iterable of Tensor
        Changed in place.
    step : float
        Learning rate times L1 strength, at least 0.

    Notes
    -----
    The proximal operator of ``step·|w|₁`` (Beck and Teboulle 2009, "A fast iterative shrinkage-thresholding
    algorithm", eq. 2.6). A subgradient step, by contrast, only makes weights hover around zero.
    """
    for p in params:
        p.sub_(p.clamp(-step, step))


@dataclass(frozen=True)
class Penalties:
    """Elastic net on weights: l1·Σ|w| + l2/2·Σw².

    Parameters
    ----------
    l1 : float
        Strength of the L1 part, at least 0. It is never differentiated: ``prox_`` is called after each step.
    l2 : float
        Strength of the L2 part, at least 0; with plain SGD the same as torch's ``weight_decay=l2``.

    Notes
    -----
    One step on loss L at rate η: g = ∇L(w); ``add_gradient_`` (g += l2·w); the optimizer's step; ``prox_`` with η.
    Decoupled weight decay (AdamW) is the optimizer's own and is not done here.

    Raises
    ------
    InputError
        If a strength is negative or not finite.
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("l1", self.l1), ("l2", self.l2)):
            if not (math.isfinite(value) and value >= 0):
                raise InputError("the strength of a penalty must be a finite number, at least 0", f"{name}={value!r}")

    def __bool__(self) -> bool:
        return self.l1 > 0 or self.l2 > 0

    def value(self, params: Iterable[Tensor]) -> Tensor:
        """Return the whole penalty, a scalar, for reporting or for checking an optimum."""
        kept = list(params)
        total = self.smooth(kept)
        return total + self.l1 * sum((p.abs().sum() for p in kept), torch.zeros(())) if self.l1 else total

    def smooth(self, params: Iterable[Tensor]) -> Tensor:
        """Return the differentiable part, l2/2·Σw², a scalar that may be added to a loss before ``backward``."""
        if not self.l2:
            return torch.zeros(())
        return 0.5 * self.l2 * sum((p.square().sum() for p in params), torch.zeros(()))

    @torch.no_grad()
    def add_gradient_(self, params: Iterable[Tensor]) -> None:
        """Add the gradient of the L2 part, l2·w, to ``.grad`` after ``backward``: cheaper than adding to the loss."""
        if self.l2:
            for p in params:
                if p.grad is not None:
                    p.grad.add_(p, alpha=self.l2)

    def prox_(self, params: Iterable[Tensor], lr: float) -> None:
        """Take the proximal step of the L1 part after an optimizer step at learning rate ``lr``."""
        if self.l1:
            prox_l1_(params, lr * self.l1)
