"""Question 32, large data sets: memory that stays flat, rows in any order, what more rows bring, faults found."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia.core.seeds import numpy_rng, torch_rng
from glia.data import read
from glia.data.stream.shuffle import Arrays, pools
from glia.engine.rows import Rows
from glia.engine.stream_source import StreamSource
from glia.lab.bench import Bench
from glia.lab.judging import outputs_of, points_of
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.runs import score_of

Floats = NDArray[np.float64]
Reader = Callable[["Generated", int, int], int]
_EPOCHS, _HIDDEN, _RATE, _POOL = 8, (32, 32), 3e-3, 2000
_SHARES, _GROWTH, _FOLDS = (0.1, 0.25, 0.5, 1.0), (10_000, 40_000), 5
_POINTS = "points of the score (of 100)"

CLAIMS = (
    Claim("flat memory", "Streaming takes no more memory when there are four times as many rows.",
          f"peak over {_GROWTH[1]:,} rows minus over {_GROWTH[0]:,}, streamed", "megabytes", "no higher", 0.25, "made"),
    Claim("memory saved", "Streaming takes less memory than holding all rows.",
          f"peak over {_GROWTH[1]:,} rows, streamed minus held", "megabytes", "lower", 0.5, "made"),
    Claim("streamed as good", "A network learns as much from a stream as from rows in memory.",
          "score from the stream minus from rows in memory", _POINTS, "no lower", 1.0),
    Claim("sorted files", "Of a file that is sorted by the target, it matters that rows come in random order.",
          "score from shuffled pools minus in the order of the file", _POINTS, "higher", 1.0),
    Claim("more rows", "More rows raise the score.", "score from all rows minus from a quarter of them", _POINTS,
          "higher", 0.5),
    Claim("diminishing", "Each doubling of the rows brings less than the one before.",
          "gain from half to all rows minus gain from a quarter to a half", _POINTS, "lower", 0.0),
    Claim("cross-validation", "Cross-validation judges more exactly than a single fold of the rows.",
          f"error of the estimate, mean of {_FOLDS} folds minus of one", _POINTS, "lower", 0.2),
    Claim("faults", "Checks of the data's quality find planted faults.",
          "findings on a table with three faults minus on the same table without", "findings", "higher", 1.5, "made"),
)  # fmt: skip


@dataclass(frozen=True)
class Generated:
    """Rows that are made block by block when they are read, as a file's would come from disk."""

    rows: int
    columns: int
    seed: int
    block: int = 500

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each block."""
        return np.full(self.rows // self.block, self.block, dtype=np.int64)

    def read(self, block: int) -> Arrays:
        """Return inputs and targets of a block."""
        rng = numpy_rng(self.seed, "block", block)
        x = rng.standard_normal((self.block, self.columns), dtype=np.float32)
        return x, (x[:, 0] > 0).astype(np.float32)


@dataclass(frozen=True)
class Held:
    """Rows in memory, as blocks of a stream."""

    rows: Rows
    block: int = 25

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each block."""
        full, rest = divmod(len(self.rows), self.block)
        return np.array([self.block] * full + [rest] * bool(rest), dtype=np.int64)

    def read(self, block: int) -> Arrays:
        """Return inputs and targets of a block."""
        part = slice(block * self.block, (block + 1) * self.block)
        return self.rows.x[part].numpy(), self.rows.y[part].numpy()


@dataclass(frozen=True)
class InOrder:
    """Mini-batches in the order of the rows, in every epoch alike."""

    rows: Rows

    @property
    def x(self) -> Tensor:
        """No rows, for their shape and device."""
        return self.rows.x[:0]

    def __len__(self) -> int:
        return len(self.rows)

    def fingerprint(self) -> str:
        """Return what rows these are."""
        return f"{len(self.rows)} rows in order"

    def epoch(self, batch_size: int, seed: int, number: int, skip: int = 0) -> Any:
        """Yield the mini-batches."""
        return self.rows.take(torch.arange(skip * batch_size, len(self.rows))).batches(batch_size)


