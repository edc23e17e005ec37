"""Watch the layers of a network while it trains, for at most a stated share of the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.results import Result, Table
from glia.diagnose.layers import as_units
from glia.diagnose.units import DEAD_SLOPE, FLAT_SLOPE, shape_of
from glia.diagnose.update_ratios import moved, weights_of
from glia.engine.callbacks import Callback
from glia.nn.activations import is_activation, local_derivative
from glia.nn.hooks import watching
from glia.nn.modes import evaluating

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from glia.engine.loop import Trainer


@dataclass(frozen=True)
class Moment:
    """Figures of one layer at one step.

    Parameters
    ----------
    step : int
        Optimizer steps that were done.
    layer : str
    weight_norm, gradient_norm, update : float or None
        Norms of the weight matrix and of its (clipped) gradient, and ‖Δw‖ / ‖w‖ of the step after; ``None`` for layers
        without weights.
    mean, std : float or None
        Of the layer's outputs for the probe.
    dead, saturated : float or None
        Of activations, as ``unit_health`` counts them.
    """

    step: int
    layer: str
    weight_norm: float | None = None
    gradient_norm: float | None = None
    update: float | None = None
    mean: float | None = None
    std: float | None = None
    dead: float | None = None
    saturated: float | None = None


@dataclass(frozen=True)
class MonitorResult(Result):
    """What was recorded in a training, by step and layer.

    Parameters
    ----------
    moments : tuple of Moment
    seconds : float
        Time that watching took.
    share : float
        The same over the whole training's time.
    """

    moments: tuple[Moment, ...]
    seconds: float
    share: float

    def of(self, layer: str, figure: str) -> tuple[tuple[int, float], ...]:
        """Return (step, figure) of one layer, where it has that figure."""
        own = [(one.step, getattr(one, figure)) for one in self.moments if one.layer == layer]
        return tuple((step, value) for step, value in own if value is not None)

    def summary(self) -> str:
        """Return how much was recorded at what cost."""
        steps = sorted({one.step for one in self.moments})
        layers = len({one.layer for one in self.moments})
        cost = f"{self.share:.1%}".replace("%", " %")
        return f"{len(steps)} looks at {layers} layers, at a cost of {cost} of the training's time."

    def tables(self) -> list[Table]:
        """Return one row per step and layer."""
        heads = ("step", "layer", "weights", "gradient", "update / weight", "mean", "std", "dead", "saturated")
        return [Table("Layers while they trained", heads, tuple(tuple(asdict(one).values()) for one in self.moments))]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``updates``: update over weight by step and layer."""
        return {"updates": self._draw} if self.moments else {}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        if ax is None:
            ax = Figure(figsize=(7, 3.6), layout="constrained").subplots()
        layers = [name for name in dict.fromkeys(one.layer for one in self.moments) if self.of(name, "update")]
        for place, name in enumerate(layers):
            points = self.of(name, "update")
            shade = 0.15 + 0.7 * place / max(1, len(layers) - 1)
            ax.plot(*zip(*points, strict=True), color=(0.0, shade * 0.6, shade), label=name)
        ax.axhline(1e-3, color="#999999", linewidth=1)
        if any(value > 0 for name in layers for _, value in self.of(name, "update")):
            ax.set_yscale("log")
        ax.set_xlabel("step")
        ax.set_ylabel("update over weight (logarithmic)")
        ax.set_title("How far a step moves each layer; about 0.001 is usual", loc="left")
        ax.legend(frameon=False, fontsize="small")
        ax.spines[["top", "right"]].set_visible(False)
        return ax


