"""The perceptron as a network: one linear layer and a step (Rosenblatt 1958)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.nn.activations import Step
from glia.nn.perceptron_rule import PerceptronFit


class PerceptronNetwork(nn.Module):
    """step(W·x + b), learned by ``perceptron_rule`` or ``multiclass_perceptron_rule``, not by gradients.

    Parameters
    ----------
    in_features : int
        D, at least 1.
    out_features : int
        1 for two classes; C for C classes.

    Notes
    -----
    **Shape**: (B, D) → (B, out_features). One output: 1 where the score is ≥ 0, else 0. Several: 1 for the class of the
    largest score, else 0.

    Weights start at 0, from where the bound on mistakes counts.
    """

    def __init__(self, in_features: int, out_features: int = 1) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weighted_sum = nn.Linear(in_features, out_features)
        self.activation = Step()
        nn.init.zeros_(self.weighted_sum.weight)
        nn.init.zeros_(self.weighted_sum.bias)

    @classmethod
    def from_fit(cls, fit: PerceptronFit) -> PerceptronNetwork:
        """Return a network with the weights that a learning rule found."""
        weights = np.atleast_2d(fit.weights)
        network = cls(weights.shape[1], len(weights))
        network.load_weights(fit)
        return network

    @torch.no_grad()
    def load_weights(self, fit: PerceptronFit) -> None:
        """Take over the weights that a learning rule found.

        Raises
        ------
        InputError
            If they are of another shape.
        """
        weights = torch.as_tensor(np.atleast_2d(fit.weights))
        if weights.shape != self.weighted_sum.weight.shape:
            raise InputError(
                "the weights must have the network's shape",
                f"{tuple(weights.shape)}, network {tuple(self.weighted_sum.weight.shape)}",
            )
        self.weighted_sum.weight.copy_(weights)
        self.weighted_sum.bias.copy_(torch.as_tensor(np.atleast_1d(fit.bias)))

    def scores(self, x: Tensor) -> Tensor:
        """Return the weighted sums, (B, out_features)."""
        scores: Tensor = self.weighted_sum(x)
        return scores

    def forward(self, x: Tensor) -> Tensor:
        """Return 0 or 1 for each output, (B, out_features)."""
        scores = self.scores(x)
        if self.out_features > 1:
            return nn.functional.one_hot(scores.argmax(-1), self.out_features).to(scores.dtype)
        output: Tensor = self.activation(scores)
        return output
