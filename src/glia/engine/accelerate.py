"""Users' own networks on faster forms of torch's layers for the time of a training, and as they were afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from glia.engine.heap import kept_heap
from glia.nn.fast import FastDropout, FastEncoderLayer, FastFunctions, FastGRU, FastLSTM, FastRNN, FastSequential
from glia.nn.fast.sequential import pools

FAST: dict[type[nn.Module], type[nn.Module]] = {
    nn.Dropout: FastDropout,
    nn.GRU: FastGRU,
    nn.LSTM: FastLSTM,
    nn.RNN: FastRNN,
    nn.Sequential: FastSequential,
    nn.TransformerEncoderLayer: FastEncoderLayer,
}
"""Classes of modules and what stands in for them; subclasses may differ in anything and are left alone.
"""


@contextmanager
def accelerated(network: nn.Module) -> Iterator[None]:
    """Train a network faster on a CPU within a block; on other devices nothing changes.

    Modules of torch's own classes ``LSTM``, ``GRU``, ``RNN``, ``TransformerEncoderLayer`` and ``Dropout`` change to
    subclasses with faster forward and backward passes; networks with 2-D convolutions run with ``FastFunctions``. Freed
    memory is kept between steps (see ``kept_heap``). Parameters, their names, buffers and hooks stay what they are, so
    that ``state_dict`` is untouched. Outputs and gradients are equal up to rounding (about 1e-6 of their size); dropout
    has the same distribution, from other random numbers. At the end, after errors too, the network is as it was.

    Copies and pickles made within the block are of the network's own classes.
    """
    modules = list(network.modules())
    if not _suits(network):
        yield
        return
    original, changed = type(network), []

    def change(module: nn.Module, to: type[nn.Module]) -> None:
        changed.append((module, type(module)))
        module.__class__ = to

    with ExitStack() as stack:
        stack.enter_context(kept_heap())
        try:
            for module in modules:
                own = type(module)
                if own in FAST and (own is not nn.Sequential or pools(module)):
                    change(module, _standing_in(own, FAST[own]))
            if any(isinstance(module, nn.Conv2d) for module in modules):
                change(network, _standing_in(original, _watching(type(network))))
            yield
        finally:
            for module, own in reversed(changed):
                module.__class__ = own


def _suits(network: nn.Module) -> bool:
    """Return whether all parameters are float32 on the processor, and the network is not a compiled one."""
    parameters = list(network.parameters())
    plain = all(p.device.type == "cpu" and p.dtype is torch.float32 for p in parameters)
    return bool(parameters) and plain and not hasattr(network, "_orig_mod")


def _watching(own: type[nn.Module]) -> type[nn.Module]:
    """Return a subclass whose forward pass runs with ``FastFunctions``."""

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        with FastFunctions():
            return own.forward(self, *args, **kwargs)

    return type(own.__name__, (own,), {"forward": forward})


def _blank(kind: type[nn.Module]) -> nn.Module:
    """Return a module without contents, for copies and pickles to fill."""
    return kind.__new__(kind)


def _standing_in(own: type[nn.Module], fast: type[nn.Module]) -> type[nn.Module]:
    """Return ``fast`` under the name of ``own``; copies and pickles of its modules are of the class ``own``."""

    def reduce(self: nn.Module, protocol: object) -> Any:
        return _blank, (own,), self.__getstate__()  # type: ignore[no-untyped-call]  # torch's own lacks types

    names = {"__module__": own.__module__, "__qualname__": own.__qualname__, "__reduce_ex__": reduce}
    return type(own.__name__, (fast,), names)
