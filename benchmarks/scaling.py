"""Milliseconds per step with one worker and with several, and the bytes that a step sends.

    python benchmarks/scaling.py [--workers 1 2] [--workloads small large] [--rounds 3] [--steps 60] [--out FILE]

All workers run on this machine, with one thread each, over gloo and the loopback device. The mini-batch is the same for
any number of workers, so that ideal workers would halve the time of a step. Ways take turns, several rounds of them;
times are means over steps, of which the least of the rounds is told. "handed over" is what Glia counts; "on the wire"
is what the loopback device carried, per worker and step, all protocols included (an all-reduce among W workers sends
2 (W − 1) / W times what is handed over; what local steps exchange at the end of an epoch is in the latter alone).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from glia.core.files import write_text
from glia.core.hardware import cores, processor_name
from glia.engine.callbacks import Callback
from glia.engine.distributed.joined import joined
from glia.engine.distributed.place import place
from glia.engine.distributed.settings import Distribution
from glia.engine.distributed.workers import group
from glia.engine.loop import Trainer
from glia.engine.optimizers import make_optimizer
from glia.engine.rows import Rows
from glia.objectives import losses

WORKLOADS = {"tiny": ((20, 64, 64, 2), 64), "small": ((784, 256, 256, 10), 128), "large": ((1024, 1024, 1024, 10), 512)}
WAYS = {
    "one message": Distribution(messages="one"),
    "overlapped": Distribution(messages="overlapped"),
    "bfloat16": Distribution("bfloat16"),
    "powersgd, rank 2": Distribution("powersgd"),
    "8 local steps": Distribution(local_steps=8),
    "sharded": Distribution(shard_parameters=True),
}


class Clock(Callback):
    """Notes when steps end, and what they sent."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.sent: list[int] = []
        self.wire = [0, 0]

    def on_step_end(self, trainer: Trainer) -> None:
        self.ends.append(time.perf_counter())
        self.sent.append(getattr(getattr(trainer.team, "exchange", None), "sent", 0))
        self.wire[len(self.ends) > 20] = loopback()


def loopback() -> int:
    """Return the bytes that the loopback device has sent; 0 where the system does not say."""
    try:
        lines = Path("/proc/net/dev").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[9]) for line in lines if line.strip().startswith("lo:")), 0)


def measure(workload: str, way: str, steps: int) -> dict[str, float]:
    """Train and return the mean milliseconds and bytes of a step, without the first twenty steps."""
    sizes, batch = WORKLOADS[workload]
    torch.manual_seed(0)
    pairs = [(nn.Linear(a, b), nn.ReLU()) for a, b in itertools.pairwise(sizes)]
    network = nn.Sequential(*[layer for pair in pairs for layer in pair][:-1])
    rows = Rows(torch.randn(batch * 20, sizes[0]), torch.randint(0, sizes[-1], (batch * 20,)))
    clock = Clock()
    trainer = Trainer(
        network, losses.get("cross_entropy")(), make_optimizer("adam", network, 1e-3), epochs=1 + -(-steps // 20),
        batch_size=batch, callbacks=[clock],
    )  # fmt: skip
    with joined(trainer, rows, None, WAYS[way]) as (train, valid):
        trainer.fit(train, valid)
    milliseconds = 1e3 * (clock.ends[-1] - clock.ends[19]) / (len(clock.ends) - 20)
    wire = (clock.wire[1] - clock.wire[0]) / (len(clock.ends) - 20) / place().world
    return {"ms": milliseconds, "sent": statistics.fmean(clock.sent[20:]), "wire": wire}


def run(world: int, workload: str, way: str, steps: int) -> dict[str, float]:
    """Start the workers; return worker 0's figures."""
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("127.0.0.1", 0))
        found = Path(folder) / "found.json"
        common = {
            **os.environ, "WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1",
            "MASTER_PORT": str(probe.getsockname()[1]), "LOCAL_WORLD_SIZE": str(world),
        }  # fmt: skip
        command = [sys.executable, __file__, "--worker", workload, way, str(steps), str(found)]
        probe.close()
        started = [
            subprocess.Popen(command, env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)})
            for rank in range(world)
        ]
        if max(one.wait() for one in started):
            raise SystemExit(f"{way} failed with {world} workers on {workload}")
        result: dict[str, float] = json.loads(found.read_text(encoding="utf-8"))
        return result


def table(figures: dict[tuple[str, int, str], dict[str, float]]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "# Several workers on one machine",
        "",
        f"{time.strftime('%Y-%m-%d')} · {cores()} cores, {processor_name()} · torch {torch.__version__} · gloo, "
        "loopback, one thread per worker · `python benchmarks/scaling.py`",
        "",
        "| Workload | Way | Workers | ms per step | speed-up | KB handed over | KB on the wire |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for (workload, world, way), one in figures.items():
        base = next(f["ms"] for (name, count, _), f in figures.items() if name == workload and count == 1)
        sent = f"{one['sent'] / 1e3:.1f} | {one['wire'] / 1e3:.1f}" if world > 1 else "0 | 0"
        shown = way if world > 1 else "alone"
        lines.append(f"| {workload} | {shown} | {world} | {one['ms']:.2f} | {base / one['ms']:.2f} | {sent} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60, help="measured in each run")
    parser.add_argument("--out", help="file for the table, besides printing it")
    parser.add_argument("--worker", nargs=4, metavar="X", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        with group() as here:
            workload, way, steps, out = chosen.worker
            found = measure(workload, way, int(steps))
            if here.first:
                write_text(out, json.dumps(found))
        return
    worlds = sorted({1, *chosen.workers})
    figures: dict[tuple[str, int, str], dict[str, Any]] = {}
    for _ in range(chosen.rounds):
        for workload in chosen.workloads:
            for world in worlds:
                for way in chosen.ways if world > 1 else chosen.ways[:1]:
                    one, key = run(world, workload, way, chosen.steps), (workload, world, way)
                    figures[key] = min(one, figures.get(key, one), key=lambda figure: figure["ms"])
    page = table(figures)
    print(page)
    if chosen.out:
        write_text(chosen.out, page)


if __name__ == "__main__":
    main()
