"""From K plain networks to a population and back, and which form pays."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from glia.core.errors import InputError, near
from glia.core.seeds import seeded
from glia.nn.dense_stack import is_watched
from glia.nn.population.base import BatchedPopulation, Population
from glia.nn.population.batched import batched
from glia.nn.population.cost import pays, step_flops
from glia.nn.population.mixed import MixedPopulation
from glia.nn.population.separate import SeparatePopulation
from glia.nn.population.vmapped import VmapPopulation

FORMS = ("auto", "batched", "vmap", "separate")
FEW_ROWS = 4
"""Rows by which forms are tried out."""
_TOLERANCE = 1e-4


def stack(
    networks: Sequence[nn.Module],
    form: str = "auto",
    *,
    rows: Tensor | None = None,
    batch_size: int = 64,
    kinds: Sequence[int] | None = None,
) -> Population:
    """Return K networks as one module.

    Parameters
    ----------
    networks : sequence of nn.Module
        At least one; each with weights of its own. Dropout probabilities may differ, all else must be alike, or alike
        within each of the ``kinds``.
    form : {"auto", "batched", "vmap", "separate"}
        "batched" is for networks of Glia's dense parts (``MLPNetwork``, ``nn.Sequential`` of linear layers, norms,
        activations, dropout), "vmap" for most others; "separate" runs any networks in turn. "auto" takes the first of
        them that can be had, and "separate" where batching does not pay.
    rows : Tensor, optional
        Some rows, (B, *shape); "auto" and "vmap" are then tried out, since not all code can be mapped.
    batch_size : int
        Rows of a step, by which "auto" decides.
    kinds : sequence of int, optional
        How many of the networks, one after the other, are of one architecture: (4, 2) are two architectures. Each kind
        is stacked by itself where the first one pays.

    Returns
    -------
    Population
        (B, *shape) → (K, B, O). "batched" and "vmap" copy the weights (``unstack`` writes them back); "separate"
        holds the networks themselves.

    Raises
    ------
    InputError
        If the networks differ, or the form is unknown or cannot be had.
    """
    if form not in FORMS:
        raise InputError("the form of a population must be known", f"form={form!r}", near(form, FORMS))
    if not networks:
        raise InputError("a population must have members", "no network", "hand in at least one")
    if kinds is not None and len(kinds) > 1:
        return _mixed(networks, form, kinds, rows, batch_size)
    _check_alike(networks)
    watched = any(map(is_watched, networks))
    if form == "separate" or (form == "auto" and watched):
        return SeparatePopulation(networks)
    if form == "auto":
        device = next((p.device for p in networks[0].parameters()), torch.device("cpu"))
        flops = step_flops(networks[0], None if rows is None else rows[:FEW_ROWS], batch_size)
        if not pays(len(networks), "batched", flops, device):
            return SeparatePopulation(networks)
    if form in ("auto", "batched"):
        made = None if watched else batched(networks)
        if made is not None:
            made.train(networks[0].training)
            return BatchedPopulation(made, networks[0], len(networks))
        if form == "batched":
            kind = type(networks[0]).__name__
            raise InputError("every part must have a batched form", kind, 'take form="auto" or "vmap"')
    if form == "auto" and not pays(len(networks), "vmap", flops, device):
        return SeparatePopulation(networks)
    found = "hooks on a module" if watched else _vmapped(networks, rows)
    if isinstance(found, Population):
        return found
    if form == "vmap":
        raise InputError("the network's code must run under torch.func.vmap", found, 'take form="auto" or "separate"')
    return SeparatePopulation(networks)


def _mixed(
    networks: Sequence[nn.Module], form: str, kinds: Sequence[int], rows: Tensor | None, batch_size: int
) -> Population:
    """Return one stack for each architecture, or all networks in turn where the first kind is not worth stacking."""
    if min(kinds) < 1 or sum(kinds) != len(networks):
        raise InputError("kinds must divide the members", f"kinds={tuple(kinds)!r} of {len(networks)} networks")
    ends = list(accumulate(kinds))
    own = [networks[end - count : end] for count, end in zip(kinds, ends, strict=True)]
    made = [stack(own[0], form, rows=rows, batch_size=batch_size)]
    if not made[0].stacks:
        for kind in own[1:]:
            _check_alike(kind)
        return SeparatePopulation(networks)
    # Stacked although they may be few: a loop over them would need a trainer of another kind.
    made += [stack(kind, "batched" if form == "auto" else form, rows=rows, batch_size=batch_size) for kind in own[1:]]
    return MixedPopulation([stack for one in made for stack in one.stacks])


def unstack(population: Population, networks: Sequence[nn.Module]) -> None:
    """Write the members' weights and buffers into K plain networks, in place.

    Raises
    ------
    InputError
        If there are not K networks.
    """
    if len(networks) != population.members:
        raise InputError("there must be a network for every member", f"{len(networks)} for {population.members}")
    with torch.no_grad():
        for network, state in zip(networks, population.member_states(), strict=True):
            for name, value in network.state_dict().items():
                if value is not state[name]:
                    value.copy_(state[name])


def _check_alike(networks: Sequence[nn.Module]) -> None:
    first = _description(networks[0])
    for number, network in enumerate(networks[1:], 1):
        found = _description(network)
        if found != first:
            name = next((k for k in {**first, **found} if first.get(k) != found.get(k)), "")
            raise InputError(
                "the members of a population must be of one architecture",
                f"member {number} differs in {name!r}: {found.get(name)} instead of {first.get(name)}",
                "build them from the same settings",
            )


def _description(network: nn.Module) -> dict[str, str]:
    parts = {
        f"{place or 'network'}": f"{type(module).__name__}({module.extra_repr()})"
        for place, module in network.named_modules()
        if not isinstance(module, nn.Dropout)
    }
    return parts | {name: str(tuple(value.shape)) for name, value in network.state_dict().items()}


def _vmapped(networks: Sequence[nn.Module], rows: Tensor | None) -> Population | str:
    """Return the mapped form, or why it cannot be had."""
    if len({_dropouts(network) for network in networks}) > 1:
        return "members with dropout probabilities of their own"
    population = VmapPopulation(networks)
    why = "" if rows is None else _fault(population, networks, rows[:FEW_ROWS])
    return why or population


def _dropouts(network: nn.Module) -> tuple[float, ...]:
    return tuple(float(m.p) for m in network.modules() if isinstance(m, nn.modules.dropout._DropoutNd))


def _fault(population: VmapPopulation, networks: Sequence[nn.Module], rows: Tensor) -> str:
    """Return what is wrong with a mapped form when it is tried on a few rows; nothing is changed by the trial."""
    trial, plain = copy.deepcopy(population), [copy.deepcopy(network).eval() for network in networks]
    try:
        with warnings.catch_warnings(), seeded(0, "trial"):
            warnings.simplefilter("error")  # vmap warns where it falls back to a loop, which would not pay
            with torch.no_grad():
                found = trial.eval()(rows)
            trial.train()(rows).sum().backward()
        with torch.no_grad():
            expected = [network(rows) for network in plain]
    except Exception as error:  # whatever the user's code does under vmap, there is another way
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    wanted = torch.stack(expected)
    if found.shape != wanted.shape or not torch.allclose(found, wanted, _TOLERANCE, _TOLERANCE, equal_nan=True):
        return "outputs that differ from those of the plain networks"
    return ""
