"""Networks that are known functions, for tests with known answers."""

from __future__ import annotations

import polars as pl
import torch
from torch import nn

import glia


class Function(nn.Module):
    """A function of the columns as a network; a weight that does nothing stands for its place."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.function(x).reshape(len(x), -1) + 0 * self.weight


def known(function, names=None, task="regression"):
    return glia.wrap(Function(function), task, feature_names=names)


class Prepared:
    """A predictor over one frame's columns; categories become one-hot columns."""

    task_ = "regression"

    def __init__(self, function, kinds, numbers):
        from glia.core.layout import Feature, Layout

        self.kinds, self.numbers = kinds, numbers
        named = [Feature(f"{c}={k}", c, "onehot") for c, levels in kinds.items() for k in levels]
        named += [Feature(c, c) for c in numbers]
        self.layout_ = Layout((len(named),), tuple(named))
        self.network_ = Function(function)
        self.feature_names = (*kinds, *numbers)

    def prepare(self, X):
        parts = [pl.Series(X[c] == k).cast(pl.Float32) for c, levels in self.kinds.items() for k in levels]
        parts += [X[c].cast(pl.Float32) for c in self.numbers]
        return torch.stack([p.to_torch() for p in parts], dim=1)

    def forward(self, batch):
        return self.network_(batch)

    def predict(self, X):
        return self.forward(self.prepare(X))[:, 0].detach().numpy()


def untouched(network):
    """Return what must be the same afterwards: modes, weights, gradients and hooks."""
    return (
        [m.training for m in network.modules()],
        [p.detach().clone() for p in network.parameters()],
        [p.grad for p in network.parameters()],
        [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in network.modules()],
    )


def assert_untouched(network, before):
    after = untouched(network)
    assert after[0] == before[0] and after[2] == before[2] and after[3] == before[3]
    assert all(torch.equal(a, b) for a, b in zip(after[1], before[1], strict=True))
