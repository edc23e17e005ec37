"""Every function of torch that a network calls, however it calls it, passes here and may be given another gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from glia.core.errors import InputError
from glia.explain.rewriting.attention import attend, attend_heads
from glia.explain.rewriting.compound import COMPOUND
from glia.explain.rewriting.names import ELEMENTWISE, LEAVING, MOVES, QUIET, name_of
from glia.explain.rewriting.recurrent import RECURRENT


@dataclass(frozen=True)
class Call:
    """A call of one of torch's functions whose result depends on the rows.

    Parameters
    ----------
    name : str
        Plain name, the same for operator, method and function.
    function : callable
        The function itself.
    args, kwargs : tuple and dict
        What it was called with; parameters are constants here.
    module : str
        Name of the module that calls it.
    again : callable
        ``again(f, *args)`` runs f with every operation inside it passing through the rules again.
    """

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    module: str
    again: Callable[..., Any]

    def run(self) -> Any:
        """Return what torch returns, with torch's own gradient."""
        return self.function(*self.args, **self.kwargs)


Handler = Callable[[Call], Any]

_DECOMPOSED: dict[str, Callable[..., Any]] = {
    "multi_head_attention_forward": attend_heads,
    "scaled_dot_product_attention": attend,
    **COMPOUND,
    **RECURRENT,
}


class Rewriting(TorchFunctionMode):
    """Send calls to handlers by name; made by ``rewriting``."""

    def __init__(self, handlers: Mapping[str, Handler], method: str, strict: bool) -> None:
        super().__init__()
        self.handlers, self.method, self.strict = handlers, method, strict
        self.inside: list[str] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one call."""
        args, kwargs = _constant(args), _constant(kwargs or {})
        if not varies(args, kwargs):
            return func(*args, **kwargs)
        if getattr(func, "__name__", "") in LEAVING:
            return func(args[0].detach(), *args[1:], **kwargs)
        name, in_place = name_of(func)
        for place, word in enumerate(("input", "other")):
            if word in kwargs and len(args) == place:
                args = (*args, kwargs.pop(word))
        handler = self.handlers.get(name)
        if handler is None:
            if name in _DECOMPOSED and self.strict:
                return self._again(_DECOMPOSED[name], *args, **kwargs)
            result = func(*args, **kwargs)
            if not self.strict or name in MOVES or name in QUIET or not varies(result):
                return result
            raise self._unknown(name)
        if not in_place and name in ELEMENTWISE:
            in_place = bool(kwargs.get("inplace")) or args[-1] is True
        target = args[0] if in_place else None
        if in_place:
            args = (args[0].clone(), *args[1:])
        result = handler(Call(name, func, args, kwargs, self.inside[-1] if self.inside else "", self._again))
        return result if target is None else target.copy_(result)

    def _again(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with self:
            return function(*args, **kwargs)

    def _unknown(self, name: str) -> InputError:
        where = f" in {self.inside[-1]}" if self.inside else ""
        return InputError(
            f"{self.method} must have a rule for every operation on the rows",
            f"{name!r}{where}",
            "use integrated_gradients or Shapley values, which need none",
        )


@contextmanager
def rewriting(
    network: nn.Module, handlers: Mapping[str, Handler], method: str, *, strict: bool = True
) -> Iterator[None]:
    """Run a block with handlers in the place of torch's functions.

    Parameters
    ----------
    network : nn.Module
        Watched by hooks inside the block, so that calls know their module.
    handlers : mapping
        Plain name of a function → what returns its result in its place.
    method : str
        Named in messages.
    strict : bool
        Whether calls without a handler, other than those that only move values, are an error; attention and recurrent
        layers are then taken apart into steps.

    Raises
    ------
    InputError
        If an operation on the rows has no rule, or the network is compiled, so that its operations cannot be seen.
    """
    for name, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule) or type(module).__name__ == "OptimizedModule":
            raise InputError(
                f"{method} must see every operation",
                f"{name or 'the network'}, which is compiled ({type(module).__name__})",
                "hand in the module as it was before compiling",
            )
    mode, handles = Rewriting(handlers, method, strict), []

    def enter(label: str) -> Callable[..., None]:
        return lambda module, args: mode.inside.append(label)

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        mode.inside.pop()

    try:
        for name, module in network.named_modules():
            label = f"{name or 'the network'} ({type(module).__name__})"
            handles.append(module.register_forward_pre_hook(enter(label)))
            handles.append(module.register_forward_hook(leave))
        with mode:
            yield
    finally:
        for handle in handles:
            handle.remove()


def _constant(value: Any) -> Any:
    """Return arguments with parameters detached, so that only what depends on the rows requires a gradient."""
    if isinstance(value, Tensor):
        return value.detach() if value.requires_grad and value.is_leaf else value
    if isinstance(value, (tuple, list)) and not isinstance(value, torch.Size):
        found = [_constant(item) for item in value]
        return type(value)(*found) if hasattr(value, "_fields") else type(value)(found)
    if isinstance(value, dict):
        return {key: _constant(item) for key, item in value.items()}
    return value


def varies(*values: Any) -> bool:
    """Whether a tensor among values, tuples, lists and mappings depends on the rows."""
    for value in values:
        if isinstance(value, Tensor):
            if value.requires_grad:
                return True
        elif isinstance(value, dict):
            if varies(*value.values()):
                return True
        elif isinstance(value, (tuple, list)) and varies(*value):
            return True
    return False
