"""A fit that survives being killed: its state is kept while it runs, and taken up again by the same fit."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from glia.core.errors import InputError
from glia.engine.callbacks import Callback
from glia.engine.checkpoint import Checkpoint, read_checkpoint, sweep, write_checkpoint
from glia.engine.fingerprint import differences
from glia.engine.gradients import is_out_of_memory
from glia.engine.intervals import read_interval
from glia.engine.loop import GOOD_EVERY
from glia.engine.state import State

if TYPE_CHECKING:
    from glia.engine.loop import Trainer


def _silent(line: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Checkpoints:
    """Where the state of a fit is kept, and how often.

    Parameters
    ----------
    folder : path-like
        One fit's own: a second fit with other settings or data is refused.
    every : str
        ``"60s"``, ``"10min"``, ``"2h"`` or ``"5 epochs"``; the state at the end is kept in any case.
    replace : bool
        Start anew, instead of refusing, where the folder holds checkpoints of another fit.
    say : callable
        Is told, in one line, when a fit is taken up again.
    """

    folder: str | Path
    every: str = "60s"
    replace: bool = False
    say: Callable[[str], None] = field(default=_silent, repr=False, compare=False)

    def callback(self, fingerprint: Mapping[str, str]) -> Checkpointing:
        """Return the callback that does it, for a fit with this fingerprint."""
        every = read_interval(self.every)
        seconds = math.inf if every.seconds is None else every.seconds
        return Checkpointing(
            self.folder, seconds, every.epochs, fingerprint=fingerprint, replace=self.replace, say=self.say
        )


def as_checkpoints(value: Any) -> Checkpoints | None:
    """Return a folder's name or ``Checkpoints`` as the latter; ``None`` stays.

    Raises
    ------
    InputError
        If it is neither.
    """
    if value is None or isinstance(value, Checkpoints):
        return value
    if isinstance(value, (str, Path)) and str(value):
        return Checkpoints(value)
    raise InputError("checkpoint must be a folder, Checkpoints(...) or None", f"checkpoint={value!r}")


class Checkpointing(Callback):
    """Keeps the trainer's state, and begins from what is kept; the last of a trainer's callbacks.

    Parameters
    ----------
    folder : path-like
    every_seconds : float
        Above 0; infinity for never. Looked at after every step, so that long epochs are not lost.
    every_epochs : int, optional
        At least 1.
    fingerprint : mapping of str to str
        What the fit is made of; see ``glia.engine.fingerprint``.
    replace : bool
        Start anew where what is kept has another fingerprint.
    say : callable
        Is told when a fit is taken up again.
    clock : callable
        Seconds, rising.

    Notes
    -----
    The state after the last epoch is always written, so that what follows a training can be repeated without it. Where
    writing fails, training goes on, one warning says so, and the next interval tries again.
    """

    def __init__(
        self,
        folder: str | Path,
        every_seconds: float = 60.0,
        every_epochs: int | None = None,
        *,
        fingerprint: Mapping[str, str],
        replace: bool = False,
        say: Callable[[str], None] = _silent,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not every_seconds > 0 or (every_epochs is not None and every_epochs < 1):
            raise InputError(
                "the interval between checkpoints must be above 0",
                f"every_seconds={every_seconds!r}, every_epochs={every_epochs!r}",
            )
        self.folder, self.every_seconds, self.every_epochs = Path(folder), every_seconds, every_epochs
        self.fingerprint, self.replace, self.say, self._clock = dict(fingerprint), replace, say, clock
        self._due, self._epochs, self._failed = math.inf, 0, False

    def on_fit_start(self, trainer: Trainer) -> None:
        """Go on where the same fit was cut off.

        Raises
        ------
        InputError
            If the folder holds the checkpoints of another fit, or damaged ones only.
        """
        if trainer.callbacks[-1] is not self:
            raise InputError("Checkpointing must be the last callback", f"{trainer.callbacks!r}", "move it to the end")
        self._due, self._epochs, self._failed = self._clock() + self.every_seconds, 0, False
        sweep(self.folder)
        found = read_checkpoint(self.folder)
        if found is not None and self._fits(found):
            self._resume(trainer, found)

    def on_step_end(self, trainer: Trainer) -> None:
        """Write when it is time."""
        if self._clock() >= self._due:
            self._write(trainer)

    def on_epoch_end(self, trainer: Trainer, entry: dict[str, Any]) -> None:
        """Write when enough epochs have passed, and at the end."""
        self._epochs += 1
        enough = self.every_epochs is not None and self._epochs >= self.every_epochs
        if enough or trainer.stop_reason or trainer.epoch >= trainer.epochs:
            self._write(trainer)

    def _fits(self, found: Checkpoint) -> bool:
        other = differences(self.fingerprint, found.about["fingerprint"])
        if other and not self.replace:
            raise InputError(
                "checkpoints are continued by the fit that wrote them, with the same settings and data",
                f"{str(self.folder)!r} of another one: {'; '.join(other[:4])}{'; …' if len(other) > 4 else ''}",
                "give the same again, or another folder, or delete this one",
            )
        if other:
            self.say("the checkpoints of an earlier run with other settings or data will be replaced")
        return not other

    def _resume(self, trainer: Trainer, found: Checkpoint) -> None:
        written = found.about["torch"]
        if written != torch.__version__:
            warnings.warn(
                f"the checkpoint was written with torch {written}, this is {torch.__version__}: the last bits of the "
                "weights may differ from those of an unbroken run",
                stacklevel=2,
            )
        trainer.restore(found.state)
        if found.good is not None:  # copied, or the memory of the whole file would be kept for as long as this part
            trainer.good = found.good[0], {name: value.clone() for name, value in found.good[1].items()}
        for path in found.damaged:
            with suppress(OSError):
                path.unlink()
        if trainer.stop_reason or trainer.epoch >= trainer.epochs:
            self.say(f"the training was done already ({trainer.epoch} epochs)")
            return
        trainer.events.append({"event": "resumed", "epoch": trainer.epoch + 1, "step": trainer.step})
        self.say(f"going on in epoch {trainer.epoch + 1} of {trainer.epochs}, where a run was cut off")

    def _write(self, trainer: Trainer) -> None:
        about = {"fingerprint": self.fingerprint, "epoch": trainer.epoch, "epochs": trainer.epochs}
        try:
            state = trainer.state()
            good = None if _replaces(state, trainer.good) else trainer.good
            write_checkpoint(self.folder, state, good=good, about=about)
        except (OSError, ValueError, TypeError, RuntimeError, MemoryError) as error:
            if isinstance(error, RuntimeError) and not is_out_of_memory(error):
                raise
            self._tell(error)
        self._due, self._epochs = self._clock() + self.every_seconds, 0

    def _tell(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            reason = getattr(error, "strerror", None) or str(error)
            warnings.warn(
                f"no checkpoint could be written to {self.folder} ({reason}): training goes on and tries again",
                stacklevel=2,
            )


def _replaces(state: State, good: State | None) -> bool:
    """Whether a trainer that goes on from ``state`` will take that for the good one, to which it would roll back."""
    now = state[0]["place"]
    return good is None or (now["batch"] == 0 and now["step"] - good[0]["place"]["step"] >= GOOD_EVERY)