class Monitor(Callback):
    """Record figures of every layer now and then during a fit.

    Gradients are those of the step, weights are compared over the step that follows, and a few fixed rows go through
    the network in evaluation mode with hooks that are there for that pass only. Training is not touched: weights end
    bit for bit as without it.

    Parameters
    ----------
    probe : Tensor
        Prepared rows, (N, *shape); the first ``rows`` of them are used.
    every : int, optional
        Look after so many steps. By default as often as ``budget`` admits.
    budget : float
        Share of the training's time that looking may take, in (0, 1); not held where ``every`` is given.
    rows : int
        Rows of the probe that are used, at least 2.

    Attributes
    ----------
    moments : list of Moment
        In order of steps.
    """

    def __init__(self, probe: Tensor, *, every: int | None = None, budget: float = 0.05, rows: int = 64) -> None:
        if every is not None and every < 1:
            raise InputError("every must be at least 1 step", f"every={every!r}")
        if not 0 < budget < 1 or rows < 2 or len(probe) < 2:
            got = f"budget={budget!r}, rows={rows!r}, {len(probe)} rows in the probe"
            raise InputError("a monitor needs a budget between 0 and 1 and at least 2 rows", got)
        self.probe, self.every, self.budget = probe[:rows].detach(), every, budget
        self.moments: list[Moment] = []
        self._forget()

    def _forget(self) -> None:
        self._spent = self._began = self._ended = 0.0
        self._weights: dict[str, Tensor] = {}
        self._before: dict[str, Tensor] | None = None
        self._open: list[Moment] = []

    def on_fit_start(self, trainer: Trainer) -> None:
        """Forget earlier fits."""
        self._forget()
        self.moments = []
        self._began = time.perf_counter()
        self._weights = weights_of(trainer.network)

    def on_step_end(self, trainer: Trainer) -> None:
        """Look, or finish the look before, where it is time."""
        now = time.perf_counter()
        if self._before is not None:
            self._close()
        elif self._is_due(trainer.step, now):
            self._look(trainer)
        else:
            return
        self._spent += time.perf_counter() - now

    def _is_due(self, step: int, now: float) -> bool:
        if self.every is not None:
            return (step - 1) % self.every == 0
        return self._spent <= self.budget * (now - self._began)

    def _close(self) -> None:
        """Add how far the step after the look moved the weights."""
        updates = moved(self._before or {}, self._weights)
        self.moments += [Moment(**{**asdict(one), "update": updates.get(one.layer)}) for one in self._open]
        self._before, self._open = None, []

    @torch.no_grad()
    def _look(self, trainer: Trainer) -> None:
        figures: dict[str, dict[str, Any]] = {}

        def note(name: str, module: nn.Module, before: Tensor | None, after: Tensor | None) -> None:
            if after is None or not after.is_floating_point() or name in figures:
                return
            spread, mean = torch.std_mean(after, correction=0)
            figures[name] = {"mean": float(mean), "std": float(spread), **_health(module, before)}

        with evaluating(trainer.network), watching(trainer.network, note):
            trainer.network(self.probe)
        for name, weight in self._weights.items():
            own = figures.setdefault(name, {})
            own["weight_norm"] = float(weight.norm())
            own["gradient_norm"] = None if weight.grad is None else float(weight.grad.norm())
        self._open = [Moment(trainer.step, name, **own) for name, own in figures.items()]
        self._before = {name: weight.detach().clone() for name, weight in self._weights.items()}

    def on_fit_end(self, trainer: Trainer) -> None:
        """Keep a look that no further step came after, and let go of the copies."""
        self._ended = time.perf_counter()
        self.moments += self._open
        self._before, self._open, self._weights = None, [], {}

    def state(self) -> dict[str, Any]:
        """Return what was recorded."""
        return {"moments": [asdict(one) for one in self.moments]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self.moments = [Moment(**one) for one in state["moments"]]

    def result(self) -> MonitorResult:
        """Return what was recorded."""
        whole = (self._ended or time.perf_counter()) - self._began
        return MonitorResult(tuple(self.moments), self._spent, self._spent / whole if whole > 0 else 0.0)


def _health(module: nn.Module, z: Tensor | None) -> dict[str, float]:
    if (
        z is None
        or not z.is_floating_point()
        or not is_activation(module)
        or isinstance(module, (nn.Softmax, nn.Identity))
    ):
        return {}
    steepest, bounded = shape_of(module)
    units = as_units(local_derivative(module, z).abs() / steepest)
    if bounded:
        return {"saturated": float((units < FLAT_SLOPE).double().mean())}
    return {"dead": float((units <= DEAD_SLOPE).all(dim=0).double().mean())}


def median_update(result: MonitorResult) -> float:
    """Return the median of all update ratios; NaN where there are none."""
    values = [one.update for one in result.moments if one.update is not None]
    return float(np.median(values)) if values else float("nan")
