"""Any module as a maker of features: what comes before its last linear layer, or out of a layer by name."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from glia.core.errors import InputError, near
from glia.core.layout import Layout
from glia.nn.hooks import first_tensor, watching
from glia.nn.modes import evaluating


class _Reached(Exception):
    """The layer that is wanted has answered: what comes after it need not run."""


class ModuleFeatures(nn.Module):
    """Features of a module, one vector for each row.

    Parameters
    ----------
    module : nn.Module
        Run as it is; weights are shared, not copied.
    layer : str, optional
        Dotted name of the layer whose output is taken; by default the module's own.

    Notes
    -----
    **Shape**: (B, *shape) → (B, D). Maps (B, C, H, W) are averaged over their positions, sequences (B, T, D) over their
    steps; where rows are sequences with a mask as last channel, over the real steps.
    """

    def __init__(self, module: nn.Module, layer: str = "") -> None:
        super().__init__()
        self.module, self.layer = module, layer

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, D)."""
        return pooled_features(self._run(x), x)

    def _run(self, x: Tensor) -> Any:
        if not self.layer:
            return self.module(x)
        kept: list[Any] = []

        def take(module: nn.Module, args: Any, output: Any) -> None:
            kept.append(output)
            raise _Reached

        handle = self.module.get_submodule(self.layer).register_forward_hook(take)
        try:
            self.module(x)
        except _Reached:
            return kept[0]
        finally:
            handle.remove()
        raise InputError("the layer of features must run", f"layer={self.layer!r}", "name one that every row comes by")

    def extra_repr(self) -> str:
        """Return what settings there are."""
        return f"layer={self.layer!r}" if self.layer else ""


def pooled_features(output: Any, x: Tensor) -> Tensor:
    """Return one vector (B, D) for each row of a layer's output: maps and sequences are averaged.

    Raises
    ------
    InputError
        If there is no tensor with two axes or more.
    """
    found = first_tensor(output)
    if found is None or found.ndim < 2:
        got = "no tensor" if found is None else f"a tensor of shape {tuple(found.shape)}"
        raise InputError("features must be a tensor with a row for each input row", got, "name another layer")
    if found.ndim == 3:
        steps = x.ndim == 3 and x.shape[:2] == found.shape[:2]
        mask = x[..., -1] > 0.5 if steps else torch.ones(found.shape[:2], dtype=torch.bool, device=found.device)
        return masked_mean(found, mask)
    return found.flatten(2).mean(2) if found.ndim > 3 else found


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of states (B, T, D) over the steps where ``mask`` (B, T) is True, (B, D); 0 without any."""
    kept = mask.unsqueeze(-1)
    return states.masked_fill(~kept, 0.0).sum(1) / kept.sum(1).clamp_min(1)


def module_features(source: nn.Module, layout: Layout, layer: str | None = None) -> ModuleFeatures:
    """Return the features of a copy of a module.

    Parameters
    ----------
    source : nn.Module
        Copied; takes rows (B, *layout.shape).
    layout : Layout
    layer : str, optional
        By default what comes into the linear layer that runs last.

    Raises
    ------
    InputError
        If the module does not take the rows, the layer is unknown, or there is no linear layer.
    """
    module = copy.deepcopy(source)
    if layer is not None:
        names = [name for name, _ in module.named_modules() if name]
        if layer not in names:
            raise InputError(f"layer must be one of {type(source).__name__}", f"{layer!r}", near(layer, names))
        return ModuleFeatures(module, layer)
    last = _last_linear(module, layout)
    if not last:
        return ModuleFeatures(nn.Identity())
    parent, _, name = last.rpartition(".")
    setattr(module.get_submodule(parent), name, nn.Identity())
    return ModuleFeatures(module)


def _last_linear(module: nn.Module, layout: Layout) -> str:
    ran: list[str] = []

    def note(name: str, layer: nn.Module, x: Tensor | None, output: Tensor | None) -> None:
        if type(layer) is nn.Linear:
            ran.append(name)

    sample = next((p for p in module.parameters()), torch.zeros(()))
    rows = torch.zeros(2, *layout.shape, device=sample.device, dtype=sample.dtype)
    try:
        with evaluating(module), torch.no_grad(), watching(module, note):
            module(rows)
    except Exception as error:
        detail = (str(error).strip().splitlines() or [""])[0]
        got = f"{type(error).__name__} from {type(module).__name__}: {detail}"
        must = f"a backbone must take rows of shape {tuple(layout.shape)}"
        raise InputError(must, got, "mind size and channels of the rows") from error
    if not ran:
        got = f"{type(module).__name__} without any"
        raise InputError("a backbone needs a linear layer to cut off, or layer=", got, "name the layer of its features")
    return "" if ran[-1] == "network" and isinstance(module, nn.Linear) else ran[-1]
