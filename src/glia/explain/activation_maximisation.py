"""Activation maximisation: the input, within bounds, at which a unit is most active."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from glia.core.errors import InputError, near
from glia.core.protocols import Predictor
from glia.core.results import Result, Table
from glia.core.seeds import torch_rng
from glia.explain.layers import run_with_layer, unit_graph
from glia.explain.plots.look import DOWN, SHOWN, UP, bare, new_axes, shorten
from glia.explain.subject import Floats, Subject, subject
from glia.nn.modes import evaluating

BOUNDS = ("ball", "box")


@dataclass(frozen=True)
class ActivationMaximisationResult(Result):
    """Inputs at which a unit is most active.

    Parameters
    ----------
    inputs : ndarray of shape (S, *shape)
        Prepared inputs from S starts, the most active first.
    values : ndarray of shape (S,)
        The unit's activation there.
    centre : ndarray of shape (*shape,)
        The mean of the rows.
    best_row : int
        The row at which it is most active, and
    best_value : float
        how active.
    unit : str
        The output, or the layer and the unit.
    bound : str
        Where was looked, in words.
    names : tuple of str
        Prepared features; empty where rows are no vectors.
    """

    inputs: Floats
    values: Floats
    centre: Floats
    best_row: int
    best_value: float
    unit: str
    bound: str
    names: tuple[str, ...]

    @property
    def spread(self) -> float:
        """How alike the starts end: mean distance from the best input, relative to its distance from the centre."""
        size = float(np.linalg.norm(self.inputs[0] - self.centre)) or 1.0
        away = np.linalg.norm((self.inputs - self.inputs[0]).reshape(len(self.inputs), -1), axis=1)
        return float(away[1:].mean() / size) if len(away) > 1 else 0.0

    def summary(self) -> str:
        """Return how active the unit can be, against the rows."""
        said = (
            f"{self.unit} reaches {self.values[0]:.3g} {self.bound}; of the rows, row {self.best_row} comes nearest "
            f"({self.best_value:.3g})."
        )
        return said + (" Starts end far apart: there are several such inputs." if self.spread > 0.5 else "")

    def tables(self) -> list[Table]:
        """Return how the best input differs from the mean row, where rows are tables."""
        if not self.names:
            return []
        moves = self.inputs[0] - self.centre
        order = np.argsort(-np.abs(moves), kind="stable")[:SHOWN]
        rows = tuple((self.names[i], float(self.inputs[0][i]), float(moves[i])) for i in order)
        return [Table(f"Input that {self.unit} likes best", ("prepared feature", "value", "from the mean"), rows)]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``input``: bars of features, or an image."""
        return {"input": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        if self.names:
            moves = self.inputs[0] - self.centre
            order = np.argsort(-np.abs(moves), kind="stable")[:SHOWN]
            heights = np.arange(len(order))[::-1]
            ax = new_axes(ax, 1.2 + 0.3 * len(order))
            ax.barh(heights, moves[order], color=[UP if m > 0 else DOWN for m in moves[order]], height=0.7)
            ax.set_yticks(heights, [shorten(self.names[i]) for i in order])
            ax.set_xlabel("from the mean row, in prepared units")
            ax.set_title(f"What {shorten(self.unit)} likes best", loc="left")
            return bare(ax)
        ax = new_axes(ax, 4.4, 4.8)
        image = self.inputs[0]
        image = np.moveaxis(image, 0, -1) if image.ndim == 3 and image.shape[0] in (1, 3) else image
        image = image.mean(axis=0) if image.ndim == 3 and image.shape[-1] not in (1, 3) else image
        low, high = float(image.min()), float(image.max())
        ax.imshow((np.atleast_2d(image.squeeze()) - low) / ((high - low) or 1.0), cmap="viridis")
        ax.set_axis_off()
        ax.set_title(f"What {shorten(self.unit)} likes best", loc="left")
        return ax


def activation_maximisation(
    predictor: Predictor,
    X: Any,
    *,
    output: int | str = 0,
    layer: str | None = None,
    unit: int = 0,
    within: str = "ball",
    radius: float | None = None,
    smooth: float = 0.0,
    starts: int = 4,
    steps: int = 200,
    random_state: int = 0,
) -> ActivationMaximisationResult:
    """Climb to inputs at which an output, or a unit of a layer, is most active.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        Rows of the kind: where was looked is measured from them.
    output : int or str
        The output, where no layer is given.
    layer : str, optional
        Path of a module; ``unit`` counts its second axis (units, channels), over whose places the mean is taken.
    unit : int
    within : {"ball", "box"}
        Around the mean row, as far as ``radius``; or between the least and the largest value of each prepared position.
    radius : float, optional
        > 0; by default the mean distance of the rows from their mean.
    smooth : float
        Weight of the mean absolute difference of neighbouring places of images, ≥ 0.
    starts, steps : int
        Starts: the best row, then rows by chance; steps of each.
    random_state : int
        Seed of the starts.

    Returns
    -------
    ActivationMaximisationResult

    Raises
    ------
    InputError
        If inputs cannot be moved (codes of categories alone), or there is no such unit.

    Notes
    -----
    Erhan, Bengio, Courville and Vincent (2009); Simonyan, Vedaldi and Zisserman, arXiv 1312.6034. Steps go along the
    gradient's direction, ever shorter, and are put back into the bounds. Codes of categories stay those of the start;
    one-hot columns take values between 0 and 1 that no row has.
    """
    if within not in BOUNDS:
        raise InputError("within must be 'ball' or 'box'", repr(within), near(within, BOUNDS))
    if (radius is not None and radius <= 0) or smooth < 0 or starts < 1 or steps < 1:
        raise InputError(
            "radius must be above 0, smooth at least 0, starts and steps at least 1", f"{radius}, {smooth}"
        )
    with evaluating(predictor.network_):
        seen = subject(predictor, X, output=None if layer else output)
    codes = list(seen.layout.indices("code"))
    if not seen.x.is_floating_point() or len(codes) == seen.x[0].numel():
        raise InputError("inputs must be numbers that can be moved", "codes of categories", "choose another network")
    value = _value(predictor, seen, layer, unit)
    fixed = torch.zeros(seen.x[0].numel(), dtype=torch.bool)
    fixed[codes] = True
    fixed = fixed.reshape(seen.x.shape[1:]).to(seen.x.device)
    with unit_graph(predictor):
        with torch.no_grad():
            active = torch.cat([value(part) for part in torch.split(seen.x, 256)])
        centre = seen.x.mean(dim=0)
        far = (seen.x - centre).masked_fill(fixed, 0.0).flatten(1).norm(dim=1)
        reach = float(far.mean()) or 1.0 if radius is None else radius
        best = int(active.argmax())
        others = torch.randperm(len(seen.x), generator=torch_rng(random_state, "starts"))[: starts - 1]
        x = seen.x[[best, *others.tolist()]].detach().clone()
        limits = (seen.x.amin(dim=0), seen.x.amax(dim=0)) if within == "box" else None
        ended, reached = _climb(value, x, centre, reach, limits, fixed, smooth, steps)
    order = reached.argsort(descending=True)
    return ActivationMaximisationResult(
        ended[order].double().cpu().numpy(),
        reached[order].double().cpu().numpy(),
        centre.double().cpu().numpy(),
        best,
        float(active[best]),
        f"unit {unit} of {layer}" if layer else seen.output_names[0],
        f"within {reach:.3g} of the mean row" if limits is None else "within what rows have",
        tuple(f.name for f in seen.layout.features) if seen.x.ndim == 2 else (),
    )


def _value(predictor: Predictor, seen: Subject, layer: str | None, unit: int) -> Callable[[Tensor], Tensor]:
    """Return (B, *shape) → the unit's activation, (B,)."""
    if layer is None:
        return lambda x: seen.score(x)[:, 0]

    def of_layer(x: Tensor) -> Tensor:
        _, out = run_with_layer(predictor, x, str(layer))
        out = out.reshape(len(x), -1) if out.ndim < 3 else out.flatten(2).mean(dim=2)
        if not -out.shape[1] <= unit < out.shape[1]:
            raise InputError("the unit must be one of the layer's", f"unit={unit}", f"{layer} has {out.shape[1]}")
        return out[:, unit]

    return of_layer


def _climb(
    value: Callable[[Tensor], Tensor],
    x: Tensor,
    centre: Tensor,
    reach: float,
    limits: tuple[Tensor, Tensor] | None,
    fixed: Tensor,
    smooth: float,
    steps: int,
) -> tuple[Tensor, Tensor]:
    """Return where each start was most active, (S, *shape), and how active, (S,)."""

    def inside(x: Tensor) -> Tensor:
        if limits is not None:
            return torch.minimum(torch.maximum(x, limits[0]), limits[1])
        away = (x - centre).masked_fill(fixed, 0.0)
        size = away.flatten(1).norm(dim=1).clamp_min(1e-12).reshape(-1, *[1] * (x.ndim - 1))
        return torch.where(fixed, x, centre + away * (reach / size).clamp_max(1.0))

    x = inside(x)
    best = x.clone()
    most = torch.full((len(x),), -torch.inf, device=x.device, dtype=x.dtype)
    reached = most.clone()
    for step in range(steps + 1):
        x = x.detach().requires_grad_(True)
        active = value(x)
        aim = active - smooth * _roughness(x) if smooth else active
        better = aim.detach() > most
        most = torch.where(better, aim.detach(), most)
        reached = torch.where(better, active.detach(), reached)
        best = torch.where(better.reshape(-1, *[1] * (x.ndim - 1)), x.detach(), best)
        if step == steps:
            break
        if not aim.requires_grad:
            raise InputError(
                "the unit must depend on the input in a way that can be differentiated", "one that does not"
            )
        (slope,) = torch.autograd.grad(aim.sum(), x)
        slope = slope.masked_fill(fixed, 0.0)
        size = slope.flatten(1).norm(dim=1).clamp_min(1e-12).reshape(-1, *[1] * (x.ndim - 1))
        x = inside(x.detach() + slope / size * reach * 0.2 * (1 - step / steps))
    return best, reached


def _roughness(x: Tensor) -> Tensor:
    """Return the mean absolute difference of neighbours along the last two axes, (B,)."""
    parts = [x.diff(dim=axis).abs().flatten(1).mean(dim=1) for axis in range(max(1, x.ndim - 2), x.ndim)]
    return torch.stack(parts).mean(dim=0)
