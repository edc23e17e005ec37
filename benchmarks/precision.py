"""Is a classifier that trains in bfloat16 as good as one in float32? The same network, rows and seeds, in one run.

    python benchmarks/precision.py --mnist FOLDER --fashion FOLDER [--seeds 5] [--out]

Each network of ``engine/precision.py``'s rule trains in both formats, in turn; the difference of test accuracy and of
log-loss is told with its standard error over the seeds, and with it the time of an epoch. ``images_data.py`` says how
to get the two sets; they need no packages.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import glia
from glia.core.files import write_text
from glia.core.hardware import multiplies_bfloat16, processor_name
from images_data import HOW, load
from quality import hardware_name

RESULTS = Path(__file__).parent / "results"
FORMATS = ("float32", "bfloat16")
MOST_LOST = 0.002
"""Accuracy that bfloat16 may lose, as long as it is also within two standard errors of none."""


class Rows(NamedTuple):
    """Pictures in standard units, (N, 1, 28, 28), with their classes."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]


class ByRows(nn.Module):
    """An LSTM that reads a picture from top to bottom, a row of pixels a step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(28, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x[:, 0])[0][:, -1])


def dense() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)
    )


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def normalised() -> nn.Module:
    def block(before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*block(1, 32), *block(32, 64), nn.Flatten(), nn.Linear(64 * 49, 10))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    "dense, 2 × 1024": (dense, {"batch_size": 256, "lr": 5e-4, "epochs": 8}),
    "convolutions": (convolutional, {"batch_size": 64, "lr": 1e-3, "epochs": 6}),
    "convolutions, batch norm": (normalised, {"batch_size": 64, "lr": 1e-3, "epochs": 6}),
    "LSTM of 128": (ByRows, {"batch_size": 64, "lr": 2e-3, "epochs": 8}),
}


def cell(make: Callable[[], nn.Module], settings: dict[str, Any], train: Rows, test: Rows, seed: int, form: str):
    """Return test accuracy, log-loss and the milliseconds of an epoch."""
    torch.manual_seed(seed)
    model = glia.Classifier(
        network=make(), preparation="none", optimizer="adam", early_stopping=False, precision=form, random_state=seed,
        **settings,
    )  # fmt: skip
    model.fit(train.x, train.y)
    probability = np.clip(model.predict_proba(test.x), 1e-7, 1)
    loss = -np.log(probability[np.arange(len(test.y)), test.y]).mean()
    seconds = np.median([entry["seconds"] for entry in model.history_][1:])
    return float((probability.argmax(1) == test.y).mean()), float(loss), float(1000 * seconds)


def paired(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean difference over seeds and its standard error."""
    difference = other - one
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def page(found: dict[tuple[str, str], NDArray[np.float64]], rows: int, seeds: int) -> str:
    """Return the result as Markdown; ``found`` holds (formats, seeds, 3) for a set and a network."""
    date = datetime.now(UTC).date()
    lines = [
        "# bfloat16 beside float32", "",
        f"{date} · {hardware_name()} ({processor_name()}); glia {glia.__version__}, torch {torch.__version__}; "
        f"{rows:,} training and 10,000 test pictures, {seeds} seeds, both formats in turn", "",
        "| set | network | accuracy, float32 | bfloat16 less float32 | log-loss, float32 | bfloat16 less float32 | "
        "time of an epoch | equal |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]  # fmt: skip
    for (data, name), cells in found.items():
        accuracy, loss, time = cells[..., 0], cells[..., 1], np.median(cells[..., 2], axis=1)
        (more, more_error), (worse, worse_error) = paired(*accuracy), paired(*loss)
        equal = more >= -MOST_LOST and more + 2 * more_error >= 0
        lines.append(
            f"| {data} | {name} | {accuracy[0].mean():.4f} | {more:+.4f} ± {more_error:.4f} | {loss[0].mean():.4f} | "
            f"{worse:+.4f} ± {worse_error:.4f} | × {time[1] / time[0]:.2f} | {'yes' if equal else '**no**'} |"
        )
    said = f"Equal: it loses at most {MOST_LOST:.1%} of accuracy, and no more than two standard errors."
    return "\n".join([*lines, "", said, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in HOW:
        parser.add_argument(f"--{name}", metavar="FOLDER")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", action="store_true")
    options = parser.parse_args()
    sets = {name: getattr(options, name) for name in HOW if getattr(options, name)}
    if not sets:
        parser.error("name at least one set: " + "; ".join(HOW.values()))
    if not multiplies_bfloat16():
        print("this processor has no instructions for bfloat16: times say nothing", file=sys.stderr)
    found: dict[tuple[str, str], NDArray[np.float64]] = {}
    for data, folder in sets.items():
        digits = load(folder)
        scale = digits.x.mean(), digits.x.std()
        units = [((x[:, None] - scale[0]) / scale[1]).astype(np.float32) for x in (digits.x, digits.test_x)]
        train, test = Rows(units[0][: options.rows], digits.y[: options.rows]), Rows(units[1], digits.test_y)
        for name, (make, settings) in NETWORKS.items():
            cells = np.empty((len(FORMATS), options.seeds, 3))
            for seed in range(options.seeds):
                for i in range(len(FORMATS)) if seed % 2 == 0 else reversed(range(len(FORMATS))):
                    cells[i, seed] = cell(make, settings, train, test, seed, FORMATS[i])
                    print(f"{data:8} {name:26} {seed} {FORMATS[i]:9}", *np.round(cells[i, seed], 4), flush=True)
            found[data, name] = cells
    text = page(found, options.rows, options.seeds)
    print(text)
    if options.out:
        name = f"{datetime.now(UTC).date()}_{hardware_name().lower().replace(',', '').replace(' ', '-')}_precision.md"
        write_text(RESULTS / name, text)


if __name__ == "__main__":
    main()
