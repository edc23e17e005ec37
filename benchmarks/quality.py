"""Glia's defaults against other models on real tables, in one run.

``python benchmarks/quality.py`` writes ``benchmarks/results/<date>_<hardware>_quality.md`` and its figures. Finished
cells are kept in ``.cache/quality.jsonl``: a run that was stopped goes on where it was, and a cell is done again when
the code or the package that it measures has changed. The slow peers can be filled in beforehand::

    nice -n 19 python benchmarks/quality.py --only-peers --threads 1 --groups tune check
    python benchmarks/quality.py --only-page        # from what is there
    python benchmarks/quality.py --retime           # times again, on a machine that does nothing else

Errors do not depend on the number of threads or on the load; times do, and only quiet ones count. ``--quick`` takes
few rows and one split, for trying things out.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import queue
import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import peers
import quality_cells
from glia.core.files import write_text
from quality_cells import EFFORTS, Cell, Cells, Job, Worker
from quality_page import page
from tables import GROUPS, TABLES, in_groups

ROOT = Path(__file__).parents[1]
GLIA = "glia"
SLOW = ("realmlp", "realmlp, log-loss", "tabm")


def planned(tables: Sequence[str], models: Sequence[str], splits: int, rows: int | None, threads: int) -> list[Job]:
    """Return the jobs, the cheapest models first; of the slow ones, the first split of all tables before the second."""
    order = [*peers.names(), *EFFORTS]
    quick = [model for model in order if model in models and model not in SLOW]
    slow = [model for model in order if model in models and model in SLOW]
    jobs = [Job(table, model, split, rows, threads) for model in quick for split in range(splits) for table in tables]
    return jobs + [
        Job(name, model, split, rows, threads) for split in range(splits) for model in slow for name in tables
    ]


def fill(store: Cells, jobs: Sequence[Job], given: argparse.Namespace) -> None:
    """Measure what is missing, until the budget is spent."""
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        if store.wants(job, given.cell_limit or float("inf"), given.retime):
            waiting.put(job)
    total, lock, started = waiting.qsize(), threading.Lock(), time.monotonic()
    print(f"{total} of {len(jobs)} cells to measure", flush=True)

    def work() -> None:
        worker = Worker(given.threads) if given.cell_limit else None
        try:
            while time.monotonic() - started < given.budget_seconds:
                try:
                    job = waiting.get_nowait()
                except queue.Empty:
                    return
                cell = worker.measure(job, given.cell_limit) if worker else quality_cells.measure(job)
                with lock:
                    told(store.put(job, cell), f"{total - waiting.qsize()}/{total}")
        finally:
            if worker:
                worker.close()

    threads = [threading.Thread(target=work) for _ in range(given.jobs if given.cell_limit else 1)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def told(cell: Cell, place: str) -> None:
    """Print a line about a cell."""
    limit = f"over {cell['over']:g} s" if "over" in cell else ""
    outcome = f"{cell['error']:.4f}" if "error" in cell else limit or cell["failed"]
    seconds = f"{cell['fit_seconds']:.1f} s" if "fit_seconds" in cell else ""
    print(f"{place:>9}  {cell['table']:13} {cell['model']:16} {cell['split']}  {outcome}  {seconds}", flush=True)


def finished(store: Cells, jobs: Sequence[Job], models: Sequence[str]) -> tuple[list[Cell], list[str]]:
    """Return the cells of splits that every model has, and the tables that have none."""
    found = {job: cell for job in jobs if (cell := store.find(job)) is not None}
    there = {(job.table, job.split, job.model) for job in found}
    whole = {(table, split) for table, split, _ in there if all((table, split, model) in there for model in models)}
    names = list(dict.fromkeys(job.table for job in jobs))
    cells = [cell | {"model": job.model} for job, cell in found.items() if (job.table, job.split) in whole]
    cells.sort(key=lambda cell: (names.index(cell["table"]), cell["split"]))
    return cells, [name for name in names if name not in {table for table, _ in whole}]


def hardware_name() -> str:
    """Return processor and number of cores, for people."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return f"{os.cpu_count()} cores, {found.group(1).strip() if found else platform.processor() or platform.machine()}"


def arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=["tables"], default="tables")
    parser.add_argument("--groups", nargs="+", choices=list(GROUPS), default=["tune", "check", "untouched"])
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), help="these instead of whole groups")
    parser.add_argument("--models", nargs="+", choices=[*EFFORTS, *peers.names()])
    parser.add_argument("--effort", default="default", help="Glia's rows: quick,default,best")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--rows", type=int, default=0, help="at most so many rows of each table; 0: all, up to 50,000")
    parser.add_argument("--quick", action="store_true", help="1,200 rows and one split; the page goes to .cache/")
    parser.add_argument("--only-peers", action="store_true", help="measure everything but Glia, write no page")
    parser.add_argument("--only-page", action="store_true", help="measure nothing, write the page from what is there")
    parser.add_argument("--retime", action="store_true", help="fit the first split again where its times do not count")
    parser.add_argument("--budget-seconds", type=float, default=float("inf"), help="begin no cell after so long")
    parser.add_argument("--cell-limit", type=float, default=600.0, help="seconds of one cell; 0: none, in this process")
    parser.add_argument("--jobs", type=int, default=1, help="cells at a time; times count with one only")
    parser.add_argument("--threads", type=int, default=2, help="threads of every model")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "quality.jsonl")
    parser.add_argument("--out", type=Path, help="where to write the page")
    given = parser.parse_args()
    if given.quick:
        given.rows, given.splits = min(given.rows or 1200, 1200), 1
    glia = [name for name, effort in EFFORTS.items() if effort in given.effort.split(",")]
    given.models = given.models or [*glia, *peers.names(aside=False)]
    if given.only_peers:
        given.models = [model for model in given.models if model not in EFFORTS]
    return given


def main() -> None:
    given = arguments()
    names = []
    for name in given.tables or in_groups(given.groups):
        if TABLES[name].here:
            names.append(name)
        else:
            print(f"{name}: left out, its package is not installed: {TABLES[name].bring}")
    if not names:
        raise SystemExit("no table could be read; the lines above say what brings each")
    jobs = planned(names, given.models, given.splits, given.rows or None, given.threads)
    store = Cells(given.cache)
    if not given.only_page:
        fill(store, jobs, given)
    if given.only_peers:
        return
    cells, unfinished = finished(store, jobs, given.models)
    if not cells:
        raise SystemExit("no table has cells of every model yet")
    hardware, date = hardware_name(), datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    remark = f"up to {given.splits} splits, {f'at most {given.rows:,}' if given.rows else 'all'} rows"
    remark += f", {given.threads} threads; {quality_cells.versions(given.models)}"
    head = f"{date} · {hardware} · {remark}"
    if unfinished:
        head += f"\n\nNot finished, and left out: {', '.join(unfinished)}."
    slug = re.sub(r"[^a-z0-9]+", "-", hardware.lower()).strip("-")
    folder = ROOT / ".cache" if given.quick else ROOT / "benchmarks" / "results"
    path = given.out or folder / f"{date}_{slug}_quality.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page(cells, given.models, given.threads, head, path))
    print(f"written: {path}")


if __name__ == "__main__":
    main()
