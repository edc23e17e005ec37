"""The quality benchmark: its sums against worked examples, and that a stopped run goes on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")


@pytest.fixture
def quality(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import quality

    yield quality
    for name in ("quality", "peers", "tables"):
        sys.modules.pop(name, None)


def test_errors_against_worked_examples(quality):
    labels = np.array(["a", "b", "a", "b"])
    p = np.array([0.1, 0.3, 0.4, 0.9])  # of four pairs of a and b one is in the wrong order
    assert quality.error_of("binary", labels, np.column_stack([1 - p, p])) == pytest.approx(1 / 4)
    classes = np.array([0, 1, 2])
    assert quality.error_of("multiclass", classes, np.full((3, 3), 1 / 3)) == pytest.approx(np.log(3))
    y = np.array([1.0, 2.0, 3.0])
    assert quality.error_of("regression", y, np.full(3, 2.0)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        ([0.10, 0.11, 0.12], [0.20, 0.21, 0.22], "win"),
        ([0.20, 0.21, 0.22], [0.10, 0.11, 0.12], "loss"),
        ([0.1000, 0.1000], [0.1005, 0.1005], "tie"),  # half a per cent
        ([0.10, 0.30], [0.20, 0.29], "tie"),  # the splits disagree
        ([0.5], [np.inf], "win"),
        ([np.inf], [0.5], "loss"),
        ([np.inf], [np.inf], "tie"),
    ],
)
def test_wins_ties_and_losses(quality, ours, theirs, outcome):
    assert quality.compare(ours, theirs) == outcome


def test_ranks_share_equal_places(quality):
    grouped = {"t": {"a": [1.0], "b": [2.0], "c": [2.0]}, "u": {"a": [3.0], "b": [1.0], "c": [np.inf]}}
    assert quality.ranks(grouped, ["a", "b", "c"]) == {"a": 1.5, "b": 1.75, "c": 2.75}


def run(quality, monkeypatch, tmp_path, *arguments):
    cache, out = tmp_path / "cells.jsonl", tmp_path / "page.md"
    fixed = ["quality.py", "--cache", str(cache), "--out", str(out), "--tables", "wine", "breast_cancer"]
    monkeypatch.setattr(sys, "argv", [*fixed, *arguments])
    quality.main()
    return cache, out.read_text()


def test_a_stopped_run_goes_on(quality, monkeypatch, tmp_path):
    arguments = ("--models", "linear", "neighbours", "--splits", "2")
    cache, page = run(quality, monkeypatch, tmp_path, *arguments)
    lines = cache.read_text().splitlines()
    assert len(lines) == 8 and all("error" in json.loads(line)["cell"] for line in lines)
    assert "| wine | log-loss | " in page and "**mean rank**" in page and " cores, " in page
    cache.write_text("\n".join(lines[:5]) + "\n" + lines[5][:30])  # killed in the middle of a line
    measured, measure = [], quality.measure
    monkeypatch.setattr(quality, "measure", lambda *cell: measured.append(cell[1:3]) or measure(*cell))
    _, again = run(quality, monkeypatch, tmp_path, *arguments)
    assert measured == [("linear", 1), ("neighbours", 0), ("neighbours", 1)]
    assert again.split("Seconds")[0] == page.split("Seconds")[0]
    measured.clear()
    run(quality, monkeypatch, tmp_path, *arguments)
    assert measured == []


def test_a_model_that_fails_is_shown_and_loses(quality, monkeypatch, tmp_path):
    def broken(*_):
        raise RuntimeError("the loss is not finite")

    monkeypatch.setattr(quality, "glia_answer", broken)
    _, page = run(quality, monkeypatch, tmp_path, "--models", "glia", "linear", "--splits", "1")
    assert "| linear | 0 | 0 | 2 |" in page
    assert "- wine, glia, split 0: RuntimeError: the loss is not finite" in page


def test_a_missing_package_is_named_by_its_command(quality, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(
        quality.TABLES,
        "wine",
        quality.TABLES["wine"].__class__(
            "wine", "multiclass", "grower", "", "", list, "not_a_package_here", "pip install it==1"
        ),
    )
    run(quality, monkeypatch, tmp_path, "--models", "linear", "--splits", "1")
    assert "wine: left out, its package is not installed: pip install it==1" in capsys.readouterr().out
