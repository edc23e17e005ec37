"""The randomisation check: an explanation of a network must change when the network forgets what it learned."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import torch
from torch import Generator, nn

from glia.core.protocols import Predictor
from glia.core.seeds import torch_rng
from glia.explain.attribution import AttributionResult
from glia.explain.checks.case import Case
from glia.explain.checks.ranks import rank_correlation
from glia.explain.stand_in import StandIn
from glia.nn.ensemble import MeanNetwork

STAGES = 4
"""Most stages of a cascade."""


def randomisation(
    explain: Callable[[Predictor], AttributionResult],
    predictor: Predictor,
    case: Case,
    *,
    repeats: int = 2,
    random_state: int = 0,
) -> float | None:
    """Return how alike explanations stay while the upper half of the network is randomised, from the top down.

    Parameters
    ----------
    explain : callable
        Predictor → explanation of the case's rows.
    predictor : Predictor
        What is explained; randomised are copies of its network.
    case : Case
        The explanation as it is.
    repeats : int
        Random networks per stage.
    random_state : int
        Of the new weights.

    Returns
    -------
    float or None
        Mean partial rank correlation of the sizes of the values, given how far each unit is from its baseline, over
        rows, stages and repeats: near 1 the explanation does not speak of what the network learned. None below four
        units, or without weights.

    Notes
    -----
    Cascading randomisation of Adebayo et al., arXiv 1810.03292: weights are drawn anew, normal, of the same root mean
    square; scales and shifts are permuted. The correlation is partial because methods that multiply by the input keep
    its pattern whatever the network is (a plain correlation of about 0.65 in trained image networks).
    """
    tall = max((len(branch) for branch in _branches(predictor.network_)), default=0)
    if case.units < 4 or not tall:
        return None
    upper = -(-tall // 2)
    depths = np.unique(np.linspace(1, upper, min(STAGES, upper)).round().astype(int))
    rng = torch_rng(random_state, "randomisation")
    found = []
    for _ in range(repeats):
        for depth in depths:
            network = deepcopy(predictor.network_)
            for branch in _branches(network):
                for layer in branch[-depth:]:
                    _randomise(layer, rng)
            other = case.unit_values(explain(StandIn(predictor, network)))
            found.append(rank_correlation(np.abs(case.values), np.abs(other), case.distance).mean())
    return float(np.mean(found))


def _branches(network: nn.Module) -> list[list[nn.Module]]:
    """Return the layers with weights from the input upwards; of several networks in one, those of each."""
    parts = list(network.networks) if isinstance(network, MeanNetwork) else [network]
    return [[m for m in part.modules() if next(m.parameters(recurse=False), None) is not None] for part in parts]


@torch.no_grad()
def _randomise(layer: nn.Module, rng: Generator) -> None:
    for parameter in layer.parameters(recurse=False):
        if parameter.dim() > 1:
            drawn = torch.randn(parameter.shape, generator=rng).to(parameter.device, parameter.dtype)
            parameter.copy_(drawn * parameter.square().mean().sqrt())
        else:
            order = torch.randperm(parameter.numel(), generator=rng).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))
