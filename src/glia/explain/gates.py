"""Gates of recurrent networks over time: what they let in, keep and let out at every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import nn

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.results import Result, Table
from glia.explain.global_methods import inside
from glia.explain.plots.look import new_axes
from glia.explain.subject import Floats
from glia.nn import GRU, LSTM, RecurrentNetwork, gate_activations
from glia.nn.ensemble import MeanNetwork
from glia.nn.gru_gates import gru_gate_activations
from glia.nn.modes import evaluating

_LSTM = ("input", "forget", "output", "candidate", "cell", "hidden")
_GRU = ("reset", "keep", "candidate", "hidden")
_GATES = ("input", "forget", "output", "reset", "keep")
_LOOK = {
    "input": ("#0072B2", "-"), "forget": ("#D55E00", "--"), "output": ("#009E73", ":"), "reset": ("#0072B2", "-"),
    "keep": ("#D55E00", "--"),
}  # fmt: skip


@dataclass(frozen=True)
class GatesResult(Result):
    """Gates and states of every layer over time.

    Parameters
    ----------
    layers : tuple of mapping of str to ndarray of shape (N, T, H)
        For each layer, and each direction of it: "input", "forget", "output", "candidate", "cell", "hidden" of LSTM
        cells; "reset", "keep", "candidate", "hidden" of GRU cells. Gates lie between 0 (shut) and 1 (open).
    names : tuple of str
        Of the layers.
    mask : ndarray of bool, shape (N, T)
        Which steps are real; at others all values are 0.
    """

    layers: tuple[Mapping[str, Floats], ...]
    names: tuple[str, ...]
    mask: NDArray[np.bool_]

    def mean(self, gate: str, layer: int = 0) -> Floats:
        """Return how far a gate is open at each step, (T,): the mean over units and over rows with that step."""
        values = self.layers[layer][gate].mean(axis=2)
        count = self.mask.sum(axis=0)
        return np.asarray(np.where(count, (values * self.mask).sum(axis=0) / np.maximum(count, 1), np.nan))

    def gates_of(self, layer: int = 0) -> list[str]:
        """Return the names of a layer's gates."""
        return [name for name in _GATES if name in self.layers[layer]]

    def summary(self) -> str:
        """Return how far the gates of the first layer are open, and where they move most."""
        said = []
        for name in self.gates_of():
            steps = self.mean(name)
            said.append(f"{name} {np.nanmean(steps):.2f} (at step {int(np.nanargmin(steps))} least, at step "
                        f"{int(np.nanargmax(steps))} most)")  # fmt: skip
        return f"Gates of {self.names[0]}, mean over units and {len(self.mask):,} rows: {', '.join(said)}."

    def tables(self) -> list[Table]:
        """Return the mean openness of every gate, and its spread over time and over units."""
        rows = []
        for i, (name, layer) in enumerate(zip(self.names, self.layers, strict=True)):
            for gate in self.gates_of(i):
                steps = self.mean(gate, i)
                units = layer[gate][self.mask].std(axis=0).mean()  # (steps that are real, H)
                rows.append((name, gate, float(np.nanmean(steps)), float(np.nanstd(steps)), float(units)))
        heads = ("layer", "gate", "mean", "spread over steps", "spread of a unit")
        return [Table("Gates", heads, tuple(rows))]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return ``gates``, means over time, and ``units``, every unit of one gate for one row."""
        return {"gates": self._draw, "units": self._draw_units}

    def _draw(self, *, ax: Axes | None = None, layer: int = 0) -> Axes:
        ax = new_axes(ax, 6.4, 3.6)
        for gate in self.gates_of(layer):
            colour, style = _LOOK[gate]
            steps = self.mean(gate, layer)
            ax.plot(steps, style, color=colour)
            known = np.flatnonzero(np.isfinite(steps))
            ax.annotate(gate, (known[-1], steps[known[-1]]), xytext=(4, 0), textcoords="offset points", color=colour,
                        va="center")  # fmt: skip
        ax.set_ylim(0, 1)
        ax.set_xlabel("step")
        ax.set_ylabel("open, 0 to 1")
        moving = max(self.gates_of(layer), key=lambda gate: float(np.nanstd(self.mean(gate, layer))))
        steps = self.mean(moving, layer)
        low, high = int(np.nanargmin(steps)), int(np.nanargmax(steps))
        ax.set_title(f"The {moving} gate moves most: {steps[low]:.2f} at step {low}, {steps[high]:.2f} at step {high}",
                     loc="left")  # fmt: skip
        return ax

    def _draw_units(self, *, ax: Axes | None = None, layer: int = 0, gate: str | None = None, row: int = 0) -> Axes:
        name = self.gates_of(layer)[0] if gate is None else gate
        ax = new_axes(ax, 6.4, 4.0)
        last = int(np.flatnonzero(self.mask[row]).max(initial=0)) + 1
        signed = name not in _GATES
        drawn = ax.imshow(
            self.layers[layer][name][row, :last].T, aspect="auto", interpolation="nearest",
            cmap="PuOr_r" if signed else "viridis", vmin=-1 if signed else 0, vmax=1,
        )  # fmt: skip
        ax.figure.colorbar(drawn, ax=ax, aspect=30, pad=0.02).outline.set_visible(False)
        ax.grid(visible=False)
        ax.set_xlabel("step")
        ax.set_ylabel("unit")
        ax.set_title(f"{name} of {self.names[layer]}, row {row}", loc="left")
        return ax


@inside("gates")
def gates(predictor: Predictor, X: Any) -> GatesResult:
    """Read the gates of a recurrent network for some rows.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of sequences with ``network="lstm"`` or ``"gru"``; of several members the first one.
    X : rows
        N sequences.

    Returns
    -------
    GatesResult

    Raises
    ------
    InputError
        If the network has no such cells.

    Notes
    -----
    By the cells' equations: see ``glia.nn.gate_activations`` and ``glia.nn.gru_gate_activations``.
    """
    network = predictor.network_
    one: nn.Module = network.networks[0] if isinstance(network, MeanNetwork) else network
    if not isinstance(one, RecurrentNetwork) or isinstance(one.ahead[0], nn.RNN):
        known = " or ".join(f'"{family.family}"' for family in (LSTM, GRU))
        raise InputError("gates are those of LSTM and GRU cells", type(one).__name__, f"fit with network={known}")
    with evaluating(one), torch.no_grad():
        x = predictor.prepare(X)
        lstm = isinstance(one.ahead[0], nn.LSTM)
        found: list[Any] = list(gate_activations(one, x) if lstm else gru_gate_activations(one, x))
    layers, names = [], []
    for place, layer in enumerate(found):
        number = place // (2 if len(one.back) else 1) + 1
        names.append(f"layer {number}{', backward' if layer.backward else ''}")
        layers.append({name: getattr(layer, name).double().cpu().numpy() for name in (_LSTM if lstm else _GRU)})
    return GatesResult(tuple(layers), tuple(names), (x[..., -1] > 0.5).cpu().numpy())
