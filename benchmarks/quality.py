"""Glia's default estimator against classic peers on real tables, in one run.

``python benchmarks/quality.py`` writes ``benchmarks/results/<date>_<hardware>_quality.md``. Finished cells are kept in
``.cache/quality.jsonl``: a run that was stopped goes on where it was, and a cell is done again when the code or the
package that it measures has changed. ``--quick`` takes few rows and one split, for trying things out.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

import peers
from glia.core.files import sha256, write_text
from tables import TABLES, RealTable

ROOT = Path(__file__).parents[1]
ERRORS = {"binary": "1 − ROC area", "multiclass": "log-loss", "regression": "RMSE ÷ sd"}
GLIA = "glia"
Cell = dict[str, Any]


def error_of(task: str, y: np.ndarray, answer: np.ndarray) -> float:
    """Return the error of a task: 1 − ROC area, log-loss (nats), or RMSE in standard deviations of the truth."""
    if task == "binary":
        return 1 - float(roc_auc_score(np.unique(y, return_inverse=True)[1], answer[:, 1]))
    if task == "multiclass":
        return float(log_loss(y, answer))
    return float(np.sqrt(((y - answer) ** 2).mean()) / y.std())


def glia_answer(task: str, X_train: pl.DataFrame, y_train: np.ndarray, X_test: pl.DataFrame, seed: int) -> np.ndarray:
    """Fit Glia's default estimator and answer the test rows."""
    from glia import Classifier, Regressor

    if task == "regression":
        return np.asarray(Regressor(random_state=seed).fit(X_train, y_train).predict(X_test)).reshape(-1)
    model = Classifier(random_state=seed).fit(X_train, y_train)
    if list(model.classes_) != list(np.unique(y_train)):
        raise RuntimeError("the classes are not in sorted order")
    return np.asarray(model.predict_proba(X_test))


def measure(table: RealTable, model: str, split: int, rows: int | None) -> Cell:
    """Fit one model on one split; a failure is a result as well."""
    X, target = table.load()
    y = target.to_numpy()
    where = np.arange(len(y))
    stratify = None if table.task == "regression" else y
    if rows is not None and rows < len(y):
        where, _ = train_test_split(where, train_size=rows, stratify=stratify, random_state=0)
    train, test = train_test_split(
        where, test_size=0.25, stratify=None if stratify is None else y[where], random_state=split
    )
    started = time.perf_counter()
    try:
        if model == GLIA:
            answer = glia_answer(table.task, X[train], y[train], X[test], split)
        else:
            answer = peers.answer(model, table.task, X[train], y[train], X[test], split)
        outcome: Cell = {"seconds": time.perf_counter() - started, "error": error_of(table.task, y[test], answer)}
    except Exception as problem:  # whatever a model does wrong belongs into its cell, not in the way of the others
        outcome = {"seconds": time.perf_counter() - started, "failed": f"{type(problem).__name__}: {problem}"[:300]}
    return {"rows": len(train), **outcome}


def stamp(model: str) -> str:
    """Return what a cell's value depends on besides the data: the code of Glia, or the version of a package."""
    if model != GLIA:
        return peers.package_version(model)
    files = sorted((ROOT / "src" / "glia").rglob("*.py"))
    return "glia " + sha256("".join(f"{file.name} {sha256(file)}\n" for file in files).encode())[:12]


