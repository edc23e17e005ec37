"""Glia's classifier, with the settings that make it train what the others train: no schedule, no rows held out."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

import glia
from glia.engine.history import History
from glia.nn import initialisers
from train_speed_peers.modules import make_module
from train_speed_peers.workloads import Outcome, Rows, Weights, Workload

_given: dict[str, Any] = {}


@initialisers.register("given")
def _fill(weight: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
    """Take the next of the given weights; for two classes there is one output: the difference of the two."""
    value = next(_given["weights"])
    if len(weight) == 1 and len(value) == 2:
        value = value[1:] - value[:1]
    return weight.copy_(torch.from_numpy(value))


@contextmanager
def _clock() -> Iterator[list[float]]:
    """Note when each epoch enters the history: the seconds that it tells of leave out what is done between epochs."""
    ends: list[float] = []
    append = History.append

    def timed(self: History, entry: dict[str, Any]) -> None:
        append(self, entry)
        ends.append(time.perf_counter())

    History.append = timed  # type: ignore[method-assign]
    try:
        yield ends
    finally:
        History.append = append  # type: ignore[method-assign]


def train(workload: Workload, rows: Rows, weights: Weights, epochs: int, seed: int) -> Outcome:
    network: Any
    if workload.kind == "dense":
        _given["weights"] = itertools.cycle([value for value in weights.values() if value.ndim == 2])
        network = glia.nn.MLP(hidden=workload.widths, activation="relu", init="given")  # biases start at 0
    else:
        network = make_module(workload, weights)
    model = glia.Classifier(
        network=network,
        preparation="none",
        optimizer="adam",
        lr=workload.lr,
        schedule="constant",
        batch_size=workload.batch,
        epochs=epochs,
        early_stopping=False,
        random_state=seed,
    )
    with _clock() as ends:
        model.fit(rows.x, rows.y)
    probability = np.maximum(model.predict_proba(rows.fresh_x), 1e-30)
    return Outcome(ends, np.log(probability))
