"""Fits that one process and several workers must end alike; run as a script by every worker.

``python distributed_cases.py FOLDER CASE…`` writes ``FOLDER/<rank>.pt``.
"""

import os
import signal
import socket
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from glia.engine.callbacks import Callback, EarlyStopping
from glia.engine.clipping import Clip
from glia.engine.distributed import joined as joined_module
from glia.engine.distributed.joined import joined
from glia.engine.distributed.place import place
from glia.engine.distributed.settings import Distribution
from glia.engine.distributed.workers import WorkerLostError, claim, group
from glia.engine.loop import Trainer
from glia.engine.optimizers import make_optimizer
from glia.engine.rows import Rows
from glia.engine.schedules import as_schedule
from glia.objectives import losses
from glia.objectives.penalties import Penalties

MSE = losses.get("mse")()
ENTROPY = losses.get("cross_entropy")()


class Streamed:
    """A source that is no ``Rows``."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def epoch(self, batch_size, seed, number, skip=0):
        return self.rows.epoch(batch_size, seed, number, skip)


class Idle(nn.Module):
    """Has a parameter that is never used, and one that only rows with a positive first column use."""

    def __init__(self):
        super().__init__()
        self.body, self.idle = nn.Linear(4, 1), nn.Parameter(torch.ones(3))
        self.sometimes = nn.Linear(4, 1)

    def forward(self, x):
        chosen = x[:, 0] > 1.0
        out = self.body(x)
        return out + self.sometimes(x) * chosen[:, None] if bool(chosen.any()) else out


class Scarce(nn.Module):
    """Runs out of memory where it is given more than ``limit`` rows in training."""

    def __init__(self, limit):
        super().__init__()
        self.body, self.limit = nn.Linear(4, 1), limit

    def forward(self, x):
        if self.training and len(x) > self.limit:
            raise torch.OutOfMemoryError("out of memory: not enough to allocate")
        return self.body(x)


class Interrupted(Callback):
    """Sends Ctrl-C to one worker alone."""

    def on_step_end(self, trainer):
        if trainer.step == 7 and place().rank == place().world - 1:
            os.kill(os.getpid(), signal.SIGINT)


class Gone(Callback):
    """The last worker ends without a word, once the others have something to wait for."""

    def on_step_end(self, trainer):
        if trainer.step == 3 and place().rank == place().world - 1:
            os._exit(0)


def rows(count=37, features=4, seed=0, weighted=False, outputs=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, features, generator=generator)
    y = x @ torch.linspace(-1, 1, features)[:, None] + 0.1 * torch.randn(count, outputs, generator=generator)
    weight = torch.rand(count, generator=generator) * 3 if weighted else None
    return Rows(x, y, None if weight is None else weight / weight.mean())


def images(count=37):
    generator = torch.Generator().manual_seed(3)
    return Rows(
        torch.randn(count, 1, 6, 6, generator=generator), torch.randint(0, 3, (count,), generator=generator), None
    )


def dense(seed=1, dropout=0.0, norm=False, width=8):
    torch.manual_seed(seed + (place().rank * 100))  # workers begin with different weights: worker 0's must win
    inner = [nn.Linear(width, width), nn.Tanh()] if width > 8 else []
    return nn.Sequential(
        nn.Linear(4, width), nn.BatchNorm1d(width) if norm else nn.Identity(), nn.Tanh(), nn.Dropout(dropout),
        *inner, nn.Linear(width, 1),
    )  # fmt: skip


def linear():
    torch.manual_seed(6)
    return nn.Linear(4, 1)


def borrowed():
    """Return a network with a weight in memory that torch did not allocate and cannot let go of."""
    net = linear()
    net.weight = nn.Parameter(torch.from_numpy(np.full((1, 4), 0.25, dtype=np.float32)))
    return net


def convolution():
    torch.manual_seed(4)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


@dataclass
class Case:
    net: object = dense
    data: object = rows
    valid: object = None
    loss: object = MSE
    rule: str = "adam"
    lr: float = 0.01
    batch_size: int = 8
    epochs: int = 3
    how: Distribution = field(default_factory=Distribution)
    settings: object = dict

    def run(self):
        device = torch.device(os.environ.get("GLIA_TEST_DEVICE", "cpu"))
        net = self.net().to(device)
        train, valid = self.data(), self.valid() if self.valid else None
        train, valid = (part.to(device) if isinstance(part, Rows) else part for part in (train, valid))
        trainer = Trainer(
            net, self.loss, make_optimizer(self.rule, net, self.lr), epochs=self.epochs, batch_size=self.batch_size,
            random_state=5, **self.settings(),
        )  # fmt: skip
        sent = []
        with joined(trainer, train, valid, self.how) as (train, valid):
            trainer.fit(train, valid)
            sent.append(getattr(getattr(trainer.team, "exchange", None), "sent", 0))
        return {
            "weights": {name: value.cpu().clone() for name, value in net.state_dict().items()},
            "history": trainer.history.to_list(),
            "events": trainer.events,
            "stop": trainer.stop_reason,
            "sent": sent[0],
        }


OVERLAPPED = Distribution(messages="overlapped")
CASES = {
    "plain": Case(valid=lambda: rows(11, seed=2)),
    "stream": Case(data=lambda: Streamed(rows())),
    "weighted": Case(data=lambda: rows(weighted=True), valid=lambda: rows(11, seed=2, weighted=True)),
    "single rows": Case(data=lambda: rows(9), valid=lambda: rows(1, seed=2), batch_size=1),
    "everything": Case(
        data=lambda: rows(weighted=True),
        rule="adamw",
        settings=lambda: {
            "clip": Clip(norm=0.1),
            "penalties": Penalties(l1=1e-3, l2=1e-2),
            "schedule": as_schedule("cosine"),
        },
    ),
    "stopping": Case(
        valid=lambda: rows(11, seed=2), lr=0.3, epochs=30, settings=lambda: {"callbacks": [EarlyStopping(2)]}
    ),
    # By SGD: a bias before a normalisation has no gradient but rounding, of which Adam would make whole steps.
    "norm": Case(
        net=lambda: dense(norm=True), valid=lambda: rows(11, seed=2), data=lambda: rows(35), rule="sgd", lr=0.05
    ),
    "convolution": Case(
        net=convolution,
        data=images,
        loss=ENTROPY,
        valid=lambda: images(12),
        rule="sgd",
        lr=0.1,
        settings=lambda: {"metrics": {"accuracy": lambda output, y: (output.argmax(1) == y).float()}},
    ),
    "idle": Case(net=Idle, batch_size=2),
    "scarce": Case(net=lambda: Scarce(2 if place().rank == 1 else 100)),
    "overlapped": Case(how=OVERLAPPED, data=lambda: rows(weighted=True), valid=lambda: rows(11, seed=2)),
    "overlapped single": Case(how=OVERLAPPED, data=lambda: rows(9), batch_size=1),
    "overlapped norm": Case(how=OVERLAPPED, net=lambda: dense(norm=True), data=lambda: rows(35), rule="sgd"),
    "rolled back": Case(net=linear, rule="sgd", lr=10.0, epochs=12),
    "sharded": Case(
        how=Distribution(shard_parameters=True),
        data=lambda: rows(weighted=True),
        valid=lambda: rows(11, seed=2),
        settings=lambda: {"clip": Clip(norm=0.1), "callbacks": [EarlyStopping(2)], "penalties": Penalties(1e-3, 1e-2)},
    ),
    "sharded single": Case(how=Distribution(shard_parameters=True), data=lambda: rows(9), batch_size=1),
    "sharded borrowed": Case(how=Distribution(shard_parameters=True), net=borrowed),
    "bfloat16": Case(how=Distribution("bfloat16")),
    "powersgd": Case(how=Distribution("powersgd", rank=1), epochs=20, data=lambda: rows(200)),
    "powersgd wide": Case(how=Distribution("powersgd"), net=lambda: dense(width=800), data=lambda: rows(200)),
    "local": Case(how=Distribution(messages="weights"), rule="sgd", lr=0.1),
    "local single": Case(how=Distribution(messages="weights"), rule="sgd", lr=0.1, data=lambda: rows(9), batch_size=1),
    "local four": Case(how=Distribution(local_steps=4), valid=lambda: rows(11, seed=2), epochs=10),
    "local rolled back": Case(how=Distribution(local_steps=4), net=linear, rule="sgd", lr=10.0, epochs=12),
    "dropout": Case(net=lambda: dense(dropout=0.5)),
    "dropout again": Case(net=lambda: dense(dropout=0.5)),
    "even norm": Case(net=lambda: dense(norm=True), data=lambda: rows(32), rule="sgd", lr=0.1),
    "interrupted": Case(settings=lambda: {"callbacks": [Interrupted()]}),
}


def norm_apart():
    """Fit with batch normalisation over each worker's own rows: what the workers must not do."""
    before, joined_module.together = joined_module.together, lambda *_: nullcontext()
    try:
        return CASES["even norm"].run()
    finally:
        joined_module.together = before


def lost():
    """Say what the workers say that remain."""
    try:
        Case(settings=lambda: {"callbacks": [Gone()]}).run()
    except WorkerLostError as error:
        return str(error)
    return ""


def run_workers(folder, cases, world=2, script=__file__, timeout=120):
    """Run cases on workers; return each worker's results by case."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = []
    for rank in range(world):
        env = {
            **os.environ, "RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank),
            "LOCAL_WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        command = [sys.executable, "-W", "error", str(script), str(folder), *cases]
        started.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    said = [one.communicate(timeout=timeout)[0] for one in started]
    assert [one.returncode for one in started] == [0] * world, "\n".join(said)
    return [torch.load(Path(folder) / f"{rank}.pt", weights_only=False) for rank in range(world)]


if __name__ == "__main__":
    folder, *names = sys.argv[1:]
    here = place()
    found = {}
    try:
        with group():
            for name in names:
                if name == "lost":
                    torch.save(found, Path(folder) / f"{here.rank}.pt")
                special = {"norm apart": norm_apart, "claim": lambda: claim("a word"), "lost": lost}
                found[name] = special[name]() if name in special else CASES[name].run()
    finally:
        torch.save(found, Path(folder) / f"{here.rank}.pt")
