"""One optimizer for all members of a population, with each member's own rate, decay, penalties and clipping."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer as TorchOptimizer

from glia.core.errors import InputError
from glia.engine.clipping import Clip
from glia.engine.optimizer_settings import Optimizer
from glia.engine.optimizers import FeatureScaledAdamW, Lion, ScheduleFree, default_lr, optimizers, parameter_groups
from glia.engine.population_clipping import clip_members_
from glia.nn.population import Population
from glia.objectives import penalised_parameters

LINEAR = (
    torch.optim.SGD,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.Adamax,
    torch.optim.RMSprop,
    torch.optim.Adagrad,
    torch.optim.Adadelta,
    Lion,
)
"""Rules that work value by value and whose step is proportional to the learning rate."""


@dataclass(frozen=True)
class MemberRates:
    """What members may differ in, one figure for each of K members.

    Parameters
    ----------
    lr : tuple of float
        Base learning rates, above 0; the schedule multiplies them all by the same factor.
    weight_decay, l1, l2 : tuple of float
        At least 0.
    """

    lr: tuple[float, ...]
    weight_decay: tuple[float, ...]
    l1: tuple[float, ...]
    l2: tuple[float, ...]

    @property
    def same(self) -> bool:
        """Whether all members have one learning rate and one weight decay."""
        return len(set(self.lr)) == len(set(self.weight_decay)) == 1


def per_member(name: str, value: Any, members: int, *, above: bool = False) -> tuple[float, ...]:
    """Return one figure for each member, from one for all or a sequence.

    Raises
    ------
    InputError
        If there are not as many figures as members, or one is out of range.
    """
    found = tuple(float(v) for v in (value if hasattr(value, "__len__") else [value] * members))
    if len(found) != members:
        raise InputError(f"{name} must be one figure, or one for each member", f"{len(found)} for {members} members")
    if not all(v < math.inf and (v > 0 if above else v >= 0) for v in found):
        bound = "above 0" if above else "at least 0"
        raise InputError(f"{name} must be finite and {bound}", f"{name}={value!r}")
    return found


def member_rates(
    rule: Optimizer,
    members: int,
    lr: float | Sequence[float] | None,
    weight_decay: float | Sequence[float] | None = None,
    l1: float | Sequence[float] = 0.0,
    l2: float | Sequence[float] = 0.0,
) -> MemberRates:
    """Return the members' figures; ``None`` takes the rule's usual rate and its settings' weight decay."""
    usual = default_lr(rule.name) if lr is None else lr
    decay = rule.weight_decay if weight_decay is None else weight_decay
    return MemberRates(
        per_member("lr", usual, members, above=True),
        per_member("weight_decay", decay, members),
        per_member("l1", l1, members),
        per_member("l2", l2, members),
    )


def can_stack(rule: Optimizer, network: nn.Module, rates: MemberRates) -> bool:
    """Whether a rule does to stacked weights what it does to each member's own."""
    made = rule.make(network, rates.lr[0])
    ours = type(made).__module__.startswith(("torch.optim", "glia."))
    ours = ours and all(group.get("lr_scale", 1.0) == 1.0 for group in made.param_groups)  # one rate per member
    alike = isinstance(made, (ScheduleFree, FeatureScaledAdamW))  # their steps are no share of those at another rate
    return ours and (rates.same if alike else isinstance(made, LINEAR))


