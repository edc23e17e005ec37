"""In how many directions a layer really works: the effective rank of activations and of weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from glia.diagnose.layers import LayerPass, as_units, weight_of, weighted_layers

_MOST_ROWS, _MOST_UNITS = 2048, 1024


@dataclass(frozen=True)
class LayerRank:
    """Effective ranks at one layer with weights.

    Parameters
    ----------
    layer, kind : str
        Path in the network and class of the module.
    weight, most_weight : float, int
        Effective rank of the weight matrix, and the largest it could have.
    output, most_output : float, int
        The same of the layer's outputs over rows, each unit's mean taken off.
    alike : float
        ‖W − mean row‖ / ‖W‖ with the bias as one more column: 0 where all units of the layer are one and the same.
    """

    layer: str
    kind: str
    weight: float
    most_weight: int
    output: float
    most_output: int
    alike: float


def effective_rank(matrix: Tensor) -> float:
    """Return exp of the entropy of the singular values' shares (Roy and Vetterli 2007); 0 of a matrix of zeros.

    It lies between 1 (one direction) and the number of rows or columns (all directions alike).

    Raises
    ------
    ValueError
        If it is no matrix.
    """
    if matrix.ndim != 2:
        raise ValueError(f"an effective rank is of a matrix, got {matrix.ndim} axes")
    values = torch.linalg.svdvals(matrix.detach().double().cpu())
    total = float(values.sum())
    if not total > 0 or not math.isfinite(total):
        return 0.0
    shares = values / total
    shares = shares[shares > 0]
    return float(torch.exp(-(shares * shares.log()).sum()))


def layer_ranks(layers: tuple[LayerPass, ...]) -> tuple[LayerRank, ...]:
    """Return the ranks at every layer with a weight matrix; of very wide layers the first 1,024 units count."""
    found = []
    for layer in weighted_layers(layers):
        weight = weight_of(layer.module)
        if weight is None or layer.output is None or not torch.isfinite(layer.output).all():
            continue
        matrix = weight.detach().flatten(1)[:_MOST_UNITS, :_MOST_UNITS]
        seen = as_units(layer.output, layer.module)[:_MOST_ROWS, :_MOST_UNITS].double()
        centred = seen - seen.mean(dim=0)
        # Rounding leaves a constant column a spread of about 1e-16 of its size, which is no direction.
        centred = centred * (centred.norm(dim=0) > 1e-9 * seen.norm(dim=0).clamp_min(1e-30))
        found.append(
            LayerRank(
                layer.name, type(layer.module).__name__, effective_rank(matrix), min(matrix.shape),
                effective_rank(centred), min(centred.shape), _alike(weight, getattr(layer.module, "bias", None)),
            )
        )  # fmt: skip
    return tuple(found)


def _alike(weight: Tensor, bias: Tensor | None) -> float:
    rows = weight.detach().flatten(1).double()
    if isinstance(bias, Tensor) and len(bias) == len(rows):
        rows = torch.cat([rows, bias.detach().double().unsqueeze(1)], dim=1)
    size = float(rows.norm())
    if len(rows) < 2:
        return 1.0
    return float((rows - rows.mean(dim=0)).norm()) / size if size > 0 else 0.0
