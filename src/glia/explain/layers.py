"""What the layers of a predictor's network give for rows: the last hidden layer, or any that is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from glia.core.errors import InputError, near
from glia.core.protocols import Predictor
from glia.nn.ensemble import MeanNetwork
from glia.nn.hooks import first_tensor, watching
from glia.nn.modes import evaluating

BATCH = 1024


def module_of(network: nn.Module, name: str) -> nn.Module:
    """Return a module by its path in the network.

    Raises
    ------
    InputError
        If there is none; the nearest path is offered.
    """
    known: dict[str, nn.Module] = dict(network.named_modules())
    if name not in known or not name:
        raise InputError("the layer must be one of the network's", repr(name), near(name, [n for n in known if n]))
    return known[name]


@torch.no_grad()
def layer_outputs(predictor: Predictor, x: Tensor, names: Sequence[str], batch_rows: int = BATCH) -> dict[str, Tensor]:
    """Return what layers give for prepared rows, name → (N, …), on the CPU.

    Hooks are gone afterwards, modes as before. A layer that runs several times is taken at its last run.

    Raises
    ------
    InputError
        If there is no such layer, or it does not run, or gives no rows.
    """
    network = predictor.network_
    modules = {name: module_of(network, name) for name in names}
    found: dict[str, list[Tensor]] = {name: [] for name in names}
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is not None:
                seen[name] = tensor.detach().clone().cpu()

        return hook

    with evaluating(network), hooked([(m.register_forward_hook, keep(n)) for n, m in modules.items()]):
        for part in torch.split(x, batch_rows):
            seen.clear()
            predictor.forward(part)
            for name in names:
                if name not in seen or len(seen[name]) != len(part):
                    raise InputError("the layer must give a value for every row", repr(name), "choose another layer")
                found[name].append(seen[name])
    return {name: torch.cat(parts) for name, parts in found.items()}


@contextmanager
def hooked(hooks: Sequence[tuple[Callable[..., Any], Callable[..., Any]]]) -> Iterator[None]:
    """Run a block with hooks, (register, hook) each; they are gone afterwards, also when the block fails."""
    handles = []
    try:
        for register, hook in hooks:
            handles.append(register(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def last_hidden(predictor: Predictor, x: Tensor, batch_rows: int = BATCH) -> Tensor:
    """Return what goes into the last layer with a weight matrix, (N, H), on the CPU; of members side by side.

    Where that layer is the only one, it is the prepared row itself.

    Raises
    ------
    InputError
        If no such layer runs.
    """
    network = predictor.network_
    layers = [module_of(network, name) for name in _last_layers(predictor, x)]
    found = []
    seen: dict[int, Tensor] = {}

    def keep(module: nn.Module, args: Any) -> None:
        tensor = first_tensor(args)
        if tensor is not None:
            seen[id(module)] = tensor.detach().clone().cpu().flatten(1)

    with evaluating(network), hooked([(layer.register_forward_pre_hook, keep) for layer in layers]):
        for part in torch.split(x, batch_rows):
            predictor.forward(part)
            found.append(torch.cat([seen[id(layer)] for layer in layers], dim=1))
    return torch.cat(found)


def _last_layers(predictor: Predictor, x: Tensor) -> list[str]:
    """Return the path of the last layer with a weight matrix that ran, for each member."""
    network = predictor.network_
    ran: list[str] = []

    def note(name: str, module: nn.Module, before: Tensor | None, after: Tensor | None) -> None:
        weight = getattr(module, "weight", None)
        table = isinstance(module, (nn.Embedding, nn.EmbeddingBag))
        if isinstance(weight, Tensor) and weight.ndim >= 2 and not table and before is not None:
            ran.append(name)

    with evaluating(network), watching(network, note):
        predictor.forward(x[:2])
    if not isinstance(network, MeanNetwork):
        if not ran:
            raise InputError("a layer with a weight matrix must run", type(network).__name__, "name a layer")
        return ran[-1:]
    last = {}
    for name in ran:
        last[name.split(".")[1]] = name
    if not last:
        raise InputError("a layer with a weight matrix must run", type(network).__name__, "name a layer")
    return [last[member] for member in sorted(last, key=int)]


def representation(predictor: Predictor, x: Tensor, layer: str | None = None) -> Tensor:
    """Return rows as a layer sees them, (N, H): the last hidden layer, or the outputs of a named one."""
    if layer is not None:
        return layer_outputs(predictor, x, [layer])[layer].flatten(1).double()
    if isinstance(predictor.network_, nn.Linear):
        return x.detach().cpu().flatten(1).double()
    return last_hidden(predictor, x).double()


def layers_that_run(predictor: Predictor, x: Tensor) -> list[str]:
    """Return the paths of the layers that give numbers for every row, in the order in which they first run."""
    found: dict[str, None] = {}
    batch = x[: min(len(x), 3)]

    def note(name: str, module: nn.Module, before: Tensor | None, after: Tensor | None) -> None:
        if after is not None and after.is_floating_point() and after.ndim and len(after) == len(batch) and name:
            found.setdefault(name)

    with torch.no_grad(), evaluating(predictor.network_), watching(predictor.network_, note):
        predictor.forward(batch)
    paths = dict(predictor.network_.named_modules())
    return [name for name in found if name in paths]


@contextmanager
def unit_graph(predictor: Predictor) -> Iterator[None]:
    """Run a block that differentiates: evaluation mode, gradients recorded, all put back afterwards."""
    with torch.inference_mode(False), torch.enable_grad(), evaluating(predictor.network_):
        yield


def run_with_layer(predictor: Predictor, x: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """Return raw outputs (B, O) and a layer's output (B, …), both in the graph; the layer is taken at its last run.

    Raises
    ------
    InputError
        If the layer does not run, or gives no rows.
    """
    seen: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Any) -> None:
        tensor = first_tensor(output)
        if tensor is not None:
            seen.append(tensor)

    with hooked([(module_of(predictor.network_, layer).register_forward_hook, keep)]):
        raw = predictor.forward(x)
    if not seen or len(seen[-1]) != len(x):
        raise InputError("the layer must give a value for every row", repr(layer), "choose another layer")
    return raw, seen[-1]
