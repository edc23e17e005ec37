"""The γ rule: contributions of the output's own sign count more."""

from __future__ import annotations

import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.explain.lrp_rules.base import Layer, Rule, rules


@rules.register("gamma")
def gamma(*, gamma: float = 0.25, epsilon: float = 1e-9) -> Rule:
    """R_i = Σ_j (c_ij + γ·c_ij^±) / (z_j + γ·Σ_i c_ij^±) · R_j, c = x·w, ± the sign of z_j.

    For inputs ≥ 0 and z > 0 these are weights w + γ·w⁺. Source: Montavon et al., doi 10.1007/978-3-030-28954-6_10; for
    inputs of both signs, contributions take the place of weights.

    Raises
    ------
    InputError
        If γ < 0.
    """
    if not gamma >= 0:
        raise InputError("gamma must be at least 0", f"gamma={gamma!r}")

    def rule(layer: Layer) -> Tensor:
        plus, minus = layer.signed()
        value = layer.output()
        total = plus + minus + gamma * torch.where(value >= 0, plus, minus)
        return layer.passing(total, value, epsilon)

    return rule
