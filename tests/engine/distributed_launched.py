"""Work for launched workers, importable by name as the elastic agent wants it."""

import os
import signal
import sys
from pathlib import Path

import torch
from distributed_cases import Case, dense, rows

from glia.core.errors import GliaError, InputError
from glia.engine.callbacks import Callback
from glia.engine.checkpointing import Checkpoints
from glia.engine.distributed.joined import joined
from glia.engine.distributed.place import place
from glia.engine.distributed.workers import group, speaks
from glia.engine.loop import Trainer
from glia.engine.optimizers import make_optimizer


class Killer(Callback):
    """Kills this process with ``signal`` at one step of its first life."""

    def __init__(self, rank, step):
        self.rank, self.step = rank, step

    def on_step_end(self, trainer):
        here = place()
        if (here.rank, here.restarts, trainer.step) == (self.rank, 0, self.step):
            os.kill(os.getpid(), signal.SIGKILL)


def fit(folder, how, killed):
    """Fit with a checkpoint at every step, and keep the weights that come out the first time."""
    net = dense(dropout=0.3)
    callbacks = [Killer(*killed), Checkpoints(folder / "checkpoints", "0.000001s").callback({"fit": "this"})]
    trainer = Trainer(
        net, Case.loss, make_optimizer("adam", net, 0.01), epochs=4, batch_size=8, random_state=5, callbacks=callbacks
    )
    with joined(trainer, rows(), rows(11, seed=2), how) as (train, valid):
        trainer.fit(train, valid)
    kept = folder / f"{place().rank}.pt"
    if not kept.exists():
        figures = trainer.history["valid/loss"]
        torch.save({"weights": net.state_dict(), "figures": figures, "restarts": place().restarts}, kept)


def fit_twice(folder, hows, rank, step):
    """Fit without trouble and then again, where worker ``rank`` is killed in step ``step``, in each of several ways."""
    with group():
        for i, how in enumerate(hows):
            fit(Path(folder) / f"{i} whole", how, (-1, 0))
            fit(Path(folder) / f"{i} killed", how, (rank, step))
    return 0


def complain(folder, ranks):
    """Do what the command line does with an error of some workers, while the others train."""
    try:
        with group() as here:
            if here.rank in ranks:
                raise InputError("a table must have rows", "none")
            Case(epochs=2000).run()
    except GliaError as error:
        if speaks(error):
            print(f"SAID {error}", file=sys.stderr, flush=True)
        return 2
    return 0


def train_long(folder):
    """Train until Ctrl-C comes; say after how many steps it was obeyed."""

    class Begun(Callback):
        def on_step_end(self, trainer):
            if trainer.step == 5:
                (Path(folder) / f"begun {place().rank}").touch()

    net = dense()
    with group():
        trainer = Trainer(
            net, Case.loss, make_optimizer("adam", net, 0.01), epochs=10**6, batch_size=8, callbacks=[Begun()]
        )
        with joined(trainer, rows()) as (train, valid):
            trainer.fit(train, valid)
    (Path(folder) / f"{place().rank}.txt").write_text(f"{trainer.stop_reason} {trainer.step}")
    return 130 if trainer.stop_reason == "interrupted" else 0


def die(folder, restarts):
    """Be killed in every life."""
    os.kill(os.getpid(), signal.SIGKILL)
    return 0
