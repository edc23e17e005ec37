"""Forward and backward pass of dense layers by a kernel of our own: from end to end in a core's caches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from glia.core.compiled import Kernel, kernels
from glia.core.hardware import processor_maker

_ACTIVATIONS: dict[type[nn.Module], int] = {nn.Identity: 0, nn.ReLU: 1, nn.SiLU: 2}
_TYPE, _VECTOR, _SLICE = torch.float32, 16, 64
_WIDEST = 800
"""Most inputs or outputs of a layer: with 1024 oneDNN, which divides products to fit the caches, was 5 % faster."""


@dataclass(frozen=True)
class KernelLayer:
    """One layer of K networks of one shape: linear → activation → dropout.

    Parameters
    ----------
    weight : Tensor (K, out, in)
    bias : Tensor (K, out), optional
    activation : nn.Module
    dropout : sequence of float
        Probability of each of the K; empty without dropout.
    d_weight, d_bias : Tensor, optional
        Where gradients are written.
    """

    weight: Tensor
    bias: Tensor | None
    activation: nn.Module
    dropout: Sequence[float] = ()
    d_weight: Tensor | None = None
    d_bias: Tensor | None = None


class DenseKernel:
    """The pass of K networks over batches of one size, in two calls.

    Parameters
    ----------
    layers : sequence of KernelLayer
        Tensors may change in place between calls; see ``suits_kernel``.
    rows : int
        Rows of a batch, B.
    shared : int
        How many of the first layer's inputs all networks share, S; the others, E, are a network's own.

    Attributes
    ----------
    output : Tensor
        (K, O, B), written by ``forward``.
    output_gradient : Tensor
        (K, O, B), where the loss's gradient has to stand when ``backward`` is called, which overwrites it.

    Notes
    -----
    Products, activations, slopes and dropout run one after the other on one thread, so that what lies between them
    stays in the caches. Networks are shared out among the threads; where these are more, rows are as well, and
    gradients are added up. Dropout has a stream of random numbers (xoroshiro128+) for each network, layer and 64 rows,
    started from one number of torch's generator for each call; probabilities are rounded to multiples of 2⁻³².
    """

    def __init__(self, layers: Sequence[KernelLayer], rows: int, shared: int) -> None:
        members, like = len(layers[0].weight), layers[0].weight
        own = like.shape[2] - shared
        self._held: list[Tensor] = []  # the kernel knows addresses alone
        self._table = np.zeros((len(layers), 12), dtype=np.int64)
        for line, layer in zip(self._table, layers, strict=True):
            _, outputs, inputs = layer.weight.shape
            h = like.new_empty(members, outputs, rows)
            d, steps = torch.empty_like(h), [round(p * 2.0**32) for p in layer.dropout]
            parts = (
                *(layer.weight, layer.bias, h),
                torch.empty_like(h) if type(layer.activation) is nn.SiLU or steps else None,
                *(d, layer.d_weight, layer.d_bias),
                torch.from_numpy(np.array(steps, dtype=np.uint32).view(np.int32)) if steps else None,
                torch.tensor([2.0**32 / (2.0**32 - step) for step in steps]) if steps else None,
            )
            line[:3] = inputs, outputs, _ACTIVATIONS[type(layer.activation)]
            line[3:] = [0 if part is None else part.data_ptr() for part in parts]
            self._held += [part for part in parts if part is not None]
            self.output, self.output_gradient = h, d
        self._expected = (rows, shared) if shared else None, (members, rows, own) if own else None
        threads = min(torch.get_num_threads(), members * -(rows // -_SLICE))
        self._size = members, rows, shared, own, len(layers), threads
        widest = max([own, *(-layer.weight.shape[2] // _VECTOR * -_VECTOR for layer in layers[1:])])
        numbers = sum(layer.weight[0].numel() + layer.weight.shape[1] for layer in layers)
        partial = (threads + members) * numbers if threads > members else 0
        self._scratch = like.new_empty(shared * rows + threads * rows * widest + partial)
        self._seed = torch.zeros(1, dtype=torch.int64)
        self._draws = any(layer.dropout for layer in layers)

    def forward(self, shared: Tensor | None, own: Tensor | None) -> Tensor:
        """Write and return the outputs, (K, O, B), for inputs (B, S) and (K, B, E); without any of a kind, ``None``.

        Raises
        ------
        ValueError
            If the inputs are not contiguous float32 of these shapes: the kernel would not notice.
        """
        given = (shared, own)
        if tuple(None if x is None else tuple(x.shape) for x in given) != self._expected or not all(
            x is None or (x.dtype == _TYPE and x.is_contiguous()) for x in given
        ):
            got = [None if x is None else f"{x.dtype} {tuple(x.shape)}" for x in given]
            raise ValueError(f"rows must be contiguous float32 of the shapes {self._expected}, got {got}")
        if self._draws:
            self._seed.random_(torch.iinfo(torch.int64).min, None)
        self._call("dense_forward", self._seed, *given, self._scratch)
        return self.output

    def backward(self, shared: Tensor | None, own: Tensor | None, d_own: Tensor | None = None) -> None:
        """Write all gradients, that of a network's own inputs, (K, B, E), where there is memory for it."""
        self._call("dense_backward", shared, own, d_own, self._scratch)

    def _call(self, name: str, *given: Tensor | None) -> None:
        _kernels()[name](*self._size, self._table.ctypes.data, *given)


def suits_kernel(weights: Sequence[Tensor], activations: Sequence[nn.Module], rows: int) -> bool:
    """Return whether batches of so many rows go through layers of these weights, (…, out, in), by the kernel here."""
    return (
        rows % _VECTOR == 0
        and all(type(activation) in _ACTIVATIONS for activation in activations)
        and all(w.device.type == "cpu" and w.dtype is _TYPE and max(w.shape[-2:]) <= _WIDEST for w in weights)
        and bool(_kernels())
    )


@cache
def _kernels() -> dict[str, Kernel]:
    # Where it was measured. MKL, which torch takes otherwise, leaves AVX-512 unused on these processors.
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or processor_maker() != "AuthenticAMD":
        return {}
    source = str(Path(__file__).with_suffix(".cpp"))
    return kernels(source, dense_forward="nnnnnippppp", dense_backward="nnnnnippppp")
