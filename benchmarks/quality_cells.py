"""One cell of the comparison: a model on one split of one table; measured, limited in time, and kept in a file."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

import peers
from glia import Classifier, Regressor
from glia.core.files import sha256
from tables import TABLES, RealTable

ROOT = Path(__file__).parents[1]
EFFORTS = {"glia": "default", "glia quick": "quick", "glia best": "best"}
"""Glia's rows of the comparison and their effort."""

COVERAGE = 0.9
QUIET = 0.25
"""Cores: times count if everything else on the machine used no more than this, on average, while they were taken."""

Cell = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What one cell measures."""

    table: str
    model: str
    split: int
    rows: int | None
    threads: int


def error_of(task: str, y: np.ndarray, answer: np.ndarray) -> float:
    """Return the error of a task: 1 − ROC area, log-loss (nats), or RMSE in standard deviations of the truth."""
    if task == "binary":
        return 1 - float(roc_auc_score(np.unique(y, return_inverse=True)[1], answer[:, 1]))
    if task == "multiclass":
        return float(log_loss(y, answer))
    return float(np.sqrt(((y - answer) ** 2).mean()) / y.std())


def constant_error(task: str, y_train: np.ndarray, y_test: np.ndarray) -> float:
    """Return the error of the best answer that does not look at the row: the mean, or the shares of the classes."""
    if task == "regression":
        return error_of(task, y_test, np.full(len(y_test), y_train.mean()))
    shares = np.unique(y_train, return_counts=True)[1] / len(y_train)
    return error_of(task, y_test, np.tile(shares, (len(y_test), 1)))


def split_rows(table: RealTable, split: int, rows: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the rows to learn from (three quarters) and to answer."""
    y = table.load()[1].to_numpy()
    where = np.arange(len(y))
    stratify = None if table.task == "regression" else y
    if rows is not None and rows < len(y):
        where, _ = train_test_split(where, train_size=rows, stratify=stratify, random_state=0)
    kept = None if stratify is None else y[where]
    train, test = train_test_split(where, test_size=0.25, stratify=kept, random_state=split)
    return train, test


def fit_glia(effort: str, task: str, X: pl.DataFrame, y: np.ndarray, seed: int) -> tuple[Any, peers.Answerer]:
    """Fit Glia's estimator as it comes; return it and what answers rows."""
    if task == "regression":
        values = Regressor(random_state=seed, effort=effort).fit(X, y)
        return values, lambda rows: np.asarray(values.predict(rows), dtype=np.float64).reshape(-1)
    model = Classifier(random_state=seed, effort=effort).fit(X, y)
    if list(model.classes_) != list(np.unique(y)):
        raise RuntimeError("the classes are not in sorted order")
    return model, lambda rows: np.asarray(model.predict_proba(rows))


def measure(job: Job) -> Cell:
    """Fit one model on one split; a failure is a result as well."""
    table = TABLES[job.table]
    X, target = table.load()
    y = target.to_numpy()
    train, test = split_rows(table, job.split, job.rows)
    cell: Cell = {"rows": len(train), "constant": constant_error(table.task, y[train], y[test])}
    cell |= {"threads": job.threads, "load": round(os.getloadavg()[0], 2)}
    torch.set_num_threads(job.threads)
    others = _OthersUse()
    try:
        with threadpool_limits(job.threads):
            cell |= _timed(job, table.task, (X[train], y[train]), (X[test], y[test]))
    except Exception as problem:  # whatever a model does wrong belongs into its cell, not in the way of the others
        cell |= {"failed": f"{type(problem).__name__}: {problem}"[:300]}
    return cell | {"others": others.cores()}


def _timed(job: Job, task: str, train: tuple[pl.DataFrame, np.ndarray], test: tuple[pl.DataFrame, np.ndarray]) -> Cell:
    model, started = None, time.perf_counter()
    if job.model in EFFORTS:
        model, answer = fit_glia(EFFORTS[job.model], task, *train, job.split)
    else:
        answer = peers.fit(job.model, task, *train, job.split, job.threads)
    fitted = time.perf_counter()
    given = answer(test[0])
    seconds = {"fit_seconds": fitted - started, "predict_seconds": time.perf_counter() - fitted}
    cell: Cell = {**seconds, "asked": len(given), "error": error_of(task, test[1], given)}
    if model is not None and task == "regression":
        low, high = (np.asarray(bound).reshape(-1) for bound in model.predict_interval(test[0], COVERAGE))
        cell["covered"] = float(((low <= test[1]) & (test[1] <= high)).mean())
        cell["width"] = float((high - low).mean() / test[1].std())
    return cell