def stream_through(blocks: Generated, pool: int, seed: int) -> int:
    """Read one epoch in pools, letting go of each when the next one is full; return the bytes of two pools.

    Pools lie in memory that the system maps, which Python does not count: two are held, one being filled.
    """
    largest = 0
    for arrays in pools(blocks, pool, seed, 0):
        largest = max(largest, sum(array.nbytes for array in arrays))
    return 2 * largest


def hold(blocks: Generated, pool: int, seed: int) -> int:
    """Read one epoch and keep all rows; nothing lies where Python does not count."""
    parts = [blocks.read(i) for i in range(len(blocks.counts))]
    return 0 * len(parts)


def measure(
    bench: Bench, seeds: Sequence[int], *, streamed: Reader = stream_through, shuffled: bool = True,
    folds: int = _FOLDS, plant: bool = True,
) -> Findings:  # fmt: skip
    """Read made rows under a watch on memory, train on parts and orders of the data; settings are for tests."""
    bench.say("memory")
    peaks = np.array([[_peak(streamed, rows, bench.number("rows", seed)) for rows in _GROWTH] for seed in seeds])
    all_held = np.array([_peak(hold, _GROWTH[1], bench.number("rows", seed)) for seed in seeds])
    bench.say("streams and orders")
    orders = _orders(bench, seeds, shuffled)
    bench.say("parts of the rows")
    data = bench.data
    found = []
    for share in _SHARES:
        rows = data.train.take(torch.arange(max(10, round(share * len(data.train)))))
        epochs = _EPOCHS * len(data.train) / len(rows)  # equally many steps, as far as that makes sense
        runs = bench.train(
            partial(bench.network, _HIDDEN, dropout=0.1), seeds, train=rows, valid=data.valid, patience=8,
            epochs=round(min(epochs, 40)), lr=_RATE, watched={},
        )  # fmt: skip
        found.append(points_of(bench, runs.networks, data.test))
    by_rows = np.stack(found, axis=1)
    bench.say("folds")
    errors = _fold_errors(bench, seeds, folds)
    faults = np.array([[_findings(bench.number("faults", seed), bad) for bad in (plant, False)] for seed in seeds])
    pairs = {
        "flat memory": (peaks[:, 1], peaks[:, 0]),
        "memory saved": (peaks[:, 1], all_held),
        "streamed as good": (orders["stream"], orders["memory"]),
        "sorted files": (orders["sorted, shuffled"], orders["sorted"]),
        "more rows": (by_rows[:, -1], by_rows[:, 1]),
        "diminishing": (by_rows[:, -1] - by_rows[:, 2], by_rows[:, 2] - by_rows[:, 1]),
        "cross-validation": (errors[:, 0], errors[:, 1]),
        "faults": (faults[:, 0], faults[:, 1]),
    }
    names = {
        "flat memory": tuple(f"{rows:,} rows" for rows in _GROWTH[::-1]), "memory saved": ("streamed", "held"),
        "streamed as good": ("stream", "in memory"), "sorted files": ("shuffled pools", "order of the file"),
        "more rows": ("all rows", "a quarter"), "diminishing": ("half to all", "quarter to half"),
        "cross-validation": (f"{folds} folds", "one fold"), "faults": ("with faults", "without"),
    }  # fmt: skip
    sweep = Sweep("What do more rows bring?", [round(share * len(data.train)) for share in _SHARES],
                  {"network": by_rows}, "training rows", f"{bench.score_name} (%)", log_x=True)  # fmt: skip
    note = f"Memory is what arrays take at most while {_GROWTH[0]:,} or {_GROWTH[1]:,} rows of 20 columns are read."
    return Findings(pairs, cast("dict[str, tuple[str, str]]", names), (sweep,), notes=(note,))


