"""Milliseconds per training step: Glia against other ways to train the same network on the same rows.

    python benchmarks/train_speed.py [--workloads tiny …] [--peers glia …] [--rounds 5] [--steps N] [--json FILE]

Every peer runs in a process of its own. They take turns, several rounds of them, and each round they all start from the
same weights. Time is that between the ends of two epochs of the peer's own loop, divided by steps; making and
converting rows and the first epoch are left out. The page is printed; ``--out`` writes it to benchmarks/results/ as
well, or to a file that is named. A peer whose package is missing is named in the page as absent.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from glia.core.files import write_text
from quality import hardware_name
from quality_cells import stamp
from train_speed_page import page
from train_speed_peers import GLIA, PEERS, RATE
from train_speed_peers.workloads import WORKLOADS, flops_per_step, smaller

ROOT = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("train_speed_worker.py")
RATED = ("wide", "transformer")
"""Workloads whose share of the machine's matrix rate is told."""


class Cell(NamedTuple):
    """What one peer did with one workload in one round: its answer as JSON data."""

    workload: str
    peer: str
    round: int
    answer: dict[str, Any]


class Worker:
    """A peer's process; once it has failed, it answers with why."""

    def __init__(self, peer: str, workload: str, steps: int | None, patience: float) -> None:
        self.patience, self.failed = patience, ""
        extra = PEERS[peer].environment if peer in PEERS else {}
        self.errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  # closed with the process
        command = [sys.executable, str(SCRIPT), peer, workload]
        self.process = subprocess.Popen(
            [*command, "all" if steps is None else str(steps)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, **extra},
        )
        self._read()

    def ask(self, seed: int) -> dict[str, Any]:
        """Return the answer to one command: milliseconds and loss, or ``{"failed": why}``."""
        if not self.failed:
            try:
                self.process.stdin.write(json.dumps({"seed": seed}) + "\n")
                self.process.stdin.flush()
            except BrokenPipeError:
                self.failed = self._why()
        return {"failed": self.failed} if self.failed else self._read()

    def _read(self) -> dict[str, Any]:
        alarm = threading.Timer(self.patience, self.process.kill)
        alarm.start()
        line = self.process.stdout.readline()
        alarm.cancel()
        answer: dict[str, Any] = json.loads(line) if line else {"failed": self._why()}
        self.failed = answer.get("failed", "")
        return answer

    def _why(self) -> str:
        code = self.process.wait()
        self.errors.seek(0)
        last = (self.errors.read().strip().splitlines() or ["it said nothing"])[-1]
        return f"ended with {code}, perhaps after more than {self.patience:.0f} s: {last[:200]}"

    def close(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):  # what could not be sent is still in the buffer
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def race(workload: str, peers: list[str], rounds: int, steps: int | None, patience: float) -> list[Cell]:
    """Let the peers train in turn; each round begins with another one."""
    cells = []
    with ExitStack() as stack:
        workers = {}
        for peer in [*peers, *([RATE] if workload in RATED else [])]:
            workers[peer] = Worker(peer, workload, steps, patience)
            stack.callback(workers[peer].close)
        order = list(workers)
        for turn in range(rounds):
            for peer in order[turn % len(order) :] + order[: turn % len(order)]:
                cell = Cell(workload, peer, turn, workers[peer].ask(turn))
                shown = cell.answer.get("failed") or " ".join(f"{v:.4g}" for v in cell.answer.get("milliseconds", []))
                print(f"{workload:12} {peer:15} {turn}  {shown}", flush=True)
                cells.append(cell)
    return cells


def able(peer: str, workload: str) -> bool:
    """Tell whether a peer is installed and knows the kind of network."""
    return not PEERS[peer].missing and (WORKLOADS[workload].kind == "dense" or not PEERS[peer].dense_only)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="measured steps per round, instead of each workload's own number")
    parser.add_argument("--patience", type=float, default=600, help="seconds after which a peer is given up in a round")
    parser.add_argument("--json", type=Path, help="write all measurements to this file")
    parser.add_argument("--out", nargs="?", const="", help="write the page, to benchmarks/results/ or a file")
    given = parser.parse_args()
    cells: list[Cell] = []
    for name in given.workloads:
        peers = [peer for peer in given.peers if able(peer, name)]
        cells += race(name, peers, given.rounds, given.steps, given.patience)
    hardware, date = hardware_name(), datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    workloads = [WORKLOADS[n] if given.steps is None else smaller(WORKLOADS[n], given.steps) for n in given.workloads]
    versions = [
        stamp(GLIA),
        *sorted({v for p in given.peers for v in PEERS[p].versions.split(", ") if "glia" not in v}),
    ]
    facts = {"date": date, "hardware": hardware, "rounds": given.rounds, "versions": versions}
    text = page(cells, workloads, given.peers, facts)
    print("\n" + text)
    if given.json:
        flops = {workload.name: flops_per_step(workload) for workload in workloads}
        content = {**facts, "flops per step": flops, "cells": [cell._asdict() for cell in cells]}
        write_text(given.json, json.dumps(content, indent=1) + "\n")
    if given.out is not None:
        slug = re.sub(r"[^a-z0-9]+", "-", hardware.lower()).strip("-")
        path = Path(given.out or ROOT / "benchmarks" / "results" / f"{date}_{slug}_train_speed.md")
        write_text(path, text)
        print(f"written: {path}")


if __name__ == "__main__":
    main()
