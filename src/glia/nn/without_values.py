"""Networks whose weights have names and shapes but no values and no memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_FILLS = ("normal_", "uniform_", "bernoulli_", "random_")


@contextmanager
def without_values() -> Iterator[None]:
    """Build what is built in a block on torch's meta device: a plan of a network, however large, costs nothing."""
    with torch.device("meta"), _NoFills():
        yield


class _NoFills(TorchFunctionMode):
    """Leaves random fills out: there is nothing to fill, and torch's way to do that imports all of torch.compile."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if getattr(func, "__name__", "") in _FILLS:
            return args[0] if args else given["tensor"]
        return func(*args, **given)