class Cells:
    """Finished cells, one JSON line each; the file is only ever appended to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[str, Cell] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:  # the run was killed while it wrote its last line
                    continue
                self.done[entry["key"]] = entry["cell"]

    def get(self, table: RealTable, model: str, split: int, rows: int | None) -> Cell:
        """Return a cell, measured now unless it is there already; failures are tried again."""
        key = f"{table.name} | {model} | {split} | {rows or 'all'} | {stamp(model)}"
        if "error" not in self.done.get(key, {}):
            cell = {"table": table.name, "model": model, "split": split, **measure(table, model, split, rows)}
            self.done[key] = cell
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n" * _is_torn(self.path) + json.dumps({"key": key, "cell": cell}) + "\n")
        return self.done[key]


def _is_torn(path: Path) -> bool:
    content = path.read_bytes()
    return bool(content) and not content.endswith(b"\n")


def means(cells: Iterable[Cell]) -> dict[str, dict[str, list[float]]]:
    """Return table → model → errors by split; infinite where a model failed."""
    grouped: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        grouped.setdefault(cell["table"], {}).setdefault(cell["model"], []).append(cell.get("error", float("inf")))
    return grouped


def compare(ours: list[float], theirs: list[float]) -> str:
    """Return win, tie or loss: a difference counts if every split agrees and its mean is above one per cent."""
    if not np.isfinite(ours).all() or not np.isfinite(theirs).all():
        return "tie" if not np.isfinite([*ours, *theirs]).any() else "win" if np.isfinite(ours).all() else "loss"
    gain = np.array(theirs) - np.array(ours)
    if abs(gain.mean()) <= 0.01 * np.mean(theirs):
        return "tie"
    return "win" if (gain > 0).all() else "loss" if (gain < 0).all() else "tie"


def ranks(grouped: dict[str, dict[str, list[float]]], models: list[str]) -> dict[str, float]:
    """Return model → mean rank over the tables (1 is best; equals share a rank)."""
    rows = []
    for errors in grouped.values():
        level = np.array([np.mean(errors[model]) for model in models])
        rows.append([(level < one).sum() + (np.sum(level == one) + 1) / 2 for one in level])
    return dict(zip(models, np.mean(rows, axis=0).tolist(), strict=True))


def report(cells: list[Cell], models: list[str], hardware: str, date: str, remark: str) -> str:
    """Return the Markdown page."""
    grouped = means(cells)
    seconds = {
        (name, model): np.mean([c["seconds"] for c in cells if (c["table"], c["model"]) == (name, model)])
        for name in grouped
        for model in models
    }
    ranked = ranks(grouped, models)
    ordered = sorted(models, key=ranked.__getitem__)
    head = f"| table | error | {' | '.join(ordered)} |\n|---|---|{'--:|' * len(ordered)}"
    errors, times = [head], [head.replace("| error |", "| rows |")]
    for name, by_model in grouped.items():
        best = min(np.mean(by_model[model]) for model in ordered)
        shown = " | ".join(_shown(by_model[model], best) for model in ordered)
        errors.append(f"| {name} | {ERRORS[TABLES[name].task]} | {shown} |")
        rows = next(c["rows"] for c in cells if c["table"] == name)
        times.append(f"| {name} | {rows:,} | {' | '.join(f'{seconds[name, model]:.2f}' for model in ordered)} |")
    errors.append(f"| **mean rank** | | {' | '.join(f'{ranked[model]:.2f}' for model in ordered)} |")
    failed = [f"- {c['table']}, {c['model']}, split {c['split']}: {c['failed']}" for c in cells if "failed" in c]
    sections = [
        f"# Quality of the defaults against classic models\n\n{date} · {hardware} · {remark}",
        "Every model has its default settings and the same rows: three quarters to learn from, one quarter to answer. "
        "Mean error over the splits, ± half the range; lower is better; the best is bold.",
        "\n".join(errors),
        *_versus(grouped, ordered),
        "Seconds to prepare, fit and answer, mean over the splits:\n\n" + "\n".join(times),
        "Tables: " + "; ".join(f"{name} ({TABLES[name].source}; {TABLES[name].licence})" for name in grouped) + ".",
        *(["Failures:\n\n" + "\n".join(failed)] if failed else []),
    ]
    return "\n\n".join(sections) + "\n"


def _shown(errors: list[float], best: float) -> str:
    if not np.isfinite(errors).all():
        return "failed"
    text = f"{np.mean(errors):.4f}" + (f" ± {(max(errors) - min(errors)) / 2:.4f}" if len(errors) > 1 else "")
    return f"**{text}**" if np.mean(errors) == best else text


def _versus(grouped: dict[str, dict[str, list[float]]], models: list[str]) -> list[str]:
    if GLIA not in models:
        return []
    lines = ["| Glia against | wins | ties | losses |", "|---|--:|--:|--:|"]
    for model in (one for one in models if one != GLIA):
        outcomes = [compare(errors[GLIA], errors[model]) for errors in grouped.values()]
        lines.append(f"| {model} | {outcomes.count('win')} | {outcomes.count('tie')} | {outcomes.count('loss')} |")
    return ["A win or loss is a difference above 1 % on which all splits agree.\n\n" + "\n".join(lines)]


def hardware_name() -> str:
    """Return processor and number of cores, for people."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return f"{os.cpu_count()} cores, {found.group(1).strip() if found else platform.processor() or platform.machine()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--models", nargs="+", choices=[GLIA, *peers.names()], default=[GLIA, *peers.names()])
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--rows", type=int, help="at most so many rows of each table")
    parser.add_argument("--quick", action="store_true", help="1,200 rows and one split; the page goes to .cache/")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "quality.jsonl")
    parser.add_argument("--out", type=Path, help="where to write the page")
    given = parser.parse_args()
    rows, splits = (given.rows or 1200, 1) if given.quick else (given.rows, given.splits)
    cells, store = [], Cells(given.cache)
    for table in (TABLES[name] for name in given.tables):
        if not table.here:
            print(f"{table.name}: left out, its package is not installed: {table.bring}")
            continue
        for model in given.models:
            for split in range(splits):
                cell = store.get(table, model, split, rows)
                print(f"{table.name:14} {model:16} {split}  {cell.get('error', cell.get('failed'))}", flush=True)
                cells.append(cell)
    if not cells:
        raise SystemExit("no table could be read; the lines above say what brings each")
    hardware, date = hardware_name(), datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    remark = ("one split" if splits == 1 else f"{splits} splits") + (f", at most {rows:,} rows" if rows else "")
    remark += "; " + ", ".join(sorted({stamp(model) for model in given.models}))
    slug = re.sub(r"[^a-z0-9]+", "-", hardware.lower()).strip("-")
    folder = ROOT / ".cache" if given.quick else ROOT / "benchmarks" / "results"
    path = given.out or folder / f"{date}_{slug}_quality.md"
    write_text(path, report(cells, given.models, hardware, date, remark))
    print(f"written: {path}")


if __name__ == "__main__":
    main()
