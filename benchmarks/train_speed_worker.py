"""One peer in a process of its own, for ``train_speed.py``: commands come as lines of JSON, answers go as such."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, TextIO

from train_speed_peers import PEERS, RATE
from train_speed_peers.workloads import WORKLOADS, Train, first_weights, make_rows, smaller


def serve(peer: str, name: str, steps: int | None, commands: TextIO, answers: TextIO) -> None:
    """Say ``{"ready": true}``, then train once per command ``{"seed": 0}``; say ``{"failed": why}`` and end if not."""

    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    try:
        work = _matrix_rate() if peer == RATE else _training(peer, name, steps)
        answer({"ready": True})
        for line in commands:
            answer(work(json.loads(line)["seed"]))
    except Exception as problem:  # whatever goes wrong in a peer is an answer as well
        traceback.print_exc()
        answer({"failed": f"{type(problem).__name__}: {problem}".splitlines()[0][:200]})


def _training(peer: str, name: str, steps: int | None) -> Callable[[int], dict[str, Any]]:
    workload = WORKLOADS[name] if steps is None else smaller(WORKLOADS[name], steps)
    train: Train = importlib.import_module(f"train_speed_peers.{PEERS[peer].module}").train
    rows = make_rows(workload)

    def work(seed: int) -> dict[str, Any]:
        outcome = train(workload, rows, first_weights(workload, seed), 1 + workload.epochs, seed)
        spans = itertools.pairwise(outcome.ends)
        milliseconds = [1000 * (end - start) / workload.steps_per_epoch for start, end in spans]
        loss = rows.loss(outcome.log_probabilities)
        return {"milliseconds": milliseconds, "loss": loss, "remark": outcome.remark}

    return work


def _matrix_rate() -> Callable[[int], dict[str, Any]]:
    measure = importlib.import_module("train_speed_peers.matrix_rate").measure
    return lambda seed: {"rates": measure()}


def main() -> None:
    peer, name, steps = sys.argv[1:]
    # What packages print must not get in between the answers.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        serve(peer, name, None if steps == "all" else int(steps), sys.stdin, answers)


if __name__ == "__main__":
    main()
