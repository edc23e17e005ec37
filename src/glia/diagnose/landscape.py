"""Slices through the loss around the weights, along filter-normalised random directions. arXiv 1712.09913."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.seeds import torch_rng
from glia.diagnose.layers import RowLoss, outputs_of
from glia.nn.modes import evaluating


@dataclass(frozen=True)
class Landscape:
    """The loss along straight lines through the weights.

    Parameters
    ----------
    steps : tuple of float
        How far, in lengths of the weights themselves: at 1 every filter has moved by its own norm.
    losses : tuple of tuple of float
        Mean loss at every step, one line per direction.
    centre : float
        Loss at the weights.
    sharpness : float
        Mean rise of the loss at the steps next to the weights over their distance squared: half the mean curvature.
    """

    steps: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]
    centre: float
    sharpness: float


def loss_slices(
    network: nn.Module,
    loss: RowLoss,
    x: Tensor,
    y: Tensor,
    *,
    directions: int = 2,
    steps: int = 13,
    reach: float = 1.0,
    random_state: int = 0,
) -> Landscape:
    """Return slices of the mean loss through the weights.

    Parameters
    ----------
    network : nn.Module
        Left alone: a copy is moved, in evaluation mode.
    loss, x, y
        As ``run_layers`` takes them.
    directions, steps : int
        How many lines, and points on each (odd, at least 3).
    reach : float
        Greatest distance from the weights, above 0.

    Raises
    ------
    InputError
        If the numbers are out of range.

    Notes
    -----
    A random direction d is scaled filter by filter to ‖d‖ = ‖w‖, since the scale of a filter is arbitrary where
    activations are piecewise linear (section 4). A filter is one unit's incoming weights. Biases and parameters of
    norms stay where they are.
    """
    if steps < 3 or steps % 2 == 0 or directions < 1 or not reach > 0:
        raise InputError(
            "slices need an odd number of at least 3 steps, a direction and a reach above 0",
            f"steps={steps!r}, directions={directions!r}, reach={reach!r}",
        )
    at = torch.linspace(-reach, reach, steps).tolist()
    lines = []
    trial = copy.deepcopy(network)
    start = {name: p.detach().clone() for name, p in network.named_parameters()}
    with evaluating(trial), torch.no_grad():
        for number in range(directions):
            toward = filter_direction(start, random_state, number)
            lines.append(tuple(_loss_at(trial, start, toward, step, loss, x, y) for step in at))
    middle, near = steps // 2, at[steps // 2 + 1]
    rises = [line[middle + side] - line[middle] for line in lines for side in (-1, 1)]
    return Landscape(tuple(at), tuple(lines), lines[0][middle], sum(rises) / len(rises) / near**2)


def filter_direction(weights: dict[str, Tensor], random_state: int, number: int) -> dict[str, Tensor]:
    """Return a Gaussian direction in which every filter is as long as the weights' own; 0 for biases and norms."""
    found = {}
    for name, weight in weights.items():
        if weight.ndim < 2:
            found[name] = torch.zeros_like(weight)
            continue
        drawn = torch.randn(weight.shape, generator=torch_rng(random_state, "direction", number, name)).to(weight)
        rows, own = drawn.flatten(1), weight.flatten(1)
        found[name] = (rows * (own.norm(dim=1) / rows.norm(dim=1).clamp_min(1e-12)).unsqueeze(1)).reshape(weight.shape)
    return found


def _loss_at(
    trial: nn.Module,
    start: dict[str, Tensor],
    toward: dict[str, Tensor],
    step: float,
    loss: RowLoss,
    x: Tensor,
    y: Tensor,
) -> float:
    for name, p in trial.named_parameters():
        p.copy_(start[name] + step * toward[name])
    return float(loss(outputs_of(trial, x), y).mean())
