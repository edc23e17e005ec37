"""Rules of layer-wise relevance propagation, by name."""

from glia.explain.lrp_rules.alpha_beta import alpha_beta
from glia.explain.lrp_rules.base import Layer, Rule, as_rule, rules
from glia.explain.lrp_rules.composite import Composite, as_composite, composites
from glia.explain.lrp_rules.epsilon import epsilon
from glia.explain.lrp_rules.gamma import gamma
from glia.explain.lrp_rules.z_plus import z_plus

__all__ = [
    "Composite",
    "Layer",
    "Rule",
    "alpha_beta",
    "as_composite",
    "as_rule",
    "composites",
    "epsilon",
    "gamma",
    "rules",
    "z_plus",
]
