"""The gradient noise scale: from which batch size on larger batches stop paying. arXiv 1812.06162."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.seeds import torch_rng
from glia.diagnose.layers import RowLoss, outputs_of
from glia.nn.modes import evaluating


@dataclass(frozen=True)
class NoiseScale:
    """The simple noise scale and its parts.

    Parameters
    ----------
    scale : float
        tr(Σ) / |G|² in rows; infinite where the gradient drowns in noise (at a minimum it does).
    gradient : float
        |G|², the squared norm of the true gradient, estimated without bias; it may come out below 0.
    noise : float
        tr(Σ), the sum of the variances of one row's gradient.
    rows, batch : int
        Rows that were used, and how many to a small batch.
    """

    scale: float
    gradient: float
    noise: float
    rows: int
    batch: int


def noise_scale(
    network: nn.Module, loss: RowLoss, x: Tensor, y: Tensor, *, batch: int = 16, random_state: int = 0
) -> NoiseScale:
    """Return the gradient noise scale at the weights.

    Parameters
    ----------
    network, loss, x, y
        As ``run_layers`` takes them; ``.grad`` is left alone.
    batch : int
        Rows of a small batch, at least 1; there must be two such batches.

    Raises
    ------
    InputError
        If there are too few rows or nothing to train.

    Notes
    -----
    The paper's appendix A.1: with G_b the gradient of b rows, E|G_b|² = |G|² + tr(Σ)/b. The rows are cut into K
    disjoint small batches of b rows; their mean is the gradient of B = K·b rows. The two equations give
    |G|² = (B·|G_B|² − b·mean|G_b|²) / (B − b) and tr(Σ) = (mean|G_b|² − |G_B|²) / (1/b − 1/B), both without bias.
    """
    trained = [p for p in network.parameters() if p.requires_grad]
    count = len(x) // batch if batch >= 1 else 0
    if count < 2 or not trained:
        raise InputError(
            "a noise scale needs two batches of rows and weights to train", f"{len(x)} rows, batch={batch!r}"
        )
    order = torch.randperm(len(x), generator=torch_rng(random_state, "noise scale"))[: count * batch].to(x.device)
    total = [torch.zeros_like(p, dtype=torch.float64) for p in trained]
    small = 0.0
    with evaluating(network), torch.enable_grad():
        for index in torch.split(order, batch):
            mean = loss(outputs_of(network, x[index]), y[index]).mean()
            for sum_, slope in zip(total, torch.autograd.grad(mean, trained, allow_unused=True), strict=True):
                if slope is not None:
                    small += float(slope.double().square().sum()) / count
                    sum_ += slope.double() / count
    large = sum(float(part.square().sum()) for part in total)
    rows = count * batch
    squared = (rows * large - batch * small) / (rows - batch)
    noise = (small - large) / (1 / batch - 1 / rows)
    scale = noise / squared if squared > 0 else math.inf
    return NoiseScale(max(scale, 0.0), squared, noise, rows, batch)
