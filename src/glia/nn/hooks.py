"""Watch the layers of any network during a block; the hooks are gone afterwards, also when the block fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

OnLayer = Callable[[str, nn.Module, Tensor | None, Tensor | None], None]
"""(name, module, its first input tensor as it was before the call, its first output tensor)."""


def first_tensor(value: Any) -> Tensor | None:
    """Return the first tensor in a tensor, tuple, list or mapping, looked for in depth."""
    if isinstance(value, Tensor):
        return value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return next((found for item in items if (found := first_tensor(item)) is not None), None)


def layers_of(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the layers worth looking at: modules without children, and modules with parameters of their own.

    The network itself is called ``"network"`` where it is such a layer.
    """
    return [
        (name or "network", module)
        for name, module in network.named_modules()
        if next(module.children(), None) is None or next(module.parameters(recurse=False), None) is not None
    ]


@contextmanager
def watching(network: nn.Module, on_layer: OnLayer) -> Iterator[None]:
    """Call ``on_layer`` after every layer's run inside the block, in order of execution.

    The input is a copy taken before the layer ran, since a layer may work in place.
    """
    handles = []
    pending: dict[int, list[Tensor | None]] = {}

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        found = first_tensor(args)
        found = first_tensor(kwargs) if found is None else found
        pending.setdefault(id(module), []).append(None if found is None else found.detach().clone())

    def after(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            on_layer(name, module, pending[id(module)].pop(), first_tensor(output))

        return hook

    try:
        for name, module in layers_of(network):
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after(name)))
        yield
    finally:
        for handle in handles:
            handle.remove()
