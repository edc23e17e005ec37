"""Weights, gradients and optimizer in parts, one on each worker: torch's fully sharded data parallel (FSDP2)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from glia.engine.distributed.gradient import LossMessage, scaled_backward
from glia.engine.distributed.interrupts import Interrupts
from glia.engine.distributed.sharding import Part
from glia.engine.gradients import Autograd, Gradient
from glia.objectives.penalties import penalised_parameters

if TYPE_CHECKING:
    from glia.engine.loop import Trainer

LAYER_FROM = 100_000
"""Parameters from which a layer is gathered by itself; smaller ones are gathered together, in one message."""


class ShardedParameters:
    """Lets a trainer train a network of which every worker holds a part of each weight.

    A layer's weights are gathered just before they are needed and let go afterwards; gradients are summed straight into
    the parts. The given network holds no weights meanwhile, and the trained ones after ``close``.

    Parameters
    ----------
    trainer : Trainer
    part : Part
        How much of the mini-batch is this worker's.
    interrupts : Interrupts
    """

    def __init__(self, trainer: Trainer, part: Part, interrupts: Interrupts) -> None:
        self._trainer, self._whole, self._part = trainer, trainer.network, part
        device = next(self._whole.parameters()).device
        self.mesh = init_device_mesh(device.type, (dist.get_world_size(),))
        self.network = copy.deepcopy(self._whole)
        for layer in layers(self.network):
            fully_shard(layer, mesh=self.mesh)
        fully_shard(self.network, mesh=self.mesh)
        self._autograd = Autograd(self.network, trainer.loss, bfloat16=trainer.precision == "bfloat16")
        self._loss = LossMessage(interrupts, device)
        parameters = sum(p.numel() * p.element_size() for p in self.network.parameters())
        # Gathered for the forward pass, again for the backward pass, and reduced: each about one network's size.
        self.sent = 3 * parameters // dist.get_world_size() + self._loss.bytes
        move(trainer, self.network, self.mesh)
        self._freed = [p for p in self._whole.parameters() if p.untyped_storage().resizable()]
        for p in self._freed:
            p.untyped_storage().resize_(0)

    @property
    def factor(self) -> float:
        """One over the workers: torch averages, and the loss of each is scaled to suit."""
        return 1.0 / dist.get_world_size()

    @property
    def settled(self) -> bool:
        """The state is that of all workers together after every step."""
        return True

    def gradient(self, own: Gradient) -> Gradient:
        """Return what goes through the sharded network."""
        return self._gradient

    def _gradient(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """Compute this worker's part of the whole mini-batch's gradients; return the mean loss of its rows."""
        return scaled_backward(self.network, self._autograd, self._loss, self._part, (x, y, weight))

    def combine(self, loss: Tensor) -> float | Tensor:
        """Return the whole mini-batch's loss, which has been on its way."""
        return self._loss.receive()

    def epoch_total(self, total: float | Tensor) -> float | Tensor:
        """Return the total: it is that of all workers."""
        return total

    @torch.no_grad()
    def close(self) -> None:
        """Put the weights, whole, into the given network and give the trainer back to it."""
        for p in self._freed:
            needed = (int(p.storage_offset()) + p.numel()) * p.element_size()
            p.untyped_storage().resize_(max(needed, p.untyped_storage().nbytes()))
        trained = {name: whole(value) for name, value in self.network.state_dict().items()}
        self._whole.load_state_dict(trained)
        move(self._trainer, self._whole, None)


def layers(network: nn.Module) -> list[nn.Module]:
    """Return the parts of a network that are gathered one by one: its large children, those of lists apart."""
    found = []
    for child in network.children():
        if isinstance(child, (nn.Sequential, nn.ModuleList)):
            found += layers(child)
        elif sum(p.numel() for p in child.parameters()) >= LAYER_FROM:
            found.append(child)
    return found


def whole(value: Any) -> Any:
    """Return a tensor with all its parts; called by all workers together."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def part_of(value: Tensor, mesh: DeviceMesh) -> DTensor:
    """Return this worker's part of a tensor that all workers hold, cut along its first axis as FSDP does."""
    return distribute_tensor(value, mesh, [Shard(0)], src_data_rank=None)


@torch.no_grad()
def move(trainer: Trainer, network: nn.Module, mesh: DeviceMesh | None) -> None:
    """Let a trainer and its optimizer work on the parameters of another form of its network, name by name."""
    new = dict(network.named_parameters())
    by_old: dict[Any, Any] = {old: new[name] for name, old in trainer.network.named_parameters()}
    optimizer = trainer.optimizer
    states: dict[Any, Any] = dict(optimizer.state)
    optimizer.state.clear()
    for group in optimizer.param_groups:
        group["params"] = [by_old[p] for p in group["params"]]
    for old, state in states.items():
        optimizer.state[by_old[old]] = {name: _moved(value, old, mesh) for name, value in state.items()}
    trainer.network = network
    trainer._parameters = [p for p in network.parameters() if p.requires_grad]
    trainer._penalised = penalised_parameters(network) if trainer.penalties else []


def _moved(value: Any, parameter: Tensor, mesh: DeviceMesh | None) -> Any:
    if mesh is None:
        return whole(value)
    if isinstance(value, Tensor) and value.ndim and value.shape == parameter.shape:
        return cast(Tensor, part_of(value, mesh))
    return value