class _OthersUse:
    """How many cores everything but this process used since the object was made; None where that cannot be told."""

    def __init__(self) -> None:
        self.start = self._busy()

    @staticmethod
    def _busy() -> tuple[float, float, float] | None:
        stat = Path("/proc/stat")
        if not stat.exists():
            return None
        ticks = [int(one) for one in stat.read_text().split("\n", 1)[0].split()[1:9]]
        busy = sum(ticks) - ticks[3] - ticks[4]  # all but idle and waiting for a disk
        return time.perf_counter(), busy / os.sysconf("SC_CLK_TCK"), time.process_time()

    def cores(self) -> float | None:
        now = self._busy()
        if now is None or self.start is None:
            return None
        wall, busy, own = (b - a for a, b in zip(self.start, now, strict=True))
        return round(max(0.0, busy - own) / max(wall, 1e-9), 2)


def quiet(cell: Cell, threads: int) -> bool:
    """Whether a cell's times may be shown: the threads asked for, and a machine that did nothing else."""
    if cell.get("threads") != threads:
        return False
    # Short cells are blurred by the ticks that the system counts in: the load before them has to do.
    short = cell.get("fit_seconds", 0) < 0.5
    others = cell.get("others")
    return bool(cell["load"] <= threads + QUIET if short or others is None else others <= QUIET)


@cache
def stamp(model: str) -> str:
    """Return what a cell's value depends on besides the data: the code of Glia, or the version of a package."""
    if model not in EFFORTS:
        return peers.package_version(model)
    files = sorted((ROOT / "src" / "glia").rglob("*.py"))
    return "glia " + sha256("".join(f"{file.name} {sha256(file)}\n" for file in files).encode())[:12]


def key_of(job: Job) -> str:
    """Return what identifies a cell; threads are not part of it, for they change its times only."""
    # For regression its two settings are the same model.
    same = job.model == "realmlp, log-loss" and TABLES[job.table].task == "regression"
    model = "realmlp" if same else job.model
    data = f"{job.table}@{TABLES[job.table].revision}"
    code = stamp(job.model) if job.model in EFFORTS else f"{stamp(job.model)} r{peers.REVISION}"
    return f"{data} | {model} | {job.split} | {job.rows or 'all'} | {code}"


class Cells:
    """Finished cells, one JSON line each; the file is only ever appended to, and the last line of a key counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[str, Cell] = {}
        self._keys: dict[Job, str] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                with suppress(json.JSONDecodeError):  # the run was killed while it wrote its last line
                    entry = json.loads(line)
                    self.done[entry["key"]] = entry["cell"]

    def key(self, job: Job) -> str:
        """Return a job's key; the code is looked at once per run."""
        if job not in self._keys:
            self._keys[job] = key_of(job)
        return self._keys[job]

    def find(self, job: Job) -> Cell | None:
        """Return the cell if it was measured before."""
        return self.done.get(self.key(job))

    def wants(self, job: Job, limit: float, retime: bool) -> bool:
        """Whether a job is to be done: failures are tried again, and so is what went over a limit that was lower."""
        cell = self.find(job)
        if cell is None or "failed" in cell:
            return True
        if "over" in cell:
            return limit > cell["over"] or (retime and not quiet(cell, job.threads))
        return retime and job.split == 0 and not quiet(cell, job.threads)

    def put(self, job: Job, cell: Cell) -> Cell:
        """Keep a cell."""
        whole = {"table": job.table, "model": job.model, "split": job.split, **cell}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" * _is_torn(self.path) + json.dumps({"key": self.key(job), "cell": whole}) + "\n")
        self.done[self.key(job)] = whole
        return whole


def _is_torn(path: Path) -> bool:
    content = path.read_bytes()
    return bool(content) and not content.endswith(b"\n")


class Worker:
    """A process that measures, so that a model which takes too long can be stopped; it is kept for the next cell."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._start()

    def _start(self) -> None:
        os.environ["OMP_NUM_THREADS"] = str(self.threads)  # read by the libraries when the process loads them
        context = multiprocessing.get_context("spawn")
        self.here, there = context.Pipe()
        self.process = context.Process(target=_serve, args=(there,), daemon=True)
        self.process.start()
        there.close()

    def measure(self, job: Job, limit: float) -> Cell:
        """Measure within so many seconds; beyond them the cell says so and has no error."""
        load, others = round(os.getloadavg()[0], 2), _OthersUse()
        self.here.send(job)
        try:
            if self.here.poll(limit):
                return self.here.recv()  # type: ignore[no-any-return]
            outcome: Cell = {"over": limit, "others": others.cores()}
        except EOFError:
            outcome = {"failed": "the process ended, perhaps for want of memory"}
        self.close()
        self._start()
        return {"threads": self.threads, "load": load, **outcome}

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.here.close()


def _serve(pipe: Any) -> None:
    while True:
        pipe.send(measure(pipe.recv()))


def versions(models: list[str]) -> str:
    """Return what the models' cells depend on, for people."""
    known = {stamp(model) for model in models}
    if any(model in ("realmlp", "realmlp, log-loss", "tabm") for model in models):
        known.add(f"torch {version('torch')}")
    return ", ".join(sorted(known))
