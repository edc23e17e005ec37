"""Dead and saturated units: those that pass no gradient on, by the local derivative of their activation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glia.diagnose.layers import LayerPass, as_units
from glia.nn.activations import is_activation, local_derivative

DEAD_SLOPE, FLAT_SLOPE = 1e-6, 0.05
"""Below these shares of its activation's steepest slope a unit is dead, and its value saturated (tanh: |z| > 2.2)."""
_REACH = 12.0


@dataclass(frozen=True)
class LayerUnits:
    """Units behind one activation.

    Parameters
    ----------
    layer, kind : str
        Path in the network and class of the activation.
    units : int
        Values per row, or channels.
    dead : float
        Share of the units whose slope is 0 on every row: they learn nothing from these rows.
    saturated : float
        Share of all values (rows × units) where an activation that is bounded on both sides is nearly flat; 0 for other
        activations.
    bounded : bool
        Whether the activation is bounded on both sides.
    """

    layer: str
    kind: str
    units: int
    dead: float
    saturated: float
    bounded: bool


def unit_health(layers: tuple[LayerPass, ...]) -> tuple[LayerUnits, ...]:
    """Return dead and saturated shares of every activation that runs as a module.

    An activation that is called as a function (``torch.relu(x)``) is seen where its values reach a layer with weights:
    units that are exactly 0 on every row are dead; saturation is not seen there.
    """
    found = []
    behind_activation = False
    for place, layer in enumerate(layers):
        module, z = layer.module, layer.input
        if is_activation(module) and not isinstance(module, (nn.Identity, *_ACROSS)):
            behind_activation = True
            if z is not None and z.is_floating_point():
                found.append(_of_activation(layer, z))
        elif isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            if place and z is not None and not behind_activation and float(z.min()) >= 0:
                silent = (as_units(z, module) == 0).all(dim=0)
                kind = "before " + type(module).__name__
                found.append(LayerUnits(layer.name, kind, len(silent), float(silent.double().mean()), 0.0, False))
            behind_activation = False
    return tuple(found)


_ACROSS = (nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d)


def _of_activation(layer: LayerPass, z: Tensor) -> LayerUnits:
    module = layer.module
    steepest, bounded = shape_of(module)
    share = local_derivative(module, z).abs() / steepest
    units = as_units(share)
    dead = (units <= DEAD_SLOPE).all(dim=0) if not bounded else torch.zeros(units.shape[1], dtype=torch.bool)
    flat = float((units < FLAT_SLOPE).double().mean()) if bounded else 0.0
    return LayerUnits(layer.name, type(module).__name__, units.shape[1], float(dead.double().mean()), flat, bounded)


def shape_of(module: nn.Module) -> tuple[float, bool]:
    """Return an activation's steepest slope and whether it is bounded on both sides, both measured."""
    weight = next(module.parameters(), None)
    like = torch.zeros(1) if weight is None else weight.detach()
    grid = torch.linspace(-_REACH, _REACH, 2401).to(like).unsqueeze(1).repeat(1, like.numel())
    slope = local_derivative(module, grid).abs()
    with torch.no_grad():
        far = module.forward(torch.tensor([[-1e3], [1e3]]).to(like).repeat(1, like.numel()))
    return max(float(slope.max()), 1e-12), bool((far.abs() < 100).all())
