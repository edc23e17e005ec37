"""How much of an image, or of a series, one value of a layer sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

_WINDOWS = frozenset(
    {"conv1d", "conv2d", "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d", "_max_pool1d", "_max_pool2d"}
)
_LOCAL = frozenset(
    {
        "linear", "layer_norm", "group_norm", "flip", "__getitem__", "to", "contiguous", "clone", "detach", "pad",
        "reshape", "view", "permute", "transpose", "flatten", "unflatten", "squeeze", "unsqueeze", "cat", "stack",
    }
)  # fmt: skip
_WHOLE = frozenset(
    {"matmul", "bmm", "einsum", "scaled_dot_product_attention", "multi_head_attention_forward", "mean", "sum", "amax"}
)


@dataclass(frozen=True)
class Field:
    """What one value sees of the axes of positions.

    Parameters
    ----------
    size : tuple of int
        Positions of the input along each axis; never more than there are.
    step : tuple of int
        How far apart in the input the fields of neighbours lie.
    """

    size: tuple[int, ...]
    step: tuple[int, ...]


class FieldTracer(TorchFunctionMode):
    """Follows values through a network and keeps the field of each.

    Parameters
    ----------
    x : Tensor
        The input, (B, C, …): the axes behind the channels are those of positions.

    Notes
    -----
    A window of k values, d apart, on values with fields of r that lie j apart sees r + (k − 1)·d·j; with a stride s its
    neighbours lie j·s apart. Sums see what the larger of their parts sees. Whatever mixes all positions sees all.
    """

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.whole = tuple(x.shape[2:])
        self.fields = WeakTensorKeyDictionary()
        self.fields[x] = Field((1,) * len(self.whole), (1,) * len(self.whole))

    def of(self, x: Tensor | None) -> tuple[int, ...] | None:
        """Return what a value of ``x`` sees, ``None`` where that is not known."""
        found = self.fields[x] if x is not None and x in self.fields else None
        return None if found is None else found.size

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if self.whole and isinstance(output, (Tensor, tuple, list)):
            inputs = [one for one in _tensors((args, kwargs or {})) if one in self.fields]
            for one in _tensors(output) if inputs else ():
                if one not in self.fields:
                    self.fields[one] = self._after(func.__name__, inputs, one, args, kwargs or {})
        return output

    def _after(
        self, name: str, inputs: list[Tensor], output: Tensor, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Field:
        known = [self.fields[one] for one in inputs]
        sizes = tuple(max(one.size[i] for one in known) for i in range(len(self.whole)))
        steps = tuple(max(one.step[i] for one in known) for i in range(len(self.whole)))
        if name in _WINDOWS and inputs[0].dim() == 2 + len(self.whole):
            return self._window(name, Field(sizes, steps), args, kwargs)
        same = all(one.shape[2:] == output.shape[2:] for one in inputs if one.dim() == output.dim())
        gathers = output.dim() == 2 and max(one.dim() for one in inputs) > 2 and inputs[0].shape[2:].numel() > 1
        if name in _WHOLE or name.startswith("adaptive") or gathers or not (same or name in _LOCAL):
            return Field(self.whole, steps)
        return Field(sizes, steps)

    def _window(self, name: str, before: Field, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Field:
        axes = len(self.whole)
        if name.startswith("conv"):
            given = dict(zip(("input", "weight", "bias", "stride", "padding", "dilation"), args, strict=False))
            given |= kwargs
            kernel = tuple(given["weight"].shape[2:])
            stride = _each(given.get("stride", 1), axes)
        else:
            order = ("input", "kernel_size", "stride", "padding", "dilation")
            given = {**dict(zip(order, args, strict=False)), **kwargs}
            kernel = _each(given["kernel_size"], axes)
            stride = _each(given.get("stride") or kernel, axes)
        apart = _each(given.get("dilation", 1), axes) if not name.startswith("avg") else (1,) * axes
        size = tuple(
            min(r + (k - 1) * d * j, w)
            for r, k, d, j, w in zip(before.size, kernel, apart, before.step, self.whole, strict=True)
        )
        return Field(size, tuple(j * s for j, s in zip(before.step, stride, strict=True)))


def _each(value: Any, axes: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return tuple(int(one) for one in (values * axes if len(values) == 1 else values))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _tensors(one)
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _tensors(one)


@contextmanager
def tracing_fields(x: Tensor) -> Iterator[FieldTracer]:
    """Follow what a network does with ``x`` in a block."""
    tracer = FieldTracer(x)
    with torch.no_grad(), tracer:
        yield tracer
