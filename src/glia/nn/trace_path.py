"""The strongest path through a trace: from an output back to the input that adds most to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Traced(Protocol):
    """A layer of a trace."""

    @property
    def name(self) -> str:
        """Its path in the network."""

    @property
    def input(self) -> Array | None:
        """What came in."""

    @property
    def pre_activation(self) -> Array | None:
        """The value before the non-linearity."""

    @property
    def output(self) -> Array | None:
        """What went out."""

    @property
    def derivative(self) -> Array | None:
        """Of an activation."""

    @property
    def gradient(self) -> Array | None:
        """With respect to the output."""

    @property
    def weight(self) -> Array | None:
        """Of a dense layer."""


@dataclass(frozen=True)
class Stage:
    """A layer, together with the layers behind it that act on each of its units alone.

    Parameters
    ----------
    name : str
        Of its first layer; "input" for the rows.
    pre_activation, activation, gradient : ndarray of shape (B, U)
        Of its U units: before the non-linearity, after all of the stage, and the gradient with respect to that.
    derivative : ndarray of shape (B, U) or None
        Of its activation.
    weight : ndarray of shape (U, units of the stage before) or None
        Of a dense layer.
    """

    name: str
    pre_activation: Array
    activation: Array
    gradient: Array
    derivative: Array | None = None
    weight: Array | None = None


@dataclass(frozen=True)
class Step:
    """One unit on a path, of one row.

    Parameters
    ----------
    layer : str
        Name of its stage.
    unit : int
        Its position; of pictures and the like, in the flattened row.
    pre_activation, activation, gradient : float
        As in ``Stage``.
    derivative : float or None
        Of the activation at the pre-activation.
    """

    layer: str
    unit: int
    pre_activation: float
    activation: float
    derivative: float | None
    gradient: float


def stages(layers: Sequence[Traced], rows: Array | None, slopes: Array | None) -> tuple[Stage, ...]:
    """Return the stages of a trace with gradients; without them none."""
    if rows is None or slopes is None:
        return ()
    found = [Stage("input", _flat(rows), _flat(rows), _flat(slopes))]
    for layer in layers:
        if layer.output is None or layer.gradient is None or len(layer.output) != len(rows):
            continue
        out, gradient = _flat(layer.output), _flat(layer.gradient)
        last = found[-1]
        goes_on = layer.weight is None and len(found) > 1 and out.shape == last.activation.shape
        if goes_on:
            slope = last.derivative if layer.derivative is None else _flat(layer.derivative)
            pre = last.pre_activation
            if layer.derivative is not None and layer.pre_activation is not None:
                pre = _flat(layer.pre_activation)
            found[-1] = Stage(last.name, pre, out, gradient, slope, last.weight)
            continue
        weight = layer.weight if layer.weight is not None and layer.weight.shape[0] == out.shape[1] else None
        if weight is not None and weight.shape[1] != last.activation.shape[1]:
            weight = None  # what it reads is not what ran before it
        slope = None if layer.derivative is None else _flat(layer.derivative)
        found.append(Stage(layer.name, _flat(layer.pre_activation), out, gradient, slope, weight))
    return tuple(found)


def strongest_path(found: Sequence[Stage], row: int, unit: int | None) -> tuple[Step, ...]:
    """Return one unit per stage; ``unit`` is the output to begin with, by default the largest.

    At a dense layer the path comes from the input with the largest |weight × value|, elsewhere from the unit with the
    largest |gradient × value|.
    """
    last = found[-1]
    at = int(np.abs(last.activation[row]).argmax()) if unit is None else unit % last.activation.shape[1]
    steps = [_step(last, row, at)]
    for stage, before in zip(reversed(found), reversed(found[:-1]), strict=False):
        if stage.weight is not None:
            sizes = np.abs(stage.weight[at] * before.activation[row])
        else:
            sizes = np.abs(before.gradient[row] * before.activation[row])
        at = int(np.nan_to_num(sizes).argmax())
        steps.append(_step(before, row, at))
    return tuple(reversed(steps))


def _step(stage: Stage, row: int, unit: int) -> Step:
    slope = None if stage.derivative is None else float(stage.derivative[row, unit])
    return Step(
        stage.name,
        unit,
        float(stage.pre_activation[row, unit]),
        float(stage.activation[row, unit]),
        slope,
        float(stage.gradient[row, unit]),
    )


def _flat(values: Array | None) -> Array:
    rows = np.zeros((0, 0)) if values is None else values
    return rows.reshape(len(rows), -1)
