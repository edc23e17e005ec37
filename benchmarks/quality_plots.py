"""The two figures of the comparison: mean ranks with the critical difference, and error against time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from quality_stats import cliques

BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#555555"  # Okabe and Ito
mpl.rcParams["svg.hashsalt"] = "glia"  # the same figure is the same file


def _colour(model: str) -> str:
    return BLUE if model.startswith("glia") else GREY


def critical_difference_plot(path: Path, ranks: Mapping[str, float], difference: float, title: str) -> None:
    """Draw mean ranks, best on the left; a bar joins models that Nemenyi's test does not tell apart."""
    ordered = sorted(ranks, key=ranks.__getitem__)
    values = [ranks[model] for model in ordered]
    low, high = 1.0, max(float(len(ordered)), 1 + difference)
    runs = cliques(values, difference)
    half = (len(ordered) + 1) // 2
    depth = 0.6 + 0.35 * len(runs)
    figure = Figure(figsize=(8, 1.6 + 0.3 * half + 0.2 * len(runs)), layout="constrained")
    axes = figure.add_subplot()
    axes.hlines(0, low, high, color="black")
    for tick in range(1, int(high) + 1):
        axes.vlines(tick, 0, 0.15, color="black")
        axes.text(tick, 0.25, str(tick), ha="center", va="bottom")
    axes.hlines(1.1, low, low + difference, color=ORANGE, linewidth=3)
    axes.text(low + difference / 2, 1.2, f"critical difference {difference:.2f}", ha="center", va="bottom")
    for level, (first, last) in enumerate(runs):
        y = -0.3 - 0.35 * level
        axes.hlines(y, values[first] - 0.03, values[last] + 0.03, color="black", linewidth=3)
    for place, (model, value) in enumerate(zip(ordered, values, strict=True)):
        left = place < half
        y = -depth - 0.5 * (place if left else len(ordered) - 1 - place)
        end = low - 0.3 if left else high + 0.3
        axes.plot([value, value, end], [0, y, y], color=_colour(model), linewidth=1)
        side = "right" if left else "left"
        text = f"{model}  {value:.2f}" if left else f"{value:.2f}  {model}"
        axes.text(end, y, f" {text} ", ha=side, va="center", color=_colour(model))
    span = high - low
    axes.set(xlim=(low - 0.45 * span, high + 0.45 * span), ylim=(-depth - 0.5 * half, 1.9), title=title)
    axes.axis("off")
    figure.savefig(path, metadata={"Date": None})


def curve_plot(path: Path, points: Mapping[str, tuple[float, float]], title: str) -> None:
    """Draw models as points (seconds to fit, mean normalised error); Glia's efforts are joined by a line."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    ours = sorted(point for model, point in points.items() if model.startswith("glia"))
    axes.plot(*zip(*ours, strict=True), color=BLUE, zorder=1) if len(ours) > 1 else None
    for model, (seconds, error) in points.items():
        axes.scatter([seconds], [error], color=_colour(model), zorder=2)
        axes.annotate(model, (seconds, error), xytext=(5, 4), textcoords="offset points", color=_colour(model))
    axes.set(xscale="log", xlabel="seconds to fit (geometric mean over tables)", title=title)
    axes.set_ylabel("mean normalised error (0 = best model)")
    axes.grid(alpha=0.3)
    axes.margins(x=0.15, y=0.1)  # room for the names
    figure.savefig(path, metadata={"Date": None})