class StackedUpdates:
    """Steps of members whose weights lie stacked: one optimizer for all.

    Where rates are equal the optimizer's own kernels do all of it. Where they differ the optimizer takes a step at the
    largest rate and each member then goes only its share of the way, which is the same for rules in ``LINEAR``.

    Parameters
    ----------
    population : Population
        Whose parameters are updated; its members lie in stacks.
    networks : sequence of nn.Module
        The plain members: they say which parameters decay and are penalised.
    rule : Optimizer
        Settings of the update rule.
    rates : MemberRates
    clip : Clip, optional
        Bounds, for each member by itself.
    """

    def __init__(
        self,
        population: Population,
        networks: Sequence[nn.Module],
        rule: Optimizer,
        rates: MemberRates,
        clip: Clip | None,
    ) -> None:
        stacks = population.stacks
        starts = list(accumulate((stack.members for stack in stacks), initial=0))
        like = nn.ModuleList(networks[start] for start in starts[:-1])  # one of each kind
        own = dict(nn.ModuleList(stack.network for stack in stacks).named_parameters())
        ranges = {
            id(p): slice(*ends)
            for stack, ends in zip(stacks, pairwise(starts), strict=True)
            for p in stack.network.parameters()
        }
        names = {id(p): name for name, p in like.named_parameters()}
        base, decays = max(rates.lr), rates.weight_decay
        same_decay = len(set(decays)) == 1
        groups, decayed = parameter_groups(like, base, 1.0), list[Tensor]()
        for group in groups:
            group["params"] = [own[names[id(p)]] for p in group["params"]]
            decayed += group["params"] if group["weight_decay"] else []
            group["weight_decay"] = decays[0] if same_decay and group["weight_decay"] else 0.0
        chosen = rule.rule(like, lambda weight: own[names[id(weight)]])
        build = optimizers.get(chosen) if isinstance(chosen, str) else chosen
        self.optimizer: TorchOptimizer = build(groups, lr=base, **(rule.options or {}))
        self._decoupled = isinstance(self.optimizer, (torch.optim.AdamW, Lion)) or bool(
            self.optimizer.param_groups[0].get("decoupled_weight_decay")
        )
        self.clip = clip
        self._parameters = [[p for p in stack.network.parameters() if p.requires_grad] for stack in stacks]
        penalised = [own[names[id(p)]] for p in penalised_parameters(like)]
        shares = [lr / base for lr in rates.lr]
        trained = [p for parameters in self._parameters for p in parameters]
        l1 = [s * v for s, v in zip(shares, rates.l1, strict=True)]
        self._share = _along(trained, shares, ranges) if len(set(rates.lr)) > 1 else []
        self._decay = [] if same_decay else _along(decayed, decays, ranges)
        self._l2 = _along(penalised, rates.l2, ranges) if any(rates.l2) else []
        self._l1 = _along(penalised, l1, ranges) if any(rates.l1) else []
        self._plain = not (self._share or self._decay or self._l2 or self._l1 or clip)

    @torch.no_grad()
    def step(self) -> None:
        """Update all members from their gradients."""
        if self._plain:
            self.optimizer.step()
            return
        rate = float(self.optimizer.param_groups[0]["lr"])
        for p, l2 in self._l2:
            if p.grad is not None:
                p.grad.addcmul_(p, l2)
        if self.clip is not None:
            for parameters in self._parameters:
                clip_members_(parameters, self.clip)
        before = [p.clone() for p, _ in self._share]
        for p, decay in self._decay:
            if p.grad is None:
                continue
            if self._decoupled:  # at the optimizer's rate: members then go their share of this, too
                p.mul_(1.0 - rate * decay)
            else:
                p.grad.addcmul_(p, decay)
        self.optimizer.step()
        for (p, share), old in zip(self._share, before, strict=True):
            torch.lerp(old, p, share, out=p)
        for p, l1 in self._l1:
            limit = rate * l1
            p.sub_(torch.minimum(torch.maximum(p, -limit), limit))


def _along(
    parameters: Sequence[Tensor], figures: Sequence[float], ranges: Mapping[int, slice]
) -> list[tuple[Tensor, Tensor]]:
    """Return each parameter, (K, …), with its members' figures shaped to multiply it."""
    found = []
    for p in parameters:
        own = torch.tensor(figures[ranges[id(p)]], dtype=p.dtype, device=p.device)
        found.append((p, own.reshape(-1, *[1] * (p.ndim - 1))))
    return found
