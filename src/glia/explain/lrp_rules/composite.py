"""Which rule goes where: composites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from glia.core.errors import InputError
from glia.core.registry import Registry
from glia.explain.lrp_rules.alpha_beta import alpha_beta
from glia.explain.lrp_rules.base import Rule, as_rule, rules
from glia.explain.lrp_rules.epsilon import epsilon
from glia.explain.lrp_rules.gamma import gamma
from glia.explain.lrp_rules.z_plus import z_plus
from glia.nn.parts import Part

AnyRule = str | Part | Rule
STANDARD = (epsilon, gamma, z_plus, alpha_beta)  # registered by being imported, before composites name them


@dataclass(frozen=True)
class Composite:
    """A rule for every kind of layer.

    Parameters
    ----------
    dense, convolution : str, Part or rule
        Of linear layers and of convolutions.
    layers : mapping
        Name of a module of the network, or the beginning of names → a rule of its own.

    Examples
    --------
    >>> Composite(dense=Part("epsilon", epsilon=0.1), convolution="z_plus").convolution
    'z_plus'
    """

    dense: AnyRule = "epsilon"
    convolution: AnyRule = "gamma"
    layers: Mapping[str, AnyRule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rule in (self.dense, self.convolution, *self.layers.values()):
            as_rule(rule)

    def rule(self, kind: str, module: str) -> Rule:
        """Return the rule of a layer; ``kind`` is "dense" or "convolution", ``module`` its name."""
        fitting = [name for name in self.layers if module == name or module.startswith(f"{name}.")]
        if fitting:
            return as_rule(self.layers[max(fitting, key=len)])
        return as_rule(self.dense if kind == "dense" else self.convolution)


composites: Registry[Composite] = Registry("LRP composite")
composites.register("epsilon_gamma")(Composite("epsilon", "gamma"))
composites.register("epsilon_plus")(Composite("epsilon", "z_plus"))
composites.register("epsilon_alpha2_beta1")(Composite("epsilon", "alpha_beta"))


def as_composite(rule: AnyRule | Composite) -> Composite:
    """Return the composite for the name of a composite, or with one rule everywhere.

    Raises
    ------
    InputError
        If there is neither a composite nor a rule of that name.
    """
    if isinstance(rule, Composite):
        return rule
    if isinstance(rule, str) and rule in composites:
        return composites.get(rule)
    if isinstance(rule, str) and rule not in rules:
        known = ", ".join((*composites.names(), *rules.names()))
        raise InputError("rule must be a rule or composite of LRP", repr(rule), f"choose one of: {known}")
    return Composite(rule, rule)
