"""The pass over K stacks of dense layers by a kernel of our own: each member from end to end in a core's caches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from glia.core.compiled import Kernel, kernels
from glia.core.hardware import processor_maker
from glia.nn.population.dense_pass import StackedLayer
from glia.nn.population.linear import SplitRows

_ACTIVATIONS: dict[type[nn.Module], int] = {nn.Identity: 0, nn.ReLU: 1, nn.SiLU: 2}
_TYPE, _VECTOR = torch.float32, 16
_WIDEST = 800
"""Most inputs or outputs of a layer: with 1024 oneDNN, which divides products to fit the caches, was 5 % faster."""


class CompiledPass:
    """The pass over batches of one size: what ``StackedPass`` does, in two calls.

    Parameters
    ----------
    layers, rows, shared, gradients, training
        As in ``StackedPass``; see ``suits_compiled``.

    Attributes
    ----------
    output, output_gradient : Tensor
        As in ``StackedPass``.

    Notes
    -----
    A member's products, activations, slopes and dropout run one after the other on one thread, so that what lies
    between them stays in the caches; members are shared out among the threads. Dropout has a stream of random numbers
    (xoroshiro128+) for each member and layer, started from one number of torch's generator for each call; probabilities
    are rounded to multiples of 2⁻³².
    """

    def __init__(
        self, layers: Sequence[StackedLayer], rows: int, shared: int, gradients: dict[int, Tensor], *, training: bool
    ) -> None:
        linears = [layer.linear for layer in layers]
        members, like = linears[0].members, linears[0].weight.detach()
        self._held: list[Tensor] = []  # the kernels know addresses alone
        self._table = np.zeros((len(layers), 12), dtype=np.int64)
        for line, layer, linear in zip(self._table, layers, linears, strict=True):
            h = like.new_empty(members, linear.out_features, rows)
            d = torch.empty_like(h)
            line[:3] = linear.in_features, linear.out_features, _ACTIVATIONS[type(layer.activation)]
            dropout = layer.dropout if training else None
            steps = [round(p * 2.0**32) for p in dropout.probabilities] if dropout else []
            parts = (
                linear.weight.detach(),
                None if linear.bias is None else linear.bias.detach(),
                h,
                torch.empty_like(h) if type(layer.activation) is nn.SiLU or steps else None,
                d,
                gradients.get(id(linear.weight)),
                gradients.get(id(linear.bias)),
                torch.from_numpy(np.array(steps, dtype=np.uint32).view(np.int32)) if steps else None,
                torch.tensor([2.0**32 / (2.0**32 - step) for step in steps]) if steps else None,
            )
            line[3:] = [0 if part is None else part.data_ptr() for part in parts]
            self._held += [part for part in parts if part is not None]
            self.output, self.output_gradient = h, d
        own = linears[0].in_features - shared
        self._size = members, rows, shared, own, len(layers)
        self._expected = (rows, shared) if shared else None, (members, rows, own) if own else None
        self._threads = min(torch.get_num_threads(), members)
        widest = max([own, *(-linear.in_features // _VECTOR * -_VECTOR for linear in linears[1:])])
        self._scratch = like.new_empty(shared * rows + self._threads * rows * widest)
        self._seed = torch.zeros(1, dtype=torch.int64)
        self._draws = any(line[10] for line in self._table)

    def forward(self, x: Tensor | SplitRows) -> Tensor:
        """Write the outputs, (K, O, B); see ``StackedPass``."""
        if self._draws:
            self._seed.random_(torch.iinfo(torch.int64).min, None)
        parts = _parts(x)
        if tuple(map(_shape_of, parts)) != self._expected or any(p is not None and p.dtype != _TYPE for p in parts):
            got = [None if p is None else f"{p.dtype} {tuple(p.shape)}" for p in parts]  # the kernel would not notice
            raise ValueError(f"rows must be float32 of the shapes {self._expected}, got {got}")
        self._call("dense_forward", self._seed, *parts, self._scratch)
        return self.output

    def backward(self, x: Tensor | SplitRows, *, input_gradient: bool = False) -> Tensor | None:
        """Write the parameters' gradients; return that of the members' own inputs where asked for, (K, B, E)."""
        shared, own = _parts(x)
        below = torch.empty_like(own) if input_gradient and own is not None else None
        self._call("dense_backward", shared, own, below, self._scratch)
        return below

    def _call(self, name: str, *given: Tensor | None) -> None:
        _kernels()[name](*self._size, self._threads, self._table.ctypes.data, *given)


def suits_compiled(layers: Sequence[StackedLayer], rows: int) -> bool:
    """Return whether a batch of so many rows goes through these layers by the kernel on this machine.

    Where there are more threads than members some would be idle; there, and for large layers, torch's operations stay.
    """
    linears = [layer.linear for layer in layers]
    return (
        rows % _VECTOR == 0
        and linears[0].members >= torch.get_num_threads()
        and linears[0].weight.device.type == "cpu"
        and linears[0].weight.dtype is _TYPE
        and all(type(layer.activation) in _ACTIVATIONS for layer in layers)
        and all(max(linear.out_features, linear.in_features) <= _WIDEST for linear in linears)
        and bool(_kernels())
    )


@cache
def _kernels() -> dict[str, Kernel]:
    # Where it was measured. MKL, which torch takes otherwise, leaves AVX-512 unused on these processors.
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or processor_maker() != "AuthenticAMD":
        return {}
    source = str(Path(__file__).with_suffix(".cpp"))
    return kernels(source, dense_forward="nnnnnippppp", dense_backward="nnnnnippppp")


def _parts(x: Tensor | SplitRows) -> tuple[Tensor | None, Tensor | None]:
    if isinstance(x, SplitRows):
        return x.shared.contiguous(), x.own.contiguous()
    return (x.contiguous(), None) if x.ndim == 2 else (None, x.contiguous())


def _shape_of(x: Tensor | None) -> tuple[int, ...] | None:
    return None if x is None else tuple(x.shape)
