"""Figures of networks outside of their training: outputs, scores, the loss of a constant answer, time taken."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.protocols import Task
from glia.core.seeds import torch_rng
from glia.engine.rows import Rows
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.runs import score_of
from glia.objectives import Objective

Floats = NDArray[np.float64]


@torch.no_grad()
def outputs_of(network: nn.Module, x: Tensor) -> Tensor:
    """Return what a network answers in evaluation mode, (N, O)."""
    answer: Tensor = network.eval()(x)
    return answer.float()


def points_of(bench: Bench, networks: Iterable[nn.Module], rows: Rows) -> Floats:
    """Return each network's score on rows, of 100; what chance scores where outputs are not finite, at least −100."""
    found = [score_of(outputs_of(network, rows.x), rows.y, bench.data.task) for network in networks]
    return np.maximum(
        -100.0, 100.0 * np.array([score if math.isfinite(score) else bench.data.chance for score in found])
    )


@torch.no_grad()
def loss_of(output: Tensor, rows: Rows, task: Task) -> float:
    """Return the mean of the task's usual loss."""
    return float(Objective("auto").resolve(task, weighted=False).loss(output, rows.y).mean())


def constant_loss(rows: Rows, task: Task) -> float:
    """Return the least mean loss that an answer can have which is the same for all rows."""
    if task == "regression":
        best = rows.y.reshape(len(rows), -1).mean(0)
    elif task == "binary":
        share = rows.y.float().mean().clamp(1e-6, 1 - 1e-6)
        best = torch.log(share / (1 - share)).reshape(1)
    else:
        best = torch.log(torch.bincount(rows.y).float().clamp_min(1e-6) / len(rows))
    return loss_of(best.expand(len(rows), -1), rows, task)


def with_parts(data: LabData, parts: Mapping[str, Rows]) -> LabData:
    """Return data with other rows in all three parts."""
    return replace(data, train=parts["train"], valid=parts["valid"], test=parts["test"])


def drawn(bench: Bench, name: str, seed: int, rows: int, count: int) -> Tensor:
    """Return ``count`` of the numbers below ``rows``, in a random order of the seed's own."""
    return torch.randperm(rows, generator=torch_rng(bench.seed, "lab", name, seed))[:count]


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the least time of several runs: what disturbs a run can only make it longer."""
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)
