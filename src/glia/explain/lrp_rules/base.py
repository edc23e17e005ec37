"""What a rule of relevance propagation is given, and what all rules share.

A rule returns the layer's own output z, with a gradient of its own: relevance divided by activation travels back in the
place of the gradient, so that input × gradient is the relevance at every layer. A rule that gives input i the share
xᵢ qᵢⱼ / Σᵢ xᵢ qᵢⱼ of output j's relevance returns z with the gradient of Σᵢ xᵢ qᵢⱼ times z / Σᵢ xᵢ qᵢⱼ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glia.core.registry import Registry
from glia.explain.rewriting.slope import Ledger, entered, with_slope
from glia.nn.parts import Part, factory_of


@dataclass(frozen=True)
class Layer:
    """A layer that is linear in its input and in its weight.

    Parameters
    ----------
    x : Tensor
        Input.
    weight : Tensor
        Constant.
    bias : Tensor, optional
        Constant; can be broadcast to the output.
    apply : callable
        (x, weight) → output without the bias; linear in each.
    ledger : Ledger
        Where it is noted what is not passed on.
    share_bias : bool
        Whether a bias' relevance is given to the inputs in the proportion of theirs, rather than kept.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    apply: Callable[[Tensor, Tensor], Tensor]
    ledger: Ledger
    share_bias: bool

    def output(self) -> Tensor:
        """Return the layer's output, without gradient."""
        with torch.no_grad():
            z = self.apply(self.x, self.weight)
            return z if self.bias is None else z + self.bias

    def plus_bias(self, z: Tensor, bias: Tensor | None) -> Tensor:
        """Add what a bias contributes to a sum, unless biases give their relevance to the inputs."""
        return z if bias is None or self.share_bias else entered(z + bias, bias, self.ledger)

    def total(self) -> Tensor:
        """Return Σᵢ xᵢ wᵢⱼ (+ bias), with its gradient."""
        return self.plus_bias(self.apply(self.x, self.weight), self.bias)

    def signed(self) -> tuple[Tensor, Tensor]:
        """Return the sums of the contributions above and below 0, bias included, with their gradients."""
        above = (self.x > 0).to(self.x.dtype)
        up, down = self.weight.clamp(min=0), self.weight.clamp(max=0)
        x = self.x * above
        plus, minus = self.apply(x, up), self.apply(x, down)
        if bool((self.x < 0).any()):
            x = self.x * (1 - above)
            plus, minus = plus + self.apply(x, down), minus + self.apply(x, up)
        if self.bias is not None:
            plus, minus = self.plus_bias(plus, self.bias.clamp(min=0)), self.plus_bias(minus, self.bias.clamp(max=0))
        return plus, minus

    def passing(self, total: Tensor, value: Tensor, epsilon: float) -> Tensor:
        """Return ``value``, whose relevance goes to the parts of ``total`` in proportion."""
        return with_slope(total, value, ratio(value, total, epsilon), self.ledger)


Rule = Callable[[Layer], Tensor]

rules: Registry[Callable[..., Rule]] = Registry("LRP rule")


def as_rule(rule: str | Part | Rule) -> Rule:
    """Return the rule for a name, a ``Part`` with options, or a rule.

    Raises
    ------
    InputError
        If the name or an option is unknown.
    """
    if callable(rule):
        return rule
    factory, options = factory_of(rule, rules)
    made: Rule = factory(**options)
    return made


def ratio(value: Tensor, total: Tensor, epsilon: float) -> Tensor:
    """Return value / (total + ε·sign(total)), 0 where that is not finite."""
    total = total.detach()
    stable = total + torch.where(total >= 0, epsilon, -epsilon)
    found = value / stable
    return torch.where(found.isfinite(), found, 0.0)
