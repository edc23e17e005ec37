"""Muon for hidden weight matrices, AdamW for the rest, as one optimizer. Jordan et al. (2024); arXiv 2502.16982."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from glia.engine.optimizers.rules import Groups, kernels, optimizers


class MuonAdamW(Optimizer):
    """Momentum made orthogonal for matrices; AdamW for biases, embeddings, convolutions and the output layer.

    For a matrix, ``B ← μB + (1−μ)g`` and ``θ ← (1 − γλ)θ − γ·0.2·√max(rows, columns)·UVᵀ``, where ``UΣVᵀ`` is the
    singular value decomposition of the (Nesterov) momentum, approximated by five Newton–Schulz steps. The factor
    gives a matrix steps of the size that AdamW takes (Liu et al., arXiv 2502.16982, eq. 4), so that one learning
    rate serves both. Torch's own two optimizers do the work; they share this one's groups and state.

    Parameters
    ----------
    groups : list of dict
        Groups with the key ``matrix``: true where Muon is to be used.
    lr : float
        γ > 0, of AdamW's usual size.
    momentum : float
        μ in [0, 1).
    betas, eps
        AdamW's.
    """

    def __init__(
        self,
        groups: Groups,
        lr: float = 4e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(
            groups,
            {"lr": lr, "weight_decay": 0.0, "matrix": False, "mix": {"momentum": momentum, "betas": betas, "eps": eps}},
        )
        self._link()

    def _link(self) -> None:
        """Make the two inner optimizers over this one's groups and state (the very same objects)."""
        self._inner: list[Optimizer] = []
        matrices = [group for group in self.param_groups if group["matrix"]]
        rest = [group for group in self.param_groups if not group["matrix"]]
        mix = self.param_groups[0]["mix"]
        if matrices:
            muon = torch.optim.Muon(matrices, momentum=mix["momentum"], adjust_lr_fn="match_rms_adamw")
            self._inner.append(muon)
        if rest:
            adamw = torch.optim.AdamW(rest, betas=tuple(mix["betas"]), eps=mix["eps"], **kernels(rest))
            self._inner.append(adamw)
        for inner in self._inner:
            inner.state = self.state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._link()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient; return what ``closure`` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for inner in self._inner:
            inner.step()
        return loss


@optimizers.register("muon")
def muon(
    groups: Groups,
    *,
    lr: float = 4e-3,
    momentum: float = 0.95,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Optimizer:
    """Orthogonal momentum for hidden matrices, AdamW for the rest. Jordan et al. (2024), arXiv 2502.16982."""
    return MuonAdamW(groups, lr=lr, momentum=momentum, betas=betas, eps=eps)
