"""AdamW that also learns how much each number of a table counts: one scale for all weights that read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from glia.core.errors import InputError
from glia.engine.optimizers.lean import LeanAdamW
from glia.engine.optimizers.rules import kernels
from glia.nn.feature_columns import FeatureColumns


class FeatureScaledAdamW(LeanAdamW):
    """``torch.optim.AdamW`` over weights W = V · s, where every feature f has a scale s_f = exp(r·t_f) of its own.

    AdamW updates V and t; the network sees nothing but W. All weights that read a feature grow or shrink together, so
    that features that do not help are faded out faster than their weights could be, one by one. The scaling layer is
    that of RealMLP (arXiv 2407.04491, section 3), with scales that stay above zero; V is W / s, hence nothing has to be
    kept beside W, and W may be changed from outside.

    Parameters
    ----------
    params : iterable
        As torch takes them.
    columns : sequence of FeatureColumns
        Their weights must be among the parameters. Leading axes of a weight are members of a population, which have
        scales of their own.
    feature_rate : float
        r > 0: how many times faster than weights the scales' exponents learn.
    **options
        Of ``torch.optim.AdamW``.

    Notes
    -----
    With gradient g of W, that of t_f is r·Σ g·W over the weights that read f, and that of V is g·s. t starts at 0 after
    the first step, has no weight decay, and moves by Adam's rule with the same rate, β₁, β₂ and ε as its weights.
    """

    def __init__(
        self, params: Any, *, columns: Sequence[FeatureColumns] = (), feature_rate: float = 3.0, **options: Any
    ) -> None:
        super().__init__(params, **options)
        known = {id(p): place for place, group in enumerate(self.param_groups) for p in group["params"]}
        if not all(id(one.weight) in known for one in columns):
            raise InputError("weights with scales must be among the optimizer's parameters", "others")
        self.feature_rate = feature_rate
        # Where the group stands, not the group: loading a state makes new ones.
        self._columns = [(one, known[id(one.weight)]) for one in columns]

    def step(self, closure: Any = None) -> Any:
        """Update weights and scales; with a closure, return its loss."""
        if closure is not None:
            raise InputError("scales of features are learned without a closure", "one")
        moving = [one for one in self._columns if one[0].weight.grad is not None]
        known = [one for one in moving if "exponent" in self.state[one[0].weight]]
        scaled = [_Scaled(self, columns, self.param_groups[place]) for columns, place in known]
        with torch.no_grad():
            for one in scaled:
                one.divide()
            super().step()
            for one in scaled:
                one.multiply()
            for columns, _ in moving:
                self._begin(columns)
        return None

    step.hooked = True  # type: ignore[attr-defined]  # as in ``_Lean``

    def _begin(self, columns: FeatureColumns) -> None:
        """Make scales where there are none yet: after a step, as torch makes its state only where there is none."""
        if "exponent" in self.state[columns.weight]:
            return
        count = int(columns.feature.max()) + 1
        zeros = columns.weight.new_zeros(*columns.weight.shape[:-2], count)
        for name in ("exponent", "exponent_avg", "exponent_avg_sq"):
            self.state[columns.weight][name] = zeros.clone()


class _Scaled:
    """One weight's step: divided by its scales before, multiplied by the new ones after."""

    def __init__(self, optimizer: FeatureScaledAdamW, columns: FeatureColumns, group: dict[str, Any]) -> None:
        self.state, self.group, self.rate = optimizer.state[columns.weight], group, optimizer.feature_rate
        end = columns.start + len(columns.feature)
        self.feature = columns.feature
        self.weight = columns.weight.detach()[..., columns.start : end]
        gradient: Any = columns.weight.grad
        self.gradient = gradient[..., columns.start : end]

    def divide(self) -> None:
        exponent, scales = self.state["exponent"], self._scales()
        by_column = (self.gradient * self.weight).sum(-2)  # (…, E)
        own = torch.zeros_like(exponent).index_add_(-1, self.feature, by_column).mul_(self.rate)
        self.gradient.mul_(scales)
        self.weight.div_(scales)
        self._adam(own)

    def multiply(self) -> None:
        self.weight.mul_(self._scales())

    def _scales(self) -> Tensor:
        exponent: Tensor = self.state["exponent"]
        return (self.rate * exponent).exp_().index_select(-1, self.feature).unsqueeze(-2)

    def _adam(self, gradient: Tensor) -> None:
        (beta1, beta2), state = self.group["betas"], self.state
        first, second = state["exponent_avg"], state["exponent_avg_sq"]
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        steps = float(state["step"])  # torch's own counter, which is one ahead of the scales'
        size = (second / (1 - beta2**steps)).sqrt_().add_(self.group["eps"])
        state["exponent"].addcdiv_(first, size, value=-float(self.group["lr"]) / (1 - beta1**steps))


def feature_scaled_adamw(
    groups: list[dict[str, Any]],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    columns: Sequence[FeatureColumns] = (),
    feature_rate: float = 3.0,
) -> FeatureScaledAdamW:
    """Return ``FeatureScaledAdamW`` with the fastest kernels; see ``glia.engine.optimizers.rules.adamw``."""
    options = {"lr": lr, "betas": betas, "eps": eps, **kernels(groups)}
    return FeatureScaledAdamW(groups, columns=columns, feature_rate=feature_rate, **options)
