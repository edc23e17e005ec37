"""One neuron, with its parts visible by name: inputs, weights, bias, weighted sum, activation, output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from glia.core.results import Result, Table
from glia.nn.activations import make_activation
from glia.nn.initialisers import initialise_layer_
from glia.nn.parts import Part, as_part


@dataclass(frozen=True)
class NeuronParts(Result):
    """What a neuron did with a batch of B rows of D inputs.

    Parameters
    ----------
    inputs : ndarray (B, D)
    weights : ndarray (D,)
    bias : float
        0 for a neuron without one.
    weighted_sum : ndarray (B,)
        ``inputs @ weights + bias``.
    activation : str
        Name of the activation.
    output : ndarray (B,)
        The activation of the weighted sum.
    """

    inputs: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: float
    weighted_sum: NDArray[np.float32]
    activation: str
    output: NDArray[np.float32]

    def summary(self) -> str:
        """Return the formula with the neuron's numbers."""
        terms = " + ".join(f"{weight:.4g}·x{i + 1}" for i, weight in enumerate(self.weights[:4]))
        more = " + …" if len(self.weights) > 4 else ""
        return f"output = {self.activation}({terms}{more} + {self.bias:.4g})"

    def tables(self) -> list[Table]:
        """Return each row's weighted sum and output (the first 20), and the weights."""
        rows = zip(self.weighted_sum[:20].tolist(), self.output[:20].tolist(), strict=True)
        weights = [(f"weight {i + 1}", weight) for i, weight in enumerate(self.weights.tolist())]
        return [
            Table("Rows", ("row", "weighted sum", "output"), tuple((i + 1, *row) for i, row in enumerate(rows))),
            Table("Weights and bias", ("part", "value"), (*weights, ("bias", self.bias))),
        ]


class Neuron(nn.Module):
    """activation(w·x + b).

    Parameters
    ----------
    in_features : int
        D, at least 1.
    activation : str or Part
        A name of ``activations``.
    bias : bool
        Without a bias the output at x = 0 is fixed.
    init : str or Part
        A name of ``initialisers``, or "auto".
    generator : torch.Generator, optional
        Where the weights are drawn from; torch's global state without one.

    Notes
    -----
    **Shape**: (B, D) → (B, 1), so that a neuron is a network like any other.
    """

    def __init__(
        self,
        in_features: int,
        activation: str | Part = "sigmoid",
        *,
        bias: bool = True,
        init: str | Part = "auto",
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.activation_name = as_part(activation).name
        self.weighted_sum = nn.Linear(in_features, 1, bias=bias)
        self.activation = make_activation(activation)
        initialise_layer_(self.weighted_sum, init, activation=activation, generator=generator)

    @property
    def weights(self) -> Tensor:
        """The weights, (D,); a view: writing into it changes the neuron."""
        return self.weighted_sum.weight[0]

    @property
    def bias(self) -> Tensor | None:
        """The bias, a scalar view, or ``None``."""
        bias: Any = self.weighted_sum.bias
        return None if bias is None else bias[0]

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (B, D) to (B, 1)."""
        output: Tensor = self.activation(self.weighted_sum(inputs))
        return output

    @torch.no_grad()
    def parts(self, inputs: Tensor) -> NeuronParts:
        """Return every part by its name for a batch (B, D)."""
        weighted_sum = self.weighted_sum(inputs)
        return NeuronParts(
            inputs=inputs.detach().cpu().numpy().copy(),
            weights=self.weights.detach().cpu().numpy().copy(),
            bias=0.0 if self.bias is None else float(self.bias),
            weighted_sum=weighted_sum[:, 0].cpu().numpy(),
            activation=self.activation_name,
            output=self.activation(weighted_sum)[:, 0].cpu().numpy(),
        )
