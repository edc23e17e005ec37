"""Grad-CAM: where in an image a convolution's channels speak for an output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glia.core.errors import InputError, near
from glia.core.protocols import Predictor
from glia.explain.attribution import AttributionResult
from glia.explain.entry import Entry, opened
from glia.explain.finish import Parts, finish
from glia.explain.methods import methods

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


@methods.register("grad_cam")
def grad_cam(
    predictor: Predictor,
    X: Any,
    *,
    layer: str | nn.Module | None = None,
    output: int | str | Sequence[int | str] | None = None,
    positive: bool = True,
    batch_rows: int = 256,
) -> AttributionResult:
    """Return a heat map of the places that speak for an output.

    Parameters
    ----------
    predictor : Predictor
        Of images (N, channels, height, width), series (N, channels, length) or volumes.
    X : rows
        Whatever the predictor takes.
    layer : str or nn.Module, optional
        A module of the network, by name or itself, whose output has channels and places; by default the last
        convolution.
    output : int, str or sequence of them, optional
        The outputs to explain; all by default.
    positive : bool
        Only what speaks for the output, as in the source; otherwise also what speaks against it.
    batch_rows : int
        Rows in memory at a time.

    Returns
    -------
    AttributionResult
        Values shaped like the rows; the channels share each place's value equally, so that their sum is the map.

    Raises
    ------
    InputError
        If there is no such layer, it does not run exactly once, or its output has no places.

    Notes
    -----
    Map = max(0, Σ_k α_k A_k), α_k the mean gradient of channel k; brought to the rows' size by (bi-, tri-)linear
    interpolation. Source: Selvaraju et al., arXiv 1610.02391.
    """
    found = Parts()
    name, module = _layer(predictor.network_, layer)
    with opened(predictor, X, output) as entry:
        for part in torch.split(entry.subject.x, batch_rows):
            maps, outputs = _maps(entry, module, name, part, positive)
            found.values.append(torch.stack(maps, dim=-1).double().cpu().numpy())
            found.outputs.append(outputs.double().cpu().numpy())
        return finish(entry, "grad_cam", found, {"layer": name, "positive": positive})


def _layer(network: nn.Module, layer: str | nn.Module | None) -> tuple[str, nn.Module]:
    named = dict(network.named_modules())
    if isinstance(layer, str):
        if layer not in named:
            raise InputError("layer must be a module of the network", repr(layer), near(layer, named))
        return layer, named[layer]
    if layer is not None:
        for name, module in named.items():
            if module is layer:
                return name, module
        raise InputError("layer must be a module of the network", type(layer).__name__, "choose one of its own")
    found = [(name, module) for name, module in named.items() if isinstance(module, _CONVOLUTIONS)]
    if not found:
        raise InputError("Grad-CAM needs a convolution", type(network).__name__, "hand in layer=, or use saliency")
    return found[-1]


def _maps(entry: Entry, module: nn.Module, name: str, x: Tensor, positive: bool) -> tuple[list[Tensor], Tensor]:
    seen: list[Tensor] = []

    def keep(layer: nn.Module, args: Any, result: Tensor) -> Tensor:
        leaf = result.detach().clone().requires_grad_()
        seen.append(leaf)
        return leaf.clone()  # what follows may work in place

    handle = module.register_forward_hook(keep)
    try:
        scores = entry.score_rows(x.detach().clone())
    finally:
        handle.remove()
    axes = x.dim() - 2
    if len(seen) != 1 or seen[0].dim() != x.dim() or axes not in _MODES:
        shapes = [tuple(t.shape) for t in seen]
        raise InputError(
            "the layer must run once and give (rows, channels, places) like the rows",
            f"{name}: {shapes} for rows {tuple(x.shape)}",
            "choose a convolution",
        )
    if not scores.requires_grad:
        raise InputError("the outputs must depend on the layer", name, "choose another layer")
    maps = []
    for o in range(scores.shape[1]):
        (grad,) = torch.autograd.grad(scores[:, o].sum(), seen[0], retain_graph=o + 1 < scores.shape[1])
        weight = grad.flatten(2).mean(2).reshape(*grad.shape[:2], *[1] * axes)
        heat = (weight * seen[0].detach()).sum(1, keepdim=True)  # (B, 1, *places)
        heat = F.interpolate(
            heat.clamp(min=0) if positive else heat, x.shape[2:], mode=_MODES[axes], align_corners=False
        )
        maps.append(heat.expand_as(x) / x.shape[1])
    return maps, scores.detach()
