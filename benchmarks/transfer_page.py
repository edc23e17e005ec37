"""Table and plot of the cells of ``benchmarks/transfer.py``."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch

from glia import __version__
from glia.core.hardware import processor_name

mpl.use("Agg")
from matplotlib import pyplot as plt

NAMES = {
    "scratch": "from scratch", "frozen": "frozen features", "full": "tuned as a whole", "gradual": "gradual unfreezing",
    "lora": "low-rank adapters",
}  # fmt: skip
COLOURS = {"scratch": "#000000", "frozen": "#0072B2", "full": "#D55E00", "gradual": "#009E73", "lora": "#CC79A7"}
MARKERS = {"scratch": "x", "frozen": "o", "full": "s", "gradual": "^", "lora": "D"}
TASKS = {
    "text": ("Film sentences, good or bad (MiniLM-L6)", 0.5),
    "images": ("Emoji of nine kinds (EfficientNet-Lite0)", 1 / 9),
    "textile": ("Cloth, faulty or not (EfficientNet-Lite0)", 0.5),
}


def _cells(found: list[dict[str, Any]], task: str, way: str) -> dict[int, list[float]]:
    sizes = sorted({one["labels"] for one in found if one["task"] == task})
    return {
        size: [
            one["accuracy"]
            for one in sorted(found, key=lambda one: one["seed"])
            if (one["task"], one["way"], one["labels"]) == (task, way, size)
        ]
        for size in sizes
    }


def _shown(values: list[float]) -> str:
    if not values:
        return "–"
    spread = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{spread} ({len(values)})"


def _table(found: list[dict[str, Any]], task: str) -> list[str]:
    sizes = sorted({one["labels"] for one in found if one["task"] == task})
    lines = ["| way | " + " | ".join(f"{n} labels" for n in sizes) + " | seconds a fit |"]
    lines.append("|---" * (len(sizes) + 2) + "|")
    for way, name in NAMES.items():
        times = [one["seconds"] for one in found if one["task"] == task and one["way"] == way]
        took = f"{min(times):.1f} to {max(times):.1f}" if times else "–"
        figures = [_shown(values) for values in _cells(found, task, way).values()]
        lines.append(f"| {name} | " + " | ".join(figures) + f" | {took} |")
    return lines


def plot(found: list[dict[str, Any]], path: Path) -> None:
    """Draw test accuracy over labels per class, a panel for each task; bars are deviations over the seeds."""
    figure, axes = plt.subplots(1, len(TASKS), figsize=(4.6 * len(TASKS), 4), layout="constrained")
    for axis, (task, (title, chance)) in zip(axes, TASKS.items(), strict=True):
        for place, way in enumerate(NAMES):
            kept = {size: values for size, values in _cells(found, task, way).items() if values}
            if not kept:
                continue
            x = np.array(list(kept)) * 1.03 ** (place - 2)  # side by side, so that bars do not hide each other
            mean = [100 * np.mean(values) for values in kept.values()]
            bars = [100 * np.std(values, ddof=1) if len(values) > 1 else 0 for values in kept.values()]
            axis.errorbar(x, mean, bars, color=COLOURS[way], marker=MARKERS[way], ms=5, capsize=2, label=NAMES[way])
        axis.axhline(100 * chance, color="#999999", lw=1, ls=":", label="guessing")
        sizes = sorted({one["labels"] for one in found if one["task"] == task})
        axis.set_xscale("log")
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
        axis.set(title=title, xlabel="labels per class", ylabel="test accuracy, %")
        axis.spines[["top", "right"]].set_visible(False)
    lines, names = axes[-1].get_legend_handles_labels()
    figure.legend(lines, names, frameon=False, fontsize=9, loc="outside lower center", ncols=len(names))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def write_page(found: list[dict[str, Any]], folder: Path) -> Path:
    """Write ``…_transfer.md`` and its plot; return the page."""
    vendor = "amd-epyc" if "AMD EPYC" in processor_name() else processor_name().split("(")[0].strip().lower()
    stem = f"{datetime.now(UTC):%Y-%m-%d}_{os.cpu_count()}-cores-{vendor.replace(' ', '-')}_transfer"
    plot(found, folder / f"{stem}.svg")
    tested = {task: next((one["tested"] for one in found if one["task"] == task), 0) for task in TASKS}
    lines = [
        "# Transfer: what pretrained weights are worth when labels are few",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {processor_name()}, one thread, torch {torch.__version__}, glia {__version__}; "
        "other work ran beside it, so that times are no more than a hint. `benchmarks/transfer.py` made this page.",
        "",
        f"![Accuracy over labels per class]({stem}.svg)",
        "",
        "Test accuracy in %, mean ± standard deviation over seeds (their number); a seed draws other labelled rows. "
        "The test rows are the same for all.",
    ]
    for task, (title, _) in TASKS.items():
        lines += ["", f"## {title}", f"{tested[task]} test rows.", "", *_table(found, task)]
    lines += [
        "",
        "## How",
        "- Film sentences that people rated 1 or more on either side of neutral (vaderSentiment 3.3.2), cut at 32 "
        "tokens; emoji of 64 × 64 pixels on white (emoji-datasource-google 16.0.0), whose kinds are those of Unicode; "
        "simulated cloth at 128 × 128 pixels, half of it with a small fault or a weave that differs "
        "(conformal-clip-data 0.1.4).",
        "- From scratch is Glia's own default network for texts or pictures of this size; frozen features and it get "
        "about 300 steps of 16 rows, everything else 48 or two passes, no row is held out, pictures are not varied.",
        "- Tuned networks learn at 2 % of the head's rate, times 0.85 for every stage below the last, and keep the "
        "statistics of batch normalisations; adapters of rank 8 "
        "in all linear layers (of the pictures' network: in its 1 × 1 convolutions) at 20 %.",
        "",
    ]
    page = folder / f"{stem}.md"
    page.write_text("\n".join(lines), encoding="utf-8")
    return page
