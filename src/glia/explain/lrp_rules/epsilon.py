"""The ε rule: shares in proportion to the contributions, small sums damped."""

from __future__ import annotations

from torch import Tensor

from glia.core.errors import InputError
from glia.explain.lrp_rules.base import Layer, Rule, rules


@rules.register("epsilon")
def epsilon(*, epsilon: float = 1e-6) -> Rule:
    """R_i = Σ_j x_i w_ij / (z_j + ε·sign z_j) · R_j; ε = 0 is LRP-0, larger ε keeps what is noise.

    Source: Bach et al., doi 10.1371/journal.pone.0130140, equation 58.

    Raises
    ------
    InputError
        If ε < 0.
    """
    if not epsilon >= 0:
        raise InputError("epsilon must be at least 0", f"epsilon={epsilon!r}")

    def rule(layer: Layer) -> Tensor:
        return layer.passing(layer.total(), layer.output(), epsilon)

    return rule
