"""What K networks at once cost, against one network and against K networks one after the other.

Run from the root of the repository, on a quiet machine:

    python benchmarks/population_speed.py [--threads 1 2] [--members 1 8 32] [--workloads tiny mlp]

All ways take the same steps (forward, loss, backward, Adam) through ``glia.engine``, in turn, and the least time of
many short runs counts, so that what else the machine does matters little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.hardware import processor_name, threads
from glia.core.layout import Layout
from glia.core.products import onednn_products
from glia.core.workload import BATCHED_FLOPS_FOR_ONEDNN, FLOPS_FOR_ONEDNN
from glia.engine.loop import Trainer
from glia.engine.optimizer_settings import Optimizer
from glia.engine.population import make_trainer
from glia.engine.population_updates import member_rates
from glia.nn import MLP
from glia.nn.population import stack
from glia.objectives import CrossEntropy

Step = Callable[[], object]
RATE = 1e-9
"""Weights stay where they start: a batch that has been learned by heart has gradients so small that they are slow."""


@dataclass(frozen=True)
class Workload:
    """A network and its batches."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    classes: int
    batch: int


class Convolutions(nn.Module):
    """Conv 32-64 and a dense layer of 128, for 28 × 28 images."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.dense, self.output = nn.Linear(64 * 25, 128), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 1, 28, 28) to (B, 10)."""
        x = nn.functional.max_pool2d(torch.relu(self.first(x)), 2)
        x = nn.functional.max_pool2d(torch.relu(self.second(x)), 2)
        return self.output(torch.relu(self.dense(x.flatten(1))))  # type: ignore[no-any-return]


def dense(inputs: int, hidden: tuple[int, ...], outputs: int, **options: object) -> Callable[[], nn.Module]:
    """Return what makes a multilayer perceptron."""
    return lambda: MLP(hidden, **options).build(Layout((inputs,)), outputs)  # type: ignore[arg-type]


WORKLOADS = {
    "tiny": Workload(dense(20, (64, 64), 2), (20,), 2, 64),
    "table": Workload(dense(40, (128, 128), 2, activation="silu", dropout=0.15), (40,), 2, 128),
    "normed": Workload(dense(20, (64, 64), 2, norm="layer"), (20,), 2, 64),
    "mlp": Workload(dense(784, (256, 256), 10), (784,), 10, 128),
    "wide": Workload(dense(1024, (1024, 1024), 10), (1024,), 10, 256),
    "cnn": Workload(Convolutions, (1, 28, 28), 10, 64),
}


def single(work: Workload, x: Tensor, y: Tensor) -> Step:
    """Return one network's step, in the fastest way that the engine has."""
    network, loss = work.make().train(), CrossEntropy()
    trainer = Trainer(network, loss, Optimizer("adam").make(network, RATE), epochs=1, batch_size=work.batch)
    trainer._way = trainer._choose_gradient()
    return lambda: trainer.train_step(x, y, None)


def several(work: Workload, members: int, form: str, x: Tensor, y: Tensor) -> Step:
    """Return the step of a population."""
    networks, rule = [work.make().train() for _ in range(members)], Optimizer("adam")
    population = stack(networks, form, rows=x, batch_size=work.batch).train()
    rates, options = member_rates(rule, members, RATE), {"epochs": 1, "batch_size": work.batch}
    trainer = make_trainer(population, networks, CrossEntropy(), rule, rates, **options)
    return lambda: trainer.train_step(x, y, None)


def by_onednn(work: Workload, members: int) -> dict[str, bool]:
    """Return which ways multiply by oneDNN: those of whose steps a fit would say so."""
    work_of_one = 6.0 * sum(p.numel() for p in work.make().parameters()) * work.batch
    together = members * work_of_one >= BATCHED_FLOPS_FOR_ONEDNN
    return {"one": work_of_one >= FLOPS_FOR_ONEDNN, "batched": together, "vmap": together}


def least(
    steps: dict[str, Step], seconds: float, clock: Callable[[], float], onednn: dict[str, bool]
) -> dict[str, float]:
    """Return ms per step of each, run in turn: the least of many short runs, of at most a few ms each."""
    found, counts = dict.fromkeys(steps, float("inf")), dict[str, int]()
    for name, step in steps.items():
        step()
        start = time.perf_counter()
        step()
        counts[name] = max(1, int(0.002 / (time.perf_counter() - start)))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, step in steps.items():
            with onednn_products(onednn[name]):
                start = clock()
                for _ in range(counts[name]):
                    step()
                found[name] = min(found[name], (clock() - start) / counts[name] * 1e3)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, torch.get_num_threads()])
    parser.add_argument("--members", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--workloads", nargs="+", default=["tiny", "table", "normed", "mlp", "cnn"], choices=WORKLOADS)
    parser.add_argument("--seconds", type=float, default=4.0, help="of measuring per row")
    chosen = parser.parse_args()
    print(f"torch {torch.__version__}, {processor_name()}; ms per step")
    print(
        f"{'workload':9}{'threads':>8}{'K':>5}{'one':>9}{'batched':>9}{'÷ one':>7}{'÷ K·one':>9}{'vmap':>9}{'K·one':>9}"
    )
    for name in chosen.workloads:
        work = WORKLOADS[name]
        x, y = torch.randn(work.batch, *work.shape), torch.randint(0, work.classes, (work.batch,))
        for count in chosen.threads:
            for members in chosen.members:
                with threads(count):
                    steps = {"one": single(work, x, y)}
                    for form in ("batched", "vmap"):
                        with suppress(InputError):  # convolutions have no batched form
                            steps[form] = several(work, members, form, x, y)
                    # With one thread its own time is what counts, which other processes disturb less.
                    clock = time.thread_time if count == 1 else time.perf_counter
                    t = least(steps, chosen.seconds, clock, by_onednn(work, members))
                together = t.get("batched", float("nan"))
                print(
                    f"{name:9}{count:8}{members:5}{t['one']:9.3f}{together:9.3f}{together / t['one']:7.2f}"
                    f"{together / t['one'] / members:9.3f}{t['vmap']:9.3f}{t['one'] * members:9.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
