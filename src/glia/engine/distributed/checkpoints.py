"""Checkpoints of a fit by several workers: worker 0 keeps them, and all workers start from what it has read."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch.distributed as dist
from torch import Tensor

from glia.engine.callbacks import Callback
from glia.engine.checkpoint import Checkpoint
from glia.engine.checkpointing import Checkpointing
from glia.engine.distributed.gradient import Exchange
from glia.engine.distributed.sharded_parameters import ShardedParameters, part_of, whole
from glia.engine.state import State

if TYPE_CHECKING:
    from glia.engine.loop import Trainer


def shared(callback: Callback, exchange: Exchange) -> Callback:
    """Return what takes a callback's place on this worker; only one that keeps checkpoints is replaced."""
    if not isinstance(callback, Checkpointing):
        return callback
    settings = {
        "folder": callback.folder, "every_seconds": callback.every_seconds, "every_epochs": callback.every_epochs,
        "fingerprint": callback.fingerprint, "replace": callback.replace, "say": callback.say,
    }  # fmt: skip
    if isinstance(exchange, ShardedParameters):
        return FromParts(exchange, settings)
    return Settled(exchange, settings) if dist.get_rank() == 0 else Callback()


class Settled(Checkpointing):
    """Keeps worker 0's state when it is that of all workers.

    Parameters
    ----------
    exchange : Exchange
    settings : dict
        Of ``Checkpointing``.
    """

    def __init__(self, exchange: Exchange, settings: dict[str, Any]) -> None:
        super().__init__(**settings)
        self._exchange = exchange

    def on_step_end(self, trainer: Trainer) -> None:
        """Write when it is time and the workers agree."""
        if self._exchange.settled:
            super().on_step_end(trainer)


class FromParts(Checkpointing):
    """Gathers the parts of sharded parameters at the end of an epoch; worker 0 writes them, and any number may resume.

    Parameters
    ----------
    exchange : ShardedParameters
    settings : dict
        Of ``Checkpointing``; seconds are looked at when an epoch ends, since all workers must gather together.
    """

    def __init__(self, exchange: ShardedParameters, settings: dict[str, Any]) -> None:
        super().__init__(**settings)
        self._exchange, self._found = exchange, list[Checkpoint | None]([None])

    def on_fit_start(self, trainer: Trainer) -> None:
        """Read on worker 0, and start all workers from that."""
        self._found = [None]
        if dist.get_rank() == 0:
            super().on_fit_start(trainer)
        dist.broadcast_object_list(self._found, src=0)
        found = self._found[0]
        if found is not None:
            good = None if found.good is None else self._parts(trainer, found.good)
            super()._resume(trainer, replace(found, state=self._parts(trainer, found.state), good=good))

    def on_step_end(self, trainer: Trainer) -> None:
        """Wait for the epoch's end."""

    def on_epoch_end(self, trainer: Trainer, entry: dict[str, Any]) -> None:
        """Write when worker 0 finds it is time, or the fit ends."""
        due = [self._clock() >= self._due]
        dist.broadcast_object_list(due, src=0)
        if due[0]:
            self._write(trainer)
        else:
            super().on_epoch_end(trainer, entry)

    def _resume(self, trainer: Any, found: Checkpoint) -> None:
        self._found = [found]

    def _write(self, trainer: Any) -> None:
        state, good = _gathered(trainer.state()), getattr(trainer, "good", None)
        good = None if good is None else _gathered(good)
        if dist.get_rank() == 0:
            held = SimpleNamespace(state=lambda: state, good=good, epoch=trainer.epoch, epochs=trainer.epochs)
            super()._write(held)  # type: ignore[arg-type]  # all that it looks at
        else:
            self._due, self._epochs = self._clock() + self.every_seconds, 0

    def _parts(self, trainer: Trainer, state: State) -> State:
        data, tensors = state
        return data, {name: self._part(trainer, name, value) for name, value in tensors.items()}

    def _part(self, trainer: Trainer, name: str, value: Tensor) -> Tensor:
        """Cut what belongs to a parameter: its weights, also as best weights, and its moments."""
        if not value.ndim:
            return value
        own = dict(trainer.network.named_parameters())
        listed = [p for group in trainer.optimizer.param_groups for p in group["params"]]
        kind, _, rest = name.lstrip("/").partition("/")
        if kind == "optimizer":
            number = next((int(word) for word in rest.split("/") if word.isdigit()), -1)
            like = listed[number] if 0 <= number < len(listed) else None
        else:
            like = own.get(name.rpartition("/")[2])
        return part_of(value, self._exchange.mesh) if like is not None and like.shape == value.shape else value


def _gathered(state: State) -> State:
    data, tensors = state
    return data, {name: whole(value) for name, value in tensors.items()}
