"""Peak memory and time of a fit to sequences, sounds and texts: prepared rows in memory, and on disk.

    python benchmarks/streaming_rows.py --sequences 50000 --sounds 2000 --texts 200000

Data are made here and removed afterwards: a memory-mapped array of sequences of 100 steps and 10 channels (float32),
sounds of one second at 16,000 samples a second in files, and texts of sixty words. Every fit is one epoch with a small
network, in a process of its own, whose peak resident memory is read from the system; the memory before the fit, which
the program and the raw texts take, is subtracted.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import wavfile

STEPS, CHANNELS, RATE, WORDS = 100, 10, 16_000, 60
KINDS = ("sequences", "sounds", "texts")


def write_sequences(place: Path, count: int) -> None:
    """Write an array piece by piece."""
    array = np.lib.format.open_memmap(place / "x.npy", "w+", np.float32, (count, STEPS, CHANNELS))
    rng = np.random.default_rng(0)
    for start in range(0, count, 1000):
        part = array[start : start + 1000]
        part[:] = rng.standard_normal(part.shape, dtype=np.float32)


def write_sounds(place: Path, count: int) -> None:
    """Write a folder of two classes."""
    rng = np.random.default_rng(0)
    for number in range(count):
        folder = place / "sounds" / f"class {number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        tone = np.sin(np.arange(RATE) * (0.1 + 0.2 * (number % 2)))
        sound = (8000 * (tone + 0.3 * rng.standard_normal(RATE))).clip(-32768, 32767)
        wavfile.write(folder / f"{number}.wav", RATE, sound.astype(np.int16))


def write_texts(place: Path, count: int) -> None:
    """Write one text a line."""
    rng = np.random.default_rng(0)
    words = np.array([f"{a}{b}{c}" for a in "bcdfgklmnprst" for b in "aeiou" for c in "bdgklmnprst"])
    with (place / "texts.txt").open("w", encoding="ascii") as file:
        for _ in range(count):
            file.write(" ".join(words[rng.integers(0, len(words), WORDS)]) + "\n")


def peak_mb() -> float:
    """Return the peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def worker(kind: str, place: Path, keep: str) -> dict[str, Any]:
    """Fit in this process and say what it took."""
    import glia
    from glia.nn import GRU, TextConvNet

    X: Any
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 128}
    if kind == "sequences":
        X = np.load(place / "x.npy", mmap_mode="r")
        model: Any = glia.SequenceClassifier(GRU(hidden=8), glia.SequencePreparation(keep=keep), **settings)
        y: Any = np.arange(len(X)) % 2
    elif kind == "sounds":
        X, y = str(place / "sounds"), None
        model = glia.AudioClassifier(GRU(hidden=8), glia.AudioPreparation(keep=keep), **settings)
    else:
        X = (place / "texts.txt").read_text(encoding="ascii").splitlines()
        model = glia.TextClassifier(TextConvNet(8, 8), glia.TextPreparation(keep=keep), **settings)
        y = np.arange(len(X)) % 2
    # The first steps load what any fit loads.
    glia.SequenceClassifier(GRU(hidden=8), **settings).fit(np.random.default_rng(0).normal(size=(200, 9)), [0, 1] * 100)
    before, start = peak_mb(), time.perf_counter()
    model.fit(X, y)
    fitted, seconds = peak_mb(), time.perf_counter() - start
    model.predict(X)
    epoch = model.history_.to_list()[0]["seconds"]
    shape = [round(len(y) * 0.85) if y is not None else -1, *model.layout_.shape]
    return {
        "kind": kind, "keep": keep, "start_mb": before, "fit_mb": fitted - before, "predict_mb": peak_mb() - before,
        "seconds": seconds, "epoch_seconds": epoch, "shape": shape,
        "weights": float(sum(p.double().abs().sum() for p in model.network_.parameters())),
    }  # fmt: skip


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind, count in zip(KINDS, (50_000, 2_000, 200_000), strict=True):
        parser.add_argument(f"--{kind}", type=int, default=count, help="rows; 0: none")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        kind, place, keep = options.worker
        print(json.dumps(worker(kind, Path(place), keep)))
        return
    for kind, write in zip(KINDS, (write_sequences, write_sounds, write_texts), strict=True):
        count = getattr(options, kind)
        if not count:
            continue
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), count)
            for keep in ("memory", "disk"):
                words = [sys.executable, __file__, "--worker", kind, folder, keep]
                done = subprocess.run(words, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(done.stderr)
                found = json.loads(done.stdout.splitlines()[-1])
                print(
                    f"{kind:9} {count:>9,} rows  {keep:6}  fit +{found['fit_mb']:6.0f} MB in {found['seconds']:6.1f} s "
                    f"(epoch {found['epoch_seconds']:.1f} s), predict +{found['predict_mb']:6.0f} MB, "
                    f"prepared {found['shape']}, weights {found['weights']:.9g}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
