"""The αβ rule: contributions above and below 0 apart, with weights α and −β."""

from __future__ import annotations

import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.explain.lrp_rules.base import Layer, Rule, rules


@rules.register("alpha_beta")
def alpha_beta(*, alpha: float = 2.0, beta: float = 1.0, epsilon: float = 1e-9) -> Rule:
    """R_i = Σ_j (α·c_ij⁺/Σ_i c_ij⁺ − β·c_ij⁻/Σ_i c_ij⁻)·R_j, c = x·w, α − β = 1; α = 1 is z⁺.

    Where an output has contributions of one sign only, they take all of its relevance. Source: Bach et al.,
    doi 10.1371/journal.pone.0130140, equation 60.

    Raises
    ------
    InputError
        If α − β is not 1, or one of them is below 0.
    """
    if abs(alpha - beta - 1.0) > 1e-9 or beta < 0:
        raise InputError("alpha − beta must be 1 and beta at least 0", f"alpha={alpha!r}, beta={beta!r}")

    def rule(layer: Layer) -> Tensor:
        plus, minus = layer.signed()
        value = layer.output()
        has_plus, has_minus = plus.detach() > epsilon, minus.detach() < -epsilon
        up = torch.where(has_plus & ~has_minus, 1.0, torch.where(has_plus, alpha, 0.0))
        down = torch.where(has_minus & ~has_plus, 1.0, torch.where(has_minus & has_plus, -beta, 0.0))
        first = layer.passing(plus, up * value, epsilon)
        return first + layer.passing(minus, down * value, epsilon)

    return rule
