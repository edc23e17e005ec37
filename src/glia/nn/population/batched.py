"""The batched form of networks whose parts have one: leaves are replaced, the tree of modules stays."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from glia.nn.embeddings import TabularInput
from glia.nn.mlp import MLPNetwork
from glia.nn.numeric_embeddings import BinPlace, Periodic, PiecewiseLinear
from glia.nn.population.elementwise import VALUEWISE, StackedDropout, StackedPReLU
from glia.nn.population.linear import StackedLinear
from glia.nn.population.norms import StackedBatchNorm, StackedGroupNorm, StackedLayerNorm, StackedRMSNorm
from glia.nn.population.tabular import StackedPeriodic, StackedTabular
from glia.nn.residual import DenseBlock, ResidualBlock

Members = Sequence[Any]
"""The same part of every member."""

_CONTAINERS: tuple[type[nn.Module], ...] = (MLPNetwork, DenseBlock, ResidualBlock, nn.Sequential, nn.ModuleList)
"""Modules that only hand (…, F) from one part to the next, so that their ``forward`` serves (K, B, F) as it is."""


def batched(members: Members) -> nn.Module | None:
    """Return one module for all members that maps (B, *shape) to (K, B, O), or ``None`` where a part has no such form.

    Parameters
    ----------
    members : sequence of nn.Module
        K networks of one architecture; their weights are copied.
    """
    if type(members[0]) not in (MLPNetwork, nn.Sequential) or not _has_linear(members[0]):
        return None
    return _stacked(members, first=True)


def _has_linear(network: nn.Module) -> bool:
    return any(type(module) is nn.Linear for module in network.modules())


def _stacked(members: Members, *, first: bool = False) -> nn.Module | None:
    kind = type(members[0])
    if kind in _CONTAINERS:
        return _container(members, first=first)
    if kind is nn.Flatten and first and (members[0].start_dim, members[0].end_dim) == (1, -1):
        return nn.Flatten()  # of the shared input, before anything is a member's own
    convert = _LEAVES.get(kind)
    return None if convert is None else convert(members)


def _container(members: Members, *, first: bool) -> nn.Module | None:
    made: nn.Module = copy.copy(members[0])
    made._parameters, made._buffers, made._modules = {}, {}, {}
    if members[0]._parameters or members[0]._buffers:
        return None
    names = {name: None for member in members for name in member._modules}
    for number, name in enumerate(names):
        made.__dict__.pop(name, None)  # a part that this member lacks is a plain attribute
        children = [member._modules.get(name) for member in members]
        if all(child is None for child in children):
            made._modules[name] = None
            continue
        if any(child is None for child in children):  # dropout of probability 0 is left out of a network
            children = [nn.Dropout(0.0) if child is None else child for child in children]
        if len({type(child) for child in children}) > 1:
            return None
        part = _stacked(children, first=first and (number == 0 or name == "input"))
        if part is None:
            return None
        made._modules[name] = part
    return made


def _layer_norm(members: Members) -> nn.Module | None:
    return StackedLayerNorm(members) if len(members[0].normalized_shape) == 1 else None


def _rms_norm(members: Members) -> nn.Module | None:
    return StackedRMSNorm(members) if len(members[0].normalized_shape) == 1 else None


def _tabular(members: Members) -> nn.Module | None:
    numeric = members[0].numeric
    if isinstance(numeric, Periodic):
        return StackedTabular(members, StackedPeriodic([m.numeric for m in members]), learns=True)
    if numeric is None or isinstance(numeric, (PiecewiseLinear, BinPlace, nn.Identity)):
        return StackedTabular(members, copy.deepcopy(numeric), learns=False)
    return None


_LEAVES: dict[type[nn.Module], Callable[[Members], nn.Module | None]] = {
    nn.Linear: StackedLinear,
    nn.BatchNorm1d: StackedBatchNorm,
    nn.LayerNorm: _layer_norm,
    nn.RMSNorm: _rms_norm,
    nn.GroupNorm: StackedGroupNorm,
    nn.Dropout: lambda members: StackedDropout([float(m.p) for m in members]),
    nn.AlphaDropout: lambda members: copy.deepcopy(members[0]) if len({m.p for m in members}) == 1 else None,
    nn.PReLU: StackedPReLU,
    nn.Softmax: lambda members: copy.deepcopy(members[0]) if members[0].dim == -1 else None,
    TabularInput: _tabular,
    **{kind: lambda members: copy.deepcopy(members[0]) for kind in VALUEWISE},
}
