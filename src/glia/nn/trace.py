"""Forward propagation layer by layer: input, pre-activation, activation and local derivative of every layer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.results import Result, Table
from glia.nn.activations import is_activation, local_derivative
from glia.nn.hooks import watching
from glia.nn.modes import evaluating

Array = NDArray[np.generic]


@dataclass(frozen=True)
class LayerTrace(Result):
    """What one layer did with a batch.

    Parameters
    ----------
    name : str
        Path in the network, e.g. ``"blocks.0.linear"``; a layer that runs again has ``"#2"`` added, and so on.
    kind : str
        The module's class, e.g. ``"Linear"``.
    input : ndarray or None
        What came in (the first tensor of it).
    pre_activation : ndarray or None
        The value before the non-linearity: an activation's input, any other layer's output.
    output : ndarray or None
        What went out (the first tensor of it).
    derivative : ndarray or None
        Of an activation at its pre-activation (see ``local_derivative``); ``None`` for other layers.
    """

    name: str
    kind: str
    input: Array | None
    pre_activation: Array | None
    output: Array | None
    derivative: Array | None


@dataclass(frozen=True)
class TraceResult(Result):
    """All layers in order of execution, and the network's output."""

    layers: tuple[LayerTrace, ...]
    output: Array

    def __getitem__(self, name: str) -> LayerTrace:
        """Return the layer called ``name``.

        Raises
        ------
        KeyError
            If no such layer ran.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"no layer {name!r} ran; these did: {', '.join(layer.name for layer in self.layers)}")

    def summary(self) -> str:
        """Return how many layers ran and what came out."""
        return f"{len(self.layers)} layers ran on {len(self.output)} rows; the output has shape {self.output.shape}."

    def tables(self) -> list[Table]:
        """Return per layer its shapes and the spread of its output, and for activations the mean derivative."""
        columns = ("layer", "type", "input shape", "output shape", "output mean", "output std", "mean derivative")
        return [Table("Layers in order of execution", columns, tuple(_row(layer) for layer in self.layers))]


def _row(layer: LayerTrace) -> tuple[Any, ...]:
    out = layer.output
    spread = ("", "") if out is None or not out.size else (float(np.mean(out)), float(np.std(out)))  # type: ignore[arg-type]
    slope = "" if layer.derivative is None else float(np.mean(layer.derivative))  # type: ignore[arg-type]
    return (layer.name, layer.kind, _shape(layer.input), _shape(out), *spread, slope)


def _shape(value: Array | None) -> str:
    return "" if value is None else " × ".join(str(size) for size in value.shape)


def trace(network: nn.Module, x: Tensor) -> TraceResult:
    """Run a batch through any network and keep what every layer did.

    Parameters
    ----------
    network : nn.Module
        Runs in evaluation mode and without gradients; its modes are put back and its hooks removed, also on errors.
    x : Tensor
        A batch, (B, …).

    Returns
    -------
    TraceResult
        Layers are modules without children and modules with parameters of their own. What happens between modules
        (the sum of a skip connection, ``functional`` calls) shows only in the next layer's input.

    Raises
    ------
    InputError
        If the network returns no tensor.
    """
    layers: list[LayerTrace] = []
    runs: Counter[str] = Counter()

    def note(name: str, module: nn.Module, before: Tensor | None, after: Tensor | None) -> None:
        runs[name] += 1
        shown = name if runs[name] == 1 else f"{name}#{runs[name]}"
        came, went = _array(before), _array(after)
        slope = None
        if before is not None and is_activation(module) and before.is_floating_point():
            slope = _array(local_derivative(module, before))
        pre = came if is_activation(module) else went
        layers.append(LayerTrace(shown, type(module).__name__, came, pre, went, slope))

    with evaluating(network), torch.no_grad(), watching(network, note):
        output = network(x)
    if not isinstance(output, Tensor):
        raise InputError("the network must return a tensor", type(output).__name__, "wrap it in a module that does")
    return TraceResult(tuple(layers), output.detach().cpu().numpy().copy())


def _array(value: Tensor | None) -> Array | None:
    if value is None:
        return None
    value = value.detach().cpu()
    # NumPy has no bfloat16.
    copied: Array = (value.float() if value.dtype is torch.bfloat16 else value).numpy().copy()
    return copied
