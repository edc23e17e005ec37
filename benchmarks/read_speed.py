"""Time to read a CSV file of 1 M rows × 20 columns: Glia against Polars alone, in turn in one run.

    python benchmarks/read_speed.py [--rows 1000000] [--repeats 15]

Readers take turns, so that each turn compares them under the same conditions of a machine whose speed comes and goes:
printed are the median times, the medians over turns of the ratio to Polars, and the ratio of the least times.
The aim is a ratio of at most 1.5 for reading with roles, findings and markers, ``read(path)``. With a target, rows
without one are left out on top, and columns that give it away are looked for.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from glia.data import read

WORDS = np.array(["Private", "Self-emp-not-inc", "Local-gov", "State-gov", "Federal-gov", "Without-pay"])


def make_table(rows: int, gaps: bool) -> pl.DataFrame:
    """Return 8 columns of decimals, 6 of whole numbers, 5 of words and one of dates; with gaps, 5 % are ``?``."""
    rng = np.random.default_rng(0)
    columns: dict[str, object] = {f"decimal{i}": rng.normal(size=rows).round(4) for i in range(8)}
    columns |= {f"whole{i}": rng.integers(0, 10 ** (i + 1), rows) for i in range(6)}
    columns |= {f"word{i}": WORDS[rng.integers(0, len(WORDS), rows)] for i in range(4)}
    columns["day"] = (np.datetime64("2020-01-01") + rng.integers(0, 1000, rows)).astype("datetime64[D]")
    columns["y"] = np.array(["no", "yes"])[rng.integers(0, 2, rows)]
    frame = pl.DataFrame(columns)
    if not gaps:
        return frame
    gap = [pl.Series(rng.random(rows) < 0.05) for _ in frame.columns]
    texts = zip(frame.columns, gap, strict=True)
    return frame.select(
        pl.when(hole).then(pl.lit("?")).otherwise(pl.col(c).cast(pl.String)).alias(c) for c, hole in texts
    )


def compare(
    path: Path, readers: dict[str, Callable[[Path], object]], repeats: int
) -> dict[str, list[tuple[float, float]]]:
    """Return the wall-clock and processor times of each reader; they take turns, after one round for nothing."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in readers}
    for turn in range(repeats + 1):
        for name, reader in readers.items():
            start, used = time.perf_counter(), time.process_time()
            reader(path)
            if turn:
                times[name].append((time.perf_counter() - start, time.process_time() - used))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {pl.thread_pool_size()} threads, polars {pl.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        for gaps in (False, True):
            path = Path(folder) / "table.csv"
            make_table(options.rows, gaps).write_csv(path)
            readers: dict[str, Callable[[Path], object]] = {
                # Polars has to be told what stands for a missing value; Glia finds it
                "polars": (lambda p: pl.read_csv(p, null_values="?")) if gaps else pl.read_csv,
                "glia, types only": lambda p: read(p, infer=False),
                "glia, default": read,
                "glia, with a target": lambda p: read(p, target="y"),
            }
            times = {name: np.array(all_) for name, all_ in compare(path, readers, options.repeats).items()}
            size = f"{options.rows:,} rows × 20 columns, {path.stat().st_size / 1e6:.0f} MB"
            print(f"{size}, {'5 % gaps' if gaps else 'no gaps'}")
            alone = times["polars"]
            for name, own in times.items():
                wall, cpu = np.median(own / alone, axis=0)
                least = own[:, 0].min() / alone[:, 0].min()
                ratios = f"{wall:5.2f} × polars (least {least:4.2f} ×), of processor time {cpu:5.2f} ×"
                print(f"  {name:20s} {np.median(own[:, 0]):7.3f} s {ratios}")


if __name__ == "__main__":
    main()
