"""skorch with its defaults; nothing printed, no rows held out."""

from __future__ import annotations

import time
from typing import Any

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from train_speed_peers.modules import log_probabilities, make_module
from train_speed_peers.workloads import Outcome, Rows, Weights, Workload


class _Clock(Callback):
    """Notes when each epoch ends."""

    def initialize(self) -> _Clock:
        self.ends: list[float] = []
        return self

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        self.ends.append(time.perf_counter())


def train(workload: Workload, rows: Rows, weights: Weights, epochs: int, seed: int) -> Outcome:
    torch.manual_seed(seed)
    clock = _Clock()
    net = NeuralNetClassifier(
        make_module(workload, weights),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=workload.lr,
        batch_size=workload.batch,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=[("clock", clock)],
        callbacks__print_log=None,
        verbose=0,
    )
    net.fit(rows.x, rows.y)
    return Outcome(clock.ends, log_probabilities(net.module_, rows.fresh_x))
