"""The figures of a diagnosis from Python, each on axes of its own or on those that are handed in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from glia.diagnose.activation_statistics import LayerActivation
from glia.diagnose.gradient_norms import LayerGradient, signal_ratio
from glia.diagnose.landscape import Landscape
from glia.diagnose.rate_trial import RateTrial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#999999"
_MOST_LAYERS = 12


def _axes(ax: Axes | None, height: float = 3.6) -> Any:
    return Figure(figsize=(7, height), layout="constrained").subplots() if ax is None else ax


def _plain(ax: Any) -> Any:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.3)
    return ax


def draw_layers(gradients: tuple[LayerGradient, ...], ax: Axes | None = None) -> Any:
    """Draw the signal that arrives at every layer, on a logarithmic axis."""
    ax = _axes(ax)
    signals = [one.signal if one.signal > 0 and math.isfinite(one.signal) else np.nan for one in gradients]
    ax.plot(range(1, len(signals) + 1), signals, "o-", color=BLUE)
    if np.isfinite(signals).any():
        ax.set_yscale("log")
    ax.set_xlabel("layer with weights, first to last")
    ax.set_ylabel("gradient signal per row (logarithmic)")
    ratio = signal_ratio(gradients)
    title = (
        "The gradient's signal by layer" if math.isnan(ratio) else f"First layer: {ratio:.2g} of the last one's signal"
    )
    ax.set_title(title, loc="left")
    return _plain(ax)


def draw_activations(activations: tuple[LayerActivation, ...], ax: Axes | None = None) -> Any:
    """Draw the histogram of every layer's outputs, one above the other."""
    shown = activations[:_MOST_LAYERS]
    ax = _axes(ax, 1.2 + 0.45 * len(shown))
    for place, one in enumerate(reversed(shown)):
        counts = np.asarray(one.counts, dtype=float)
        edges = np.asarray(one.edges)
        span = max(abs(edges[0]), abs(edges[-1]), 1e-12)
        heights = 0.85 * counts / max(counts.max(), 1.0)
        ax.bar(edges[:-1] / span, heights, np.diff(edges) / span, bottom=place, align="edge", color=BLUE)
        ax.text(1.04, place + 0.15, f"±{span:.2g}", fontsize="small", color="#555555")
    ax.set_yticks(np.arange(len(shown)) + 0.2, [f"{one.layer} ({one.kind})" for one in reversed(shown)])
    ax.set_xlabel("output over the layer's largest output (at the right)")
    ax.set_title("What comes out of the layers", loc="left")
    return _plain(ax)


def draw_landscape(landscape: Landscape, ax: Axes | None = None) -> Any:
    """Draw the slices through the loss."""
    ax = _axes(ax)
    for line, colour, dash in zip(
        landscape.losses, (BLUE, ORANGE, GREEN, GREY) * 4, ("-", "--", ":", "-.") * 4, strict=False
    ):
        ax.plot(landscape.steps, line, dash, color=colour)
    ax.axvline(0, color=GREY, linewidth=1)
    ax.set_xlabel("distance from the weights, in their own lengths")
    ax.set_ylabel("loss")
    ax.set_title(f"The loss around the weights (sharpness {landscape.sharpness:.3g})", loc="left")
    return _plain(ax)


def draw_rates(trial: RateTrial, ax: Axes | None = None) -> Any:
    """Draw where short trainings at several rates ended."""
    ax = _axes(ax)
    ends = [min(value, 2.0) for value in trial.relative]
    ax.plot(trial.rates, ends, "o-", color=BLUE)
    ax.axvline(trial.lr, color=ORANGE, linestyle="--", label=f"rate of this network: {trial.lr:.2g}")
    ax.axhline(1.0, color=GREY, linewidth=1)
    ax.set_xscale("log")
    ax.set_xlabel("learning rate (logarithmic)")
    ax.set_ylabel("training loss over the best constant's (at most 2)")
    ax.set_title(f"Of the rates tried, {trial.best()[0]:.2g} learns most in {trial.steps} steps", loc="left")
    ax.legend(frameon=False)
    return _plain(ax)
