"""A process whose children are killed by SIGKILL at chosen places of a fit; run by test_engine_checkpointing_killed.py.

``python killed_fits.py FOLDER`` prints, as JSON, for each place what was seen of it. torch is imported once, and each
fit runs in a fork of this process, in which nothing has been computed before.
"""

import json
import os
import signal
import sys
import warnings
from pathlib import Path

import torch
import torch._dynamo  # which torch loads when the first optimizer is made, for seconds
from torch import nn

from glia.core.files import sha256
from glia.engine import checkpoint
from glia.engine.callbacks import EarlyStopping
from glia.engine.checkpointing import Checkpointing
from glia.engine.loop import Trainer
from glia.engine.optimizers import make_optimizer
from glia.engine.rows import Rows
from glia.objectives import losses

EPOCHS, SIZE = 4, 8
PUT, REPLACE, STEP = checkpoint._put, Path.replace, Trainer.train_step


def fit(folder, every_seconds):
    """Train with checkpoints; leave the weights in ``result``."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(52, 4, generator=generator)
    y = x @ torch.linspace(-1, 1, 4)[:, None]
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 1))
    keep = Checkpointing(folder, every_seconds, 1, fingerprint={"fit": "this"})
    trainer = Trainer(
        net, losses.get("mse")(), make_optimizer("adam", net, 0.01), epochs=EPOCHS, batch_size=SIZE,
        callbacks=[EarlyStopping(3), keep], random_state=3,
    )  # fmt: skip
    trainer.fit(Rows(x[:40], y[:40]), Rows(x[40:], y[40:]))
    weights = b"".join(value.numpy().tobytes() for value in net.state_dict().values())
    resumed = [event["step"] for event in trainer.events]
    (folder.parent / "result").write_text(json.dumps([sha256(weights), len(trainer.history), resumed]))


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def at_step(number):
    """Be killed within that step, before the optimizer has done its part."""

    def train_step(self, x, y, weight):
        if self.step == number:
            die()
        return STEP(self, x, y, weight)

    Trainer.train_step = train_step


def in_write(number, count):
    """Be killed when ``count`` bytes of write ``number`` have been written; a negative count is one from the end."""
    seen = 0

    def put(file, data):
        nonlocal seen
        first = data[:4] == b"glia"
        seen += first
        if seen == number and (first if count >= 0 else len(data) == 32):
            PUT(file, data[:count])
            die()
        PUT(file, data)

    checkpoint._put = put


def at_rename(number, *, after):
    """Be killed right before or after write ``number`` takes its name."""
    seen = 0

    def replace(self, target):
        nonlocal seen
        seen += 1
        if seen == number and not after:
            die()
        done = REPLACE(self, target)
        if seen == number and after:
            die()
        return done

    Path.replace = replace


PLACES = {
    "nowhere": lambda: None,
    "the first step": lambda: at_step(0),
    "the first step after a checkpoint": lambda: at_step(6),
    "the middle of an epoch": lambda: at_step(13),
    "the last step": lambda: at_step(19),
    "the first byte of the first write": lambda: in_write(1, 0),
    "a byte of a later write": lambda: in_write(9, 100),
    "the last byte of a write": lambda: in_write(9, -1),
    "before a file gets its name": lambda: at_rename(9, after=False),
    "after a file got its name": lambda: at_rename(9, after=True),
    "the last write": lambda: in_write(24, 50),
    "after the last write": lambda: at_rename(24, after=True),
}


def forked(work):
    """Run a function in a child; return how it ended."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            warnings.simplefilter("error")
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def main(place):
    """Print what came of each fit: status when killed, files left, status of the second attempt, its result."""
    os.fsync = lambda descriptor: None  # it guards against a loss of power, not of a process, and takes long
    found = {}
    for name, arrange in PLACES.items():
        folder = place / name.replace(" ", "_") / "checkpoints"
        every = 1e-9 if "write" in name or "file" in name else 1e9

        def cut_off(arrange=arrange, folder=folder, every=every):
            arrange()
            fit(folder, every)

        first = forked(cut_off)
        left = [path.name[:6] for path in reversed(checkpoint.checkpoint_files(folder))]
        aside = len(list(folder.glob(".*")))
        second = forked(lambda folder=folder, every=every: fit(folder, every))
        third = forked(lambda folder=folder, every=every: fit(folder, every))
        result = json.loads((folder.parent / "result").read_text())
        after = sorted(path.name for path in folder.iterdir())
        found[name] = {
            "killed": first, "left": left, "aside": aside, "status": [second, third], "result": result, "after": after,
        }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