def _peak(reader: Reader, rows: int, seed: int) -> float:
    """Return the megabytes that reading takes at most, beyond what was taken before."""
    mine = not tracemalloc.is_tracing()
    if mine:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        uncounted = reader(Generated(rows, 20, seed), _POOL, seed)
        return (uncounted + tracemalloc.get_traced_memory()[1] - before) / 2**20
    finally:
        if mine:
            tracemalloc.stop()


def _orders(bench: Bench, seeds: Sequence[int], shuffled: bool) -> dict[str, Floats]:
    """Return scores of networks that got their rows in different ways, the same rows for all seeds."""
    data = bench.data
    order = data.train.y.reshape(len(data.train), -1)[:, 0].argsort(stable=True)
    sorted_ = data.train.take(order)
    shape = data.train.x.shape[1:]
    sources: dict[str, Any] = {
        "memory": data.train,
        "stream": StreamSource(Held(data.train), _POOL, shape=shape),
        "sorted, shuffled": StreamSource(Held(sorted_), _POOL, shape=shape) if shuffled else InOrder(sorted_),
        "sorted": InOrder(sorted_),
    }
    found = {}
    for name, source in sources.items():
        runs = bench.train(
            partial(bench.network, _HIDDEN), seeds, train=source, own_rows=False, epochs=_EPOCHS, lr=_RATE,
            watched={"test": data.test},
        )  # fmt: skip
        found[name] = bench.points(runs, "test")
    return found


def _fold_errors(bench: Bench, seeds: Sequence[int], folds: int) -> Floats:
    """Return by how many points the mean of all folds and the first fold miss the score on test rows, (S, 2)."""
    data = bench.data
    rows = data.train.take(torch.arange(min(600, len(data.train))))
    fold = [torch.randperm(len(rows), generator=torch_rng(bench.seed, "lab", "folds", s)) % folds for s in seeds]
    weight = torch.stack([(number != k).float() for number in fold for k in range(folds)], dim=1)
    part = Rows(rows.x, rows.y, weight / weight.mean(0, keepdim=True))
    runs = bench.train(
        partial(bench.network, _HIDDEN, dropout=0.1), [seed for seed in seeds for _ in range(folds)], train=part,
        own_rows=False, epochs=_EPOCHS, lr=_RATE, watched={"test": data.test},
    )  # fmt: skip
    truth = bench.points(runs, "test").reshape(len(seeds), folds)
    judged = np.empty((len(seeds), folds))
    for i, number in enumerate(fold):
        for k in range(folds):
            held = rows.take((number == k).nonzero()[:, 0])
            answer = outputs_of(runs.networks[i * folds + k], held.x)
            judged[i, k] = 100.0 * score_of(answer, held.y, data.task)
    return np.stack([np.abs(judged.mean(1) - truth.mean(1)), np.abs(judged[:, 0] - truth[:, 0])], axis=1)


def _findings(seed: int, bad: bool) -> float:
    """Return how many findings reading a table gives: with copied rows, an almost empty column and a leak."""
    rng = numpy_rng(seed, "faults")
    x = rng.normal(size=(300, 3))
    y = np.where(x[:, 0] + rng.normal(size=300) > 0, "yes", "no")
    table = pl.DataFrame({f"x{i}": x[:, i] for i in range(3)} | {"target": y})
    if bad:
        table = table.with_columns(
            pl.Series("mostly_missing", [None] * 270 + [1.5, 2.5, 3.5] * 10),
            pl.Series("told", np.where(y == "yes", 1.0, 0.0) + 0.01 * rng.normal(size=300)),
        )
        table = pl.concat([table, table[:40]])
    return float(len(read(table, target="target").schema.warnings))


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["more rows"] == "supported":
        return "More rows pay on this data: collect more before you tune, and stream them if memory ends."
    return "More rows bring little here: a sample is enough to try settings with."


ask(Question(32, "Large data sets", "What do more rows take and bring, and does a stream of them learn as well?",
             CLAIMS, measure, _advice))  # fmt: skip
