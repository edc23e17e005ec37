"""Which weights of a network read which number of a table."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glia.nn.embeddings import TabularInput
from glia.nn.mlp import MLPNetwork
from glia.nn.numeric_embeddings import PiecewiseLinear


@dataclass(frozen=True, eq=False)
class FeatureColumns:
    """Which columns of a weight matrix read which feature.

    Parameters
    ----------
    weight : Tensor
        (…, H, D), a parameter.
    start : int
        The first of the columns.
    feature : Tensor
        (E,), whole numbers from 0 to F - 1: which feature each of the E columns from ``start`` on reads.
    """

    weight: Tensor
    start: int
    feature: Tensor


def feature_columns(network: nn.Module) -> list[FeatureColumns]:
    """Return the columns of first layers that read numbers cut into bins; none where there are no such layers.

    Parameters
    ----------
    network : nn.Module
        Looked at are the ``MLPNetwork``s in it.
    """
    found = []
    for module in network.modules():
        stage = module.input if isinstance(module, MLPNetwork) else None
        if not isinstance(stage, TabularInput) or not isinstance(stage.numeric, PiecewiseLinear):
            continue
        first = next(part for name, part in module.named_modules() if name and type(part) is nn.Linear)
        counts = (stage.numeric.scale != 0).sum(dim=1)
        feature = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
        if (
            first.in_features == stage.out_features
            and first.weight.requires_grad
            and type(first.weight.detach()) is Tensor
        ):
            found.append(FeatureColumns(first.weight, len(stage.passing), feature))
    return found
