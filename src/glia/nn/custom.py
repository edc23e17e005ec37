"""Networks that users bring: a module, a class or a factory, called with what it asks for and checked once."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.nn.modes import evaluating
from glia.nn.spec import Spec

_IN = frozenset({"in_features", "in_dim", "input_dim", "input_size", "n_features", "num_features", "n_inputs", "d_in"})
_OUT = frozenset(
    {
        "out_features", "out_dim", "output_dim", "output_size", "n_outputs", "num_outputs", "n_classes", "num_classes",
        "d_out",
    }
)  # fmt: skip
_CHANNELS = frozenset({"in_channels", "channels", "num_channels", "in_chans"})

ADVICE = "let it take (in_features, out_features), (layout, out_features) or nothing"


class CustomNetwork(Spec):
    """Any ``nn.Module`` as a network family.

    Parameters
    ----------
    network : nn.Module, type or callable
        A module (copied at each build, with its weights), or a class or factory. It is called with what its parameters
        ask for by name (``in_features``, ``out_features``, ``layout`` and common other words for them), else, if it
        needs just two arguments, with (in_features, out_features), or with none.
    """

    family = "custom"

    def __init__(self, network: nn.Module | type[nn.Module] | Callable[..., Any]) -> None:
        self.network = network

    @property
    def qualified_name(self) -> str:
        """Where the class or factory is defined, e.g. ``"shop.models.Net"``."""
        target: Any = getattr(self.network, "func", self.network)
        target = type(target) if isinstance(target, nn.Module) or not hasattr(target, "__qualname__") else target
        return f"{target.__module__}.{target.__qualname__}"

    def to_dict(self) -> dict[str, Any]:
        """Return the name only: code is never stored."""
        return {"custom": self.qualified_name}

    def build(self, layout: Layout, out_features: int) -> nn.Module:
        """Return a module that maps (B, *layout.shape) to (B, out_features), checked on two rows of zeros.

        Raises
        ------
        InputError
            If it cannot be called, is not a module, fails on the rows, or returns another shape.
        """
        module = self._make(layout, out_features)
        if not isinstance(module, nn.Module):
            raise InputError("a network factory must return an nn.Module", f"{type(module).__name__}", ADVICE)
        check_output(module, layout, out_features)
        return module

    def _make(self, layout: Layout, out_features: int) -> Any:
        if isinstance(self.network, nn.Module):
            return copy.deepcopy(self.network)
        args, kwargs = _arguments(self.network, layout, out_features)
        return self.network(*args, **kwargs)


def _arguments(factory: Callable[..., Any], layout: Layout, out_features: int) -> tuple[list[Any], dict[str, Any]]:
    """Return what to call a factory with.

    Raises
    ------
    InputError
        If it needs arguments that are not understood.
    """
    channels = _channels(layout)
    meanings = {
        "layout": layout,
        **dict.fromkeys(_IN, layout.in_features),
        **dict.fromkeys(_OUT, out_features),
        **dict.fromkeys(_CHANNELS, channels),
    }
    fixed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = [p for p in inspect.signature(factory).parameters.values() if p.kind not in fixed]
    required = [p for p in parameters if p.default is inspect.Parameter.empty]
    by_position = [p for p in required if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    if all(p.name in meanings for p in required):
        first = [p for p in required if p.kind is inspect.Parameter.POSITIONAL_ONLY]
        named = {p.name: meanings[p.name] for p in parameters if p not in first and p.name in meanings}
        return [meanings[p.name] for p in first], named
    if len(required) == len(by_position) == 2:
        start = layout if required[0].name == "layout" else layout.in_features
        return [start, out_features], {}
    shown = f"{getattr(factory, '__name__', factory)}({', '.join(p.name for p in required)})"
    raise InputError("the arguments of a network factory must be understood", shown, ADVICE)


def _channels(layout: Layout) -> int:
    """Return the channels of a row: first of pictures (C, H, W), last of sequences (T, C), the mask among them."""
    if len(layout.shape) == 2:
        return layout.shape[1]
    return layout.shape[0] if len(layout.shape) > 1 else layout.in_features


def check_output(network: nn.Module, layout: Layout, out_features: int) -> None:
    """Run two rows of zeros through a network in evaluation mode; its modes are put back.

    Raises
    ------
    InputError
        If it fails, or returns anything but a tensor of shape (2, out_features).
    """
    must = f"the network must map (B, {', '.join(map(str, layout.shape))}) to (B, {out_features})"
    # Lazy layers have no data yet, and take any device.
    sample = next((p for p in network.parameters() if not nn.parameter.is_lazy(p)), torch.zeros(()))
    dtype = sample.dtype if sample.is_floating_point() else torch.float32
    rows = torch.zeros(2, *layout.shape, device=sample.device, dtype=dtype)
    try:
        with evaluating(network), torch.no_grad():
            output = network(rows)
    except Exception as error:
        detail = str(error).strip().splitlines()[0] if str(error).strip() else ""
        got = f"{type(error).__name__} from {type(network).__name__}: {detail}"
        raise InputError(must, got, f"mind the shape of a row, {tuple(layout.shape)}") from error
    if not isinstance(output, Tensor):
        raise InputError(must, f"an output of type {type(output).__name__}", "return one tensor of scores")
    if tuple(output.shape) != (2, out_features):
        do = f"give the last layer {out_features} outputs"
        if tuple(output.shape) == (2,) and out_features == 1:
            do = "keep the last axis: return output of shape (B, 1), not (B,)"
        raise InputError(must, f"an output of shape {tuple(output.shape)} for B=2", do)
