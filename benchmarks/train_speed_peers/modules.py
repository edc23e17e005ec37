"""The networks as users of torch write them."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor, nn

from train_speed_peers.workloads import Weights, Workload


class LastState(nn.Module):
    """An LSTM whose last hidden state is classified."""

    def __init__(self, inputs: int, state: int, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, state, batch_first=True)
        self.head = nn.Linear(state, classes)

    def forward(self, x: Tensor) -> Tensor:
        output, _ = self.lstm(x)
        return self.head(output[:, -1])


class MeanToken(nn.Module):
    """A transformer whose mean token is classified."""

    def __init__(self, width: int, heads: int, layers: int, classes: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x).mean(dim=1))


def make_module(workload: Workload, weights: Weights) -> nn.Module:
    """Return the network with its first weights."""
    module = _make(workload)
    module.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
    return module


def _make(workload: Workload) -> nn.Module:
    if workload.kind == "lstm":
        return LastState(workload.shape[1], *workload.widths, workload.classes)
    if workload.kind == "transformer":
        return MeanToken(*workload.widths, workload.classes)
    if workload.kind == "cnn":
        first, second, hidden = workload.widths
        return nn.Sequential(
            nn.Conv2d(workload.shape[0], first, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(weight_count(workload), hidden),
            nn.ReLU(),
            nn.Linear(hidden, workload.classes),
        )
    sizes = (*workload.shape, *workload.widths)
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], workload.classes))


def weight_count(workload: Workload) -> int:
    """Return how many values the convolutions hand to the dense layers."""
    side = ((workload.shape[1] - 2) // 2 - 2) // 2
    return workload.widths[1] * side * side


@torch.no_grad()
def log_probabilities(module: nn.Module, x: np.ndarray) -> np.ndarray:
    """Return (N, C) in evaluation mode."""
    module.eval()
    return torch.log_softmax(module(torch.from_numpy(x)).double(), dim=1).numpy()
