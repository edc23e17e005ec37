"""Data larger than memory: peak memory of a fit from disk, and its speed against the same rows in memory.

    python benchmarks/streaming.py --rows 20000000 --compare 2000000

A Parquet file of 20 columns (17 numbers, two of words, a target) is written in row groups of a million rows, a network
is trained on it in a process of its own, whose peak resident memory is read from the system, and then
the first rows are fitted from disk and from memory, in turn. The file is removed afterwards.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

NETWORKS = {"small": (64, 64), "default": (256, 256)}
LIMIT_MB = 1000


def write(path: Path, rows: int, group: int = 1_000_000) -> None:
    """Write the table piece by piece: it need not fit into memory either."""
    parts = []
    for start in range(0, rows, group):
        rng = np.random.default_rng(start)
        n = min(group, rows - start)
        x = rng.standard_normal((n, 17), dtype=np.float32)
        city = rng.integers(0, 30, n)
        score = x[:, 0] + x[:, 1] * x[:, 2] + 0.1 * (city % 5) + 0.5 * rng.standard_normal(n, dtype=np.float32)
        frame = pl.DataFrame({f"x{i}": x[:, i] for i in range(17)}).with_columns(
            colour=pl.Series(np.array(["red", "green", "blue", "black"])[rng.integers(0, 4, n)]),
            city=pl.Series(np.array([f"city {i}" for i in range(30)])[city]),
            y=pl.Series((score > 0.2).astype(np.int64)),
        )
        part = path.with_suffix(f".{start}.part")
        frame.write_parquet(part, row_group_size=group, statistics=False)
        parts.append(part)
    if len(parts) == 1:
        parts[0].rename(path)
        return
    path.mkdir()
    for i, part in enumerate(parts):
        part.rename(path / f"part-{i:05d}.parquet")


def peak_mb() -> float:
    """Return the peak resident memory of this process."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def worker(how: str, path: str, rows: int, network: str, epochs: int, memory: str) -> dict[str, Any]:
    """Fit in this process and say what it took."""
    from glia import Classifier
    from glia.data import read, split_rows
    from glia.data.stream import Parts, Stream
    from glia.estimators.stream_fit import fit_stream
    from glia.nn import MLP

    model = Classifier(
        MLP(hidden=NETWORKS[network], activation="silu", dropout=0.15), epochs=epochs, batch_size=1024, random_state=0
    )
    start, before = time.perf_counter(), peak_mb()
    if how == "disk":
        stream = Stream(path, target="y", memory=memory, limit=rows, parts=Parts())
        stream.survey()
        found = {"survey": time.perf_counter() - start, "rows": stream.survey().rows}
        fit_stream(model, stream)
        test, y = stream.test, stream.test.target
    else:
        files = sorted(Path(path).iterdir()) if Path(path).is_dir() else [Path(path)]
        table = read(pl.concat(pl.scan_parquet(file) for file in files).head(rows).collect(), target="y")
        found = {"read": time.perf_counter() - start}
        split = split_rows(table, test_fraction=50_000 / rows, validation_fraction=50_000 / rows)
        part, held = table.take(split.train), table.take(split.valid)
        model.fit(part, part.target, validation=(held, held.target))
        found["rows"] = len(part)
        test, y = table.take(split.test), table.take(split.test).target
    seconds = [entry["seconds"] for entry in model.history_.to_list()]
    cpu = resource.getrusage(resource.RUSAGE_SELF)
    return {
        **found,
        "how": how,
        "seconds": time.perf_counter() - start,
        "processor_seconds": cpu.ru_utime + cpu.ru_stime,
        "epoch_seconds": seconds,
        "rows_per_second": found["rows"] * len(seconds) / sum(seconds),
        "start_mb": before,
        "peak_mb": peak_mb(),
        "auc": model.evaluate(test, y, n_boot=50).metrics["roc_auc"].value,
    }


def run(*arguments: object) -> dict[str, Any]:
    """Run a worker in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--worker", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000, help="rows of the file")
    parser.add_argument("--compare", type=int, default=2_000_000, help="rows that are also fitted in memory; 0: none")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1, help="passes over the rows")
    parser.add_argument("--network", choices=list(NETWORKS), default="default")
    parser.add_argument("--memory", default="300MB", help="what the stream may take for rows")
    parser.add_argument("--folder", default=None, help="where to write the file")
    parser.add_argument("--worker", nargs=6, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        how, path, rows, network, epochs, memory = given.worker
        print(json.dumps(worker(how, path, int(rows), network, int(epochs), memory)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "big.parquet"
        write(path, max(given.rows, given.compare))
        if given.rows:
            full = run("disk", path, given.rows, "small", given.epochs, given.memory)
            print(f"{given.rows:,} rows from disk: peak {full['peak_mb']:.0f} MB ({full['start_mb']:.0f} MB before), ")
            print(f"  survey {full['survey']:.1f} s, {full['rows_per_second']:,.0f} rows/s, AUC {full['auc']:.4f}")
            print(f"  {'within' if full['peak_mb'] <= LIMIT_MB else 'ABOVE'} {LIMIT_MB} MB")
        rounds: dict[str, list[dict[str, Any]]] = {"disk": [], "memory": []}
        for _ in range(given.repeats if given.compare else 0):
            for how, found in rounds.items():
                found.append(run(how, path, given.compare, given.network, given.epochs, given.memory))
                one = found[-1]
                print(f"  {how:<6} {one['rows_per_second']:>10,.0f} rows/s, peak {one['peak_mb']:.0f} MB, "
                      f"{one['seconds']:.1f} s in all, {one['processor_seconds']:.0f} s of processor, "
                      f"AUC {one['auc']:.4f}")  # fmt: skip
        if given.compare:
            best = {how: max(one["rows_per_second"] for one in found) for how, found in rounds.items()}
            middle = {how: statistics.median(one["rows_per_second"] for one in found) for how, found in rounds.items()}
            ratios = [speed["disk"] / speed["memory"] for speed in (best, middle)]
            print(f"disk / memory, training: {ratios[0]:.2f} (best), {ratios[1]:.2f} (median)")
            whole = {how: statistics.median(one["seconds"] for one in found) for how, found in rounds.items()}
            print(f"disk / memory, rows per second from the file to the fitted network: "
                  f"{whole['memory'] / whole['disk']:.2f} (median)")  # fmt: skip


if __name__ == "__main__":
    main()
