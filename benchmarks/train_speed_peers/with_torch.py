"""A loop as torch's tutorials write it: DataLoader, Adam, defaults."""

from __future__ import annotations

import time

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from train_speed_peers.modules import log_probabilities, make_module
from train_speed_peers.workloads import Outcome, Rows, Weights, Workload


def train(workload: Workload, rows: Rows, weights: Weights, epochs: int, seed: int) -> Outcome:
    torch.manual_seed(seed)
    module = make_module(workload, weights)
    optimizer, criterion = torch.optim.Adam(module.parameters(), lr=workload.lr), nn.CrossEntropyLoss()
    loader = DataLoader(
        TensorDataset(torch.from_numpy(rows.x), torch.from_numpy(rows.y)), batch_size=workload.batch, shuffle=True
    )
    ends = []
    for _ in range(epochs):
        total = 0.0
        module.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(module(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
        ends.append(time.perf_counter())
    return Outcome(ends, log_probabilities(module, rows.fresh_x), f"{torch.get_num_threads()} threads")
