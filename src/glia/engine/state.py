"""The state of a fit as plain JSON and named tensors: what a bit-identical continuation needs, and nothing else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from glia.engine.loop import Trainer

State = tuple[dict[str, Any], dict[str, Tensor]]
_TENSOR, _ITEMS, _FLOAT = "$tensor", "$items", "$float"


def unravel(tree: Any, tensors: dict[str, Tensor], name: str = "") -> Any:
    """Return ``tree`` as JSON data; its tensors go to ``tensors``, copied, under the names of their places.

    Dictionaries may have whole numbers as keys (torch's optimizers use them); tuples come back as lists.
    """
    if isinstance(tree, Tensor):
        tensors[name] = tree.detach().clone()
        return {_TENSOR: name}
    if isinstance(tree, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in tree):
            return {key: unravel(value, tensors, f"{name}/{key}") for key, value in tree.items()}
        return {_ITEMS: [[key, unravel(value, tensors, f"{name}/{key}")] for key, value in tree.items()]}
    if isinstance(tree, (list, tuple)):
        return [unravel(value, tensors, f"{name}/{i}") for i, value in enumerate(tree)]
    if isinstance(tree, float) and not math.isfinite(tree):
        return {_FLOAT: str(tree)}
    return tree


def ravel(data: Any, tensors: dict[str, Tensor]) -> Any:
    """Return the tree that ``unravel`` took apart."""
    if isinstance(data, dict):
        if _TENSOR in data:
            return tensors[data[_TENSOR]]
        if _FLOAT in data:
            return float(data[_FLOAT])
        if _ITEMS in data:
            return {key: ravel(value, tensors) for key, value in data[_ITEMS]}
        return {key: ravel(value, tensors) for key, value in data.items()}
    return [ravel(value, tensors) for value in data] if isinstance(data, list) else data


def capture(trainer: Trainer) -> State:
    """Return the state of a fit between two steps; the tensors are copies."""
    observing = getattr(trainer.schedule, "observe", None) is not None
    tree = {
        "network": dict(trainer.network.state_dict()),
        "optimizer": trainer.optimizer.state_dict(),
        "schedule": trainer.schedule.to_dict() if observing else None,  # type: ignore[union-attr]  # see ObservingSchedule
        "callbacks": [callback.state() for callback in trainer.callbacks],
        "history": trainer.history.to_list(),
        "random": {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()},
        "place": {name: getattr(trainer, name) for name in _PLACE},
        "total": trainer.total,
    }
    tensors: dict[str, Tensor] = {}
    return unravel(tree, tensors), tensors


_PLACE = ("epoch", "step", "batch", "rows", "piece", "rate", "seconds", "stop_reason", "events")


def restore(trainer: Trainer, state: State) -> None:
    """Put a fit back to where ``capture`` saw it. The trainer must have been made with the same settings."""
    data, tensors = state
    # An optimizer goes on with the very tensors that it is given: the state must outlive the steps that follow.
    tree = ravel(data, {name: tensor.clone() for name, tensor in tensors.items()})
    trainer.network.load_state_dict(tree["network"])
    trainer.optimizer.load_state_dict(tree["optimizer"])
    if tree["schedule"] is not None:
        trainer.schedule = type(trainer.schedule).from_dict(tree["schedule"])  # type: ignore[union-attr]  # as above
    for callback, kept in zip(trainer.callbacks, tree["callbacks"], strict=True):
        callback.restore(kept)
    trainer.history.replace(tree["history"])
    torch.set_rng_state(tree["random"]["cpu"].cpu())
    if tree["random"]["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([one.cpu() for one in tree["random"]["cuda"]])
    for name in _PLACE:
        setattr(trainer, name, tree["place"][name])
    total = tree["total"]
    trainer.total = total.to(next(trainer.network.parameters()).device) if isinstance(total, Tensor) else total
