"""Gradual unfreezing: the stages of a pretrained network join the training one after the other, from the head down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from glia.core.errors import InputError
from glia.engine.callbacks import Callback
from glia.nn.layer_order import Stage, layer_stages

if TYPE_CHECKING:
    from glia.engine.loop import Trainer


class GradualUnfreezing(Callback):
    """Freezes stages at the start of a fit and unfreezes them over its epochs (arXiv 1801.06146, section 3.3).

    The optimizer must have been made with all parameters: without a gradient they stay as they are, to the bit, and so
    do the statistics of normalisations in frozen stages. At the end every parameter requires a gradient as before.

    Parameters
    ----------
    stages : sequence of Stage, optional
        The first one joins first. By default all stages of the network but the last one, from the output to the input.
    until : float
        Share of the epochs after which all stages learn, in [0, 1]. Over these epochs stages join evenly.

    Raises
    ------
    InputError
        If ``until`` is out of range.
    """

    def __init__(self, stages: Sequence[Stage] | None = None, until: float = 0.5) -> None:
        if isinstance(until, bool) or not isinstance(until, (int, float)) or not 0 <= until <= 1:
            raise InputError("until must be in [0, 1]", f"until={until!r}")
        self.stages, self.until = None if stages is None else list(stages), until
        self.open = 0
        self._network: nn.Module | None = None
        self._order: list[Stage] = []
        self._before: dict[str, bool] = {}
        self._handles: list[RemovableHandle] = []

    def open_at(self, epoch: int, epochs: int, stages: int) -> int:
        """Return how many of the stages learn in an epoch (from 0)."""
        last = self.until * epochs
        return stages if epoch >= last else min(stages, math.floor(stages * epoch / last))

    def on_fit_start(self, trainer: Trainer) -> None:
        """Freeze what does not learn yet."""
        self._network = trainer.network
        self._order = layer_stages(trainer.network)[-2::-1] if self.stages is None else self.stages
        self._before = {name: p.requires_grad for name, p in trainer.network.named_parameters()}
        self._apply(self.open_at(trainer.epoch, trainer.epochs, len(self._order)))

    def on_epoch_end(self, trainer: Trainer, entry: dict[str, Any]) -> None:
        """Unfreeze what is to learn in the next epoch."""
        wanted = self.open_at(trainer.epoch, trainer.epochs, len(self._order))
        if wanted != self.open:
            self._apply(wanted)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Leave the network as it was."""
        for name, parameter in trainer.network.named_parameters():
            parameter.requires_grad_(self._before.get(name, parameter.requires_grad))
        self._release()
        self._network = None

    def state(self) -> dict[str, Any]:
        """Return how many stages learn."""
        return {"open": self.open}

    def restore(self, state: dict[str, Any]) -> None:
        """Freeze and unfreeze as it was then."""
        self._apply(int(state["open"]))

    def _apply(self, count: int) -> None:
        self.open = count
        network, frozen = self._network, self._order[count:]
        if network is None:
            return
        self._release()
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(self._before[name] and not any(stage.holds(name) for stage in frozen))
        for name, module in network.named_modules():
            if isinstance(module, nn.modules.batchnorm._NormBase) and any(stage.holds(name) for stage in frozen):
                # The loop puts the whole network into training mode every epoch; statistics would move with the rows.
                self._handles.append(module.register_forward_pre_hook(_evaluate))

    def _release(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []


def _evaluate(module: nn.Module, args: Any) -> None:
    module.training = False


def unfreezing_of(network: nn.Module) -> list[Callback]:
    """Return the callback that a network asks for, itself or a module within: none, or one.

    A module asks with ``unfreezing_stages()``, which returns its stages (none for no unfreezing), and ``until``.
    """
    for place, module in network.named_modules():
        asked = getattr(module, "unfreezing_stages", None)
        stages = asked() if callable(asked) else []
        if stages:
            start = f"{place}." if place else ""
            named = [Stage(tuple(start + name for name in stage.names)) for stage in stages]
            return [GradualUnfreezing(named, float(getattr(module, "until", 0.5)))]
    return []
