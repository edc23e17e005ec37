"""A network taken apart after its first linear layer, whose sums can be put together column by column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glia.nn.dense_stack import is_watched
from glia.nn.embeddings import TabularInput
from glia.nn.ensemble import MeanNetwork
from glia.nn.missing_inputs import MissingInputs, MissingNetwork
from glia.nn.mlp import MLPNetwork
from glia.nn.radial import RadialNetwork
from glia.nn.residual import DenseBlock


@dataclass(frozen=True)
class FirstLayer:
    """``network(x) = tail(sums(x))``, where the sums are linear in parts that each depend on one original column.

    Parameters
    ----------
    sums : callable
        (B, D) → (B, H): what the first linear layer gives.
    tail : callable
        (B, H) → (B, outputs): all that comes after it.
    width : int
        H.
    """

    sums: Callable[[Tensor], Tensor]
    tail: Callable[[Tensor], Tensor]
    width: int

    def by_player(self, rows: Tensor, reference: Tensor, holds: Tensor) -> Tensor:
        """Return what each player adds to the sums of a reference row when it takes a row's values, (N, P, H).

        Parameters
        ----------
        rows : Tensor of shape (N, D)
        reference : Tensor of shape (D,)
        holds : bool Tensor of shape (P, D)
            The positions that belong to each player.
        """
        mixed = torch.where(holds, rows.unsqueeze(1), reference)  # (N, P, D)
        own: Tensor = self.sums(mixed.flatten(0, 1)) - self.sums(reference.unsqueeze(0))
        return own.reshape(len(rows), len(holds), self.width)


def first_layer(network: nn.Module) -> FirstLayer | None:
    """Take a network apart, or return ``None`` where it does not begin with a linear layer.

    Known are Glia's dense and radial networks, also behind embeddings, behind inputs for missing values and in
    ensembles, and ``nn.Sequential`` that starts with ``nn.Linear``. Networks with hooks are run as a whole, so that the
    hooks see it.
    """
    if is_watched(network):
        return None
    if type(network) is MeanNetwork:
        return _ensemble(network)
    if type(network) is MissingNetwork and type(network.input) is MissingInputs:
        inner, stage = first_layer(network.network), network.input
        return None if inner is None else FirstLayer(lambda x: inner.sums(stage(x)), inner.tail, inner.width)
    if type(network) is MLPNetwork:
        return _perceptron(network)
    if type(network) is RadialNetwork:
        return FirstLayer(network.project, network.answer, network.centres.shape[1])
    if type(network) is nn.Sequential and len(network) and type(network[0]) is nn.Linear:
        return FirstLayer(network[0], _in_turn(list(network)[1:]), network[0].out_features)
    return None


def _perceptron(network: MLPNetwork) -> FirstLayer | None:
    if network.input is not None and type(network.input) is not TabularInput:
        return None
    stages = [stage for name, stage in network.stages() if name != "input"]
    first = stages.pop(0)
    if type(first) is DenseBlock:
        inner = [part for _, part in first.stages()]
        first, stages = inner[0], [*inner[1:], *stages]
    if type(first) is not nn.Linear:
        return None
    into: list[nn.Module] = [first] if network.input is None else [network.input, first]
    return FirstLayer(_in_turn(into), _in_turn(stages), first.out_features)


def _ensemble(network: MeanNetwork) -> FirstLayer | None:
    found = [first_layer(member) for member in network.networks]
    members = [one for one in found if one is not None]
    if len(members) < len(found):
        return None
    widths = [one.width for one in members]

    def sums(x: Tensor) -> Tensor:
        return torch.cat([one.sums(x) for one in members], dim=1)

    def tail(h: Tensor) -> Tensor:
        parts = torch.split(h, widths, dim=1)
        outputs = [one.tail(part.contiguous()) for one, part in zip(members, parts, strict=True)]
        return network.mean(torch.stack(outputs))

    return FirstLayer(sums, tail, sum(widths))


def _in_turn(parts: list[nn.Module]) -> Callable[[Tensor], Tensor]:
    def run(x: Tensor) -> Tensor:
        for part in parts:
            x = part(x)
        return x

    return run
