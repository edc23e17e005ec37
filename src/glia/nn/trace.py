"""Propagation layer by layer: input, pre-activation, activation, local derivative and gradient of every layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.results import Result, Table
from glia.nn.activations import is_activation, local_derivative
from glia.nn.hooks import watching
from glia.nn.modes import evaluating
from glia.nn.trace_drawing import draw_path
from glia.nn.trace_path import Array, Stage, Step, stages, strongest_path

Of = int | Callable[[Tensor], Tensor]


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
    gradient : ndarray or None
        Of what ``trace`` was told to differentiate, with respect to ``output``; ``None`` where nothing flows back.
    weight : ndarray of shape (out, in) or None
        Of a dense layer, where gradients were asked for.
    """

    name: str
    kind: str
    input: Array | None
    pre_activation: Array | None
    output: Array | None
    derivative: Array | None
    gradient: Array | None = None
    weight: Array | None = None


@dataclass(frozen=True)
class TraceResult(Result):
    """All layers in order of execution, and the network's output.

    Parameters
    ----------
    layers : tuple of LayerTrace
        In order of execution.
    output : ndarray of shape (B, …)
        Of the network.
    input : ndarray of shape (B, …), optional
        The rows, where gradients were asked for.
    input_gradient : ndarray like ``input``, optional
        Of what was differentiated, with respect to the rows.
    unit : int, optional
        The output that was differentiated, where it was one.
    """

    layers: tuple[LayerTrace, ...]
    output: Array
    input: Array | None = None
    input_gradient: Array | None = None
    unit: int | None = None

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

    def stages(self) -> tuple[Stage, ...]:
        """Return the columns of the drawing: the rows, then every layer together with what acts on its units alone."""
        return stages(self.layers, self.input, self.input_gradient)

    def path(self, row: int = 0) -> tuple[Step, ...]:
        """Return the strongest path from an input to the output: at each dense layer the input that adds most.

        Raises
        ------
        InputError
            If no gradients were asked for, or there is no such row.
        """
        if self.input is None:
            raise InputError("a path needs gradients", "a trace without them", "call trace(network, x, gradient_of=0)")
        if not -len(self.input) <= row < len(self.input):
            raise InputError("row must be one of the batch", f"row={row} of {len(self.input)}")
        return strongest_path(self.stages(), row, self.unit)

    def tables(self) -> list[Table]:
        """Return per layer its shapes and spreads; with gradients also the strongest path of the first row."""
        columns = ("layer", "type", "input shape", "output shape", "output mean", "output std", "mean derivative")
        if self.input is None:
            return [Table("Layers in order of execution", columns, tuple(_row(layer) for layer in self.layers))]
        rows = tuple((*_row(layer), _size(layer.gradient)) for layer in self.layers)
        heads = ("layer", "unit", "pre-activation", "activation", "local derivative", "gradient")
        steps = tuple(
            (s.layer, s.unit, s.pre_activation, s.activation, "" if s.derivative is None else s.derivative, s.gradient)
            for s in self.path()
        )
        return [
            Table("Layers in order of execution", (*columns, "gradient norm"), rows),
            Table("The strongest path of the first row", heads, steps),
        ]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return "path", where gradients were asked for; it takes ``row=`` and ``units=`` (most drawn of a layer)."""
        return {} if self.input is None else {"path": partial(draw_path, self)}

    def plot(self, name: str | None = None, *, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the strongest path, with the units beside it.

        Raises
        ------
        ValueError
            If no gradients were asked for.
        """
        drawn = self.figures()
        key = next(iter(drawn), None) if name is None else name
        if key is None or key not in drawn:
            raise ValueError(f"TraceResult has the figures {sorted(drawn)} (gradient_of= brings 'path'); got {name!r}")
        return drawn[key](ax=ax, **options)


def _row(layer: LayerTrace) -> tuple[Any, ...]:
    out = layer.output
    spread = ("", "") if out is None or not out.size else (float(np.mean(out)), float(np.std(out)))
    slope = "" if layer.derivative is None else float(np.mean(layer.derivative))
    return (layer.name, layer.kind, _shape(layer.input), _shape(out), *spread, slope)


def _size(gradient: Array | None) -> Any:
    return "" if gradient is None else float(np.linalg.norm(gradient))


def _shape(value: Array | None) -> str:
    return "" if value is None else " × ".join(str(size) for size in value.shape)


