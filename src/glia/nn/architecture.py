"""Which layer hands its output to which: the layers of a network as a graph, found by running it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from glia.core.results import Result, Table
from glia.nn.describe import NetworkDescription, describe_network
from glia.nn.ensemble import MeanNetwork
from glia.nn.hooks import watching
from glia.nn.modes import evaluating

INPUT = "the row"
"""Name of what comes in; no layer can be called so by accident."""
_JOINED = frozenset({"cat", "concat", "concatenate", "stack", "hstack", "vstack"})
_TIMES = frozenset({"mul", "rmul", "imul", "matmul", "bmm", "einsum"})
Origin = tuple[frozenset[str], str]
"""The layers that a value comes from since the last layer, and what joined them where they are several."""


@dataclass(frozen=True)
class Architecture(Result):
    """Layers and the ways between them.

    Parameters
    ----------
    description : NetworkDescription
        The layers with their figures.
    inputs : mapping of str to tuple of str
        For each layer, and each place where ways join, in order of execution: the names of those that it takes from;
        ``INPUT`` is the row itself.
    joins : mapping of str to str
        Name of a place where ways join → how: "sum", "product", or "joined" side by side.
    shape : tuple of int
        Of a row.
    members : int
        Networks like this one that are averaged.
    others : int
        Networks of other layers that are averaged with them.
    """

    description: NetworkDescription
    inputs: Mapping[str, tuple[str, ...]]
    joins: Mapping[str, str]
    shape: tuple[int, ...]
    members: int = 1
    others: int = 0

    @property
    def skips(self) -> int:
        """Ways that pass over at least one layer."""
        order = {name: place for place, name in enumerate([INPUT, *self.inputs])}
        return sum(order[name] - order[one] > 1 for name, taken in self.inputs.items() for one in taken)

    def summary(self) -> str:
        """Return the size in one sentence."""
        over = f" {self.skips} ways pass over layers." if self.skips else ""
        return self.description.summary() + over

    def tables(self) -> list[Table]:
        """Return the layers, and what each takes from."""
        rows = tuple((name, ", ".join(taken)) for name, taken in self.inputs.items())
        return [*self.description.tables(), Table("Ways", ("layer", "takes from"), rows)]


class _Flow(TorchFunctionMode):
    """Follows values through a network and keeps the layers that each comes from."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.origins = WeakTensorKeyDictionary()
        self.origins[x] = (frozenset({INPUT}), "")
        self.inputs: dict[str, tuple[str, ...]] = {}
        self.joins: dict[str, str] = {}
        self._known: dict[Origin, str] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        before = [self.origins[one] for one in _tensors((args, kwargs or {})) if one in self.origins]
        output = func(*args, **(kwargs or {}))
        if before and isinstance(output, (Tensor, tuple, list)):
            after = self._after(getattr(func, "__name__", "").strip("_"), before)
            for one in _tensors(output):
                if one.dtype != torch.bool:  # masks say where, not what
                    self.origins[one] = after
        return output

    def _after(self, name: str, before: list[Origin]) -> Origin:
        if all(one == before[0] for one in before):
            return before[0]
        settled = [self.settle(one) for one in before]
        how = "joined" if name in _JOINED else "product" if name in _TIMES else "sum"
        together = frozenset(settled)
        return (together, how if len(together) > 1 else "")

    def settle(self, origin: Origin) -> str:
        """Return the one place that a value comes from; where several meet, that is a place of its own."""
        layers, how = origin
        if len(layers) == 1:
            return next(iter(layers))
        if origin not in self._known:
            name = f"{how} {sum(one == how for one in self.joins.values()) + 1}"
            order = [INPUT, *self.inputs]
            self._known[origin] = name
            self.joins[name], self.inputs[name] = how, tuple(sorted(layers, key=order.index))
        return self._known[origin]

    def note(self, name: str, module: nn.Module, x: Tensor | None, output: Tensor | None) -> None:
        """Keep what a layer takes from, once it has run."""
        if name not in self.inputs:
            come = self.origins[x] if x is not None and x in self.origins else None
            gone = self.origins[output] if output is not None and output in self.origins else None
            within = gone is not None and any(one.startswith(f"{name}.") or name == "network" for one in gone[0])
            origin = gone if within else come if come is not None else gone
            self.inputs[name] = () if origin is None else (self.settle(origin),)
        if output is not None:
            self.origins[output] = (frozenset({name}), "")


def architecture(network: nn.Module, shape: Sequence[int]) -> Architecture:
    """Return the layers of a network and the ways between them, by running two rows of zeros through it.

    Parameters
    ----------
    network : nn.Module
        Runs in evaluation mode; its modes are put back. Of a mean of several networks, the first one.
    shape : sequence of int
        Shape of one row without the batch, e.g. ``layout.shape``.

    Notes
    -----
    What happens between layers is told by the values themselves: a layer that takes the sum of two others' outputs has
    a skip connection before it, however it was written. A layer that runs several times is there once.
    """
    averaged = list(network.networks) if isinstance(network, MeanNetwork) else [network]
    one = averaged[0]
    alike = sum(_sizes(other) == _sizes(one) for other in averaged)
    described = describe_network(one, shape)
    rows = torch.zeros(2, *shape, device=next((p.device for p in one.parameters()), None))
    flow = _Flow(rows)
    with evaluating(one), torch.no_grad(), watching(one, flow.note), flow:
        end = one(rows)
    if isinstance(end, Tensor) and end in flow.origins:
        flow.settle(flow.origins[end])  # ways may join behind the last layer
    return Architecture(described, flow.inputs, flow.joins, tuple(shape), alike, len(averaged) - alike)


def _sizes(network: nn.Module) -> list[tuple[str, torch.Size]]:
    return [(name, value.shape) for name, value in network.state_dict().items()]


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _tensors(one)
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _tensors(one)
