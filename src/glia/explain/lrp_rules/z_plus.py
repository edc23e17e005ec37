"""The z⁺ rule: contributions above 0 alone."""

from __future__ import annotations

from torch import Tensor

from glia.explain.lrp_rules.base import Layer, Rule, rules


@rules.register("z_plus")
def z_plus(*, epsilon: float = 1e-9) -> Rule:
    """R_i = Σ_j c_ij⁺ / Σ_i c_ij⁺ · R_j, c = x·w (deep Taylor decomposition, arXiv 1512.02479)."""

    def rule(layer: Layer) -> Tensor:
        plus, _ = layer.signed()
        return layer.passing(plus, layer.output(), epsilon)

    return rule