def trace(network: nn.Module, x: Tensor, *, gradient_of: Of | None = None) -> TraceResult:
    """Run a batch through any network and keep what every layer did, forwards and, when asked, backwards.

    Parameters
    ----------
    network : nn.Module
        Runs in evaluation mode; its modes and gradients are put back and its hooks removed, also on errors.
    x : Tensor
        A batch, (B, …).
    gradient_of : int or callable, optional
        What to differentiate: an output by its position, or a function of the output, (B, …) → one number, such as a
        loss. Each layer then has its ``gradient``, and the result a ``path`` and a drawing.

    Returns
    -------
    TraceResult
        Layers are modules without children and modules with parameters of their own. What happens between modules
        (the sum of a skip connection, ``functional`` calls) shows only in the next layer's input.

    Raises
    ------
    InputError
        If the network returns no tensor, has no such output, or cannot be differentiated.
    """
    layers: list[LayerTrace] = []
    outputs: list[Tensor | None] = []
    runs: Counter[str] = Counter()

    def note(name: str, module: nn.Module, before: Tensor | None, after: Tensor | None) -> None:
        runs[name] += 1
        shown = name if runs[name] == 1 else f"{name}#{runs[name]}"
        came, went = _array(before), _array(after)
        slope = None
        if before is not None and is_activation(module) and before.is_floating_point():
            slope = _array(local_derivative(module, before))
        pre = came if is_activation(module) else went
        weight = _array(module.weight) if gradient_of is not None and isinstance(module, nn.Linear) else None
        layers.append(LayerTrace(shown, type(module).__name__, came, pre, went, slope, None, weight))
        outputs.append(after)

    if gradient_of is None:
        with evaluating(network), torch.no_grad(), watching(network, note):
            output = network(x)
        return TraceResult(tuple(layers), _answer(output).numpy().copy())
    free = x.detach().clone().requires_grad_(x.is_floating_point())
    with evaluating(network), torch.inference_mode(False), torch.enable_grad(), _out_of_place(network):
        with watching(network, note):
            output = network(free.clone())
        answer = _answer(output)
        number = _number(output, gradient_of)
        asked = [i for i, after in enumerate(outputs) if after is not None and after.requires_grad]
        wanted = [outputs[i] for i in asked] + ([free] if free.requires_grad else [])
        if not number.requires_grad:
            raise InputError("the network must be differentiable", type(network).__name__, "leave gradient_of out")
        found = list(torch.autograd.grad(number, wanted, allow_unused=True))  # type: ignore[arg-type]
    own = found.pop() if free.requires_grad else None
    slopes = dict(zip(asked, map(_array, found), strict=True))
    told = tuple(replace(layer, gradient=slopes.get(i)) for i, layer in enumerate(layers))
    whole = np.zeros_like(_array(free)) if own is None else _array(own)
    unit = gradient_of if isinstance(gradient_of, int) else None
    return TraceResult(told, answer.numpy().copy(), _array(free), whole, unit)


def _answer(output: Any) -> Tensor:
    if not isinstance(output, Tensor):
        raise InputError("the network must return a tensor", type(output).__name__, "wrap it in a module that does")
    return output.detach().cpu()


def _number(output: Tensor, of: Of) -> Tensor:
    if isinstance(of, int):
        width = output.flatten(1).shape[1]
        if not -width <= of < width:
            raise InputError("gradient_of must be one of the outputs", f"{of} of {width}", f"choose 0 to {width - 1}")
        return output.flatten(1)[:, of].sum()  # rows do not meet in evaluation mode: each gets its own gradient
    number = of(output)
    if not isinstance(number, Tensor) or number.numel() != 1:
        raise InputError("gradient_of must return one number", f"{type(number).__name__}", "take a mean or a sum")
    return number.reshape(())


@contextmanager
def _out_of_place(network: nn.Module) -> Iterator[None]:
    """Keep what layers would overwrite: a gradient belongs to the value that was there before, too."""
    there: list[Any] = [module for module in network.modules() if getattr(module, "inplace", False) is True]
    try:
        for module in there:
            module.inplace = False
        yield
    finally:
        for module in there:
            module.inplace = True


def _array(value: Tensor | None) -> Array | None:
    if value is None:
        return None
    value = value.detach().cpu()
    # NumPy has no bfloat16.
    copied: Array = (value.float() if value.dtype is torch.bfloat16 else value).numpy().copy()
    return copied
