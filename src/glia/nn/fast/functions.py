"""Torch functions that are answered by faster forms while a network runs: convolution, pooling, ReLU."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from glia.nn.fast.convolution import convolve
from glia.nn.fast.dropout import dropout_noise
from glia.nn.fast.plain import is_low, is_plain
from glia.nn.fast.pooling import is_by_pairs, pool_pairs, suits_pairs


class FastFunctions(TorchFunctionMode):
    """Within ``with FastFunctions():``, calls of some torch functions take faster ways to the same results.

    - ``conv2d`` goes to ``convolve``, whose output lies in channels-last memory.
    - ``dropout`` takes cheaper random numbers (see ``dropout_noise``).
    - ``view`` of a tensor that lies so, where torch would refuse, is a ``reshape``.
    - ``max_pool2d`` of 2 × 2 goes to ``pool_pairs`` in bfloat16.
    - ``max_pool2d(relu(x))`` becomes ``relu(max_pool2d(x))``: the same values and the same gradients to the bit, since
      ReLU is monotone; but the gradient of ReLU is then taken on a quarter of the numbers.

    It sees functions and modules alike, and whatever control flow surrounds them, since it replaces calls as they
    happen. It costs about a microsecond per call.
    """

    def __init__(self) -> None:
        super().__init__()
        # Of the last ReLU: its output, its input, and their versions, which tell of changes in place. Only the last,
        # since its input is kept alive by this.
        self._last: tuple[weakref.ref[Tensor], Tensor, int, int] | None = None

    def __exit__(self, *error: Any) -> None:
        self._last = None
        super().__exit__(*error)  # type: ignore[no-untyped-call]  # torch's own lacks types

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        other = _OTHERS.get(func)
        return func(*args, **(kwargs or {})) if other is None else other(self, func, *args, **(kwargs or {}))

    def _conv2d(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if "input" in kwargs:
            kwargs["x"] = kwargs.pop("input")
        return convolve(*args, **kwargs)

    def _relu(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        output = func(*args, **kwargs)
        x = args[0] if args else None
        if type(x) is Tensor and output is not x and x.dim() == 4 and output.requires_grad:
            self._last = (weakref.ref(output), x, x._version, output._version)
        return output

    def _max_pool2d(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if args and self._last is not None and not kwargs.get("return_indices"):
            output, x, version, own = self._last
            pooled: Tensor = args[0]
            if output() is pooled and x._version == version and pooled._version == own:
                return F.relu(self._pool(func, x, *args[1:], **kwargs))
        return self._pool(func, *args, **kwargs)

    def _pool(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(_MAX_POOL, args, strict=False)), **kwargs}
        x = given.pop("input", None)
        if is_low(x) and suits_pairs(x) and is_by_pairs(**given):
            return pool_pairs(x)
        return func(*args, **kwargs)

    def _dropout(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        rest = [kwargs.get(name, default) for name, default in _DROPOUT[len(args) :]]
        x, rate, training, inplace = [*args, *rest]
        if not training or inplace or not 0 < rate <= 1 or not is_plain(x):
            return func(*args, **kwargs)
        return x * dropout_noise(x, rate)

    def _view(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return func(*args, **kwargs)
        except RuntimeError:
            if kwargs or not all(isinstance(size, int | tuple | list | torch.Size) for size in args[1:]):
                raise
            return args[0].reshape(*args[1:])


_MAX_POOL = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_DROPOUT: tuple[tuple[str, Any], ...] = (("input", None), ("p", 0.5), ("training", True), ("inplace", False))
_OTHERS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.conv2d: FastFunctions._conv2d,
    F.relu: FastFunctions._relu,
    torch.relu: FastFunctions._relu,
    Tensor.relu: FastFunctions._relu,
    F.max_pool2d: FastFunctions._max_pool2d,
    torch.max_pool2d: FastFunctions._max_pool2d,
    F.dropout: FastFunctions._dropout,
    Tensor.view: FastFunctions._view,
}
