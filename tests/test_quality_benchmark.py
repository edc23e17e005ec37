"""The quality benchmark: that a stopped run goes on, and what is measured, kept, left out and shown."""

from __future__ import annotations

import json
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")
PARTS = "quality", "quality_cells", "quality_page", "quality_plots", "quality_stats"
MODULES = (*PARTS, "peers", "peers_networks", "tables", "tables_read")


@pytest.fixture
def quality(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import quality

    yield quality
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def cells(quality):
    return sys.modules["quality_cells"]


@pytest.fixture
def tables(quality):
    return sys.modules["tables"]


def test_errors_against_worked_examples(cells):
    labels = np.array(["a", "b", "a", "b"])
    p = np.array([0.1, 0.3, 0.4, 0.9])  # of four pairs of a and b one is in the wrong order
    assert cells.error_of("binary", labels, np.column_stack([1 - p, p])) == pytest.approx(1 / 4)
    classes = np.array([0, 1, 2])
    assert cells.error_of("multiclass", classes, np.full((3, 3), 1 / 3)) == pytest.approx(np.log(3))
    y = np.array([1.0, 2.0, 3.0])
    assert cells.error_of("regression", y, np.full(3, 2.0)) == pytest.approx(1.0)


def test_the_constant_answer_comes_from_the_training_rows(cells):
    y = np.array([1.0, 2.0, 3.0])
    assert cells.constant_error("regression", np.array([4.0]), y) == pytest.approx(np.sqrt((9 + 4 + 1) / 2))
    train, test = np.array(["a", "b", "b", "b"]), np.array(["a", "b"])
    expected = -(np.log(1 / 4) + np.log(3 / 4)) / 2
    assert cells.constant_error("multiclass", train, test) == pytest.approx(expected)
    assert cells.constant_error("binary", train, test) == pytest.approx(0.5)


def test_a_cell_scores_the_answer_by_hand(cells):
    job = cells.Job("wine", "linear", 0, None, 1)
    cell = cells.measure(job)
    train, test = cells.split_rows(cells.TABLES["wine"], 0, None)
    assert not set(train) & set(test) and len(train) + len(test) == 178
    X, y = cells.TABLES["wine"].load()
    y = y.to_numpy()
    p = cells.peers.fit("linear", "multiclass", X[train], y[train], 0, 1)(X[test])
    places = np.searchsorted(np.unique(y), y[test])
    assert cell["error"] == pytest.approx(-np.log(p[np.arange(len(test)), places]).mean())
    assert (cell["rows"], cell["asked"], cell["threads"]) == (len(train), len(test), 1)
    assert cell["fit_seconds"] > 0 and cell["predict_seconds"] > 0 and cell["load"] >= 0


def test_quiet_needs_the_threads_and_an_idle_machine(cells):
    cell = {"threads": 2, "load": 9.0, "others": 0.1, "fit_seconds": 3.0}
    assert cells.quiet(cell, 2)
    assert not cells.quiet(cell, 1)
    assert not cells.quiet(cell | {"others": 0.9}, 2)
    assert not cells.quiet(cell | {"fit_seconds": 0.1}, 2)  # too short for the clock: the load decides
    assert cells.quiet(cell | {"fit_seconds": 0.1, "load": 2.0}, 2)
    assert cells.quiet(cell | {"others": None, "load": 2.0}, 2)


def test_keys_hold_what_an_error_depends_on(cells, monkeypatch):
    job = cells.Job("wine", "linear", 0, None, 1)
    assert cells.key_of(job) == cells.key_of(replace(job, threads=2))
    for other in ({"table": "digits"}, {"split": 1}, {"rows": 100}, {"model": "neighbours"}):
        assert cells.key_of(job) != cells.key_of(replace(job, **other))
    before = cells.key_of(job)
    monkeypatch.setitem(cells.TABLES, "wine", replace(cells.TABLES["wine"], revision=9))
    assert cells.key_of(job) != before
    monkeypatch.setattr(cells, "stamp", lambda model: "a 1")
    settings = [cells.key_of(cells.Job("ames", model, 0, None, 1)) for model in ("realmlp", "realmlp, log-loss")]
    assert settings[0] == settings[1]  # for regression they are the same model
    classes = [cells.key_of(cells.Job("wine", model, 0, None, 1)) for model in ("realmlp", "realmlp, log-loss")]
    assert classes[0] != classes[1]


def test_what_is_tried_again(cells, tmp_path):
    store, job = cells.Cells(tmp_path / "cells.jsonl"), cells.Job("wine", "linear", 0, None, 2)
    busy = {"error": 0.1, "threads": 2, "load": 9.0, "others": 1.5, "fit_seconds": 3.0}
    assert store.wants(job, 10, retime=False)
    store.put(job, busy)
    assert not store.wants(job, 10, retime=False) and store.wants(job, 10, retime=True)
    store.put(job, busy | {"others": 0.0})
    assert not store.wants(job, 10, retime=True)
    store.put(job, {"over": 10, "threads": 2, "load": 0.1, "others": 0.0})
    assert not store.wants(job, 10, retime=True) and store.wants(job, 20, retime=False)
    store.put(job, {"failed": "out of memory"})
    assert store.wants(job, 10, retime=False)
    assert cells.Cells(store.path).find(job) == {"table": "wine", "model": "linear", "split": 0} | {
        "failed": "out of memory"
    }


def test_groups_are_large_enough_and_share_no_source(tables):
    for group, least in (("tune", 8), ("check", 8), ("untouched", 4)):
        of = [tables.TABLES[name] for name in tables.in_groups([group])]
        assert len(of) >= least
        assert {table.task for table in of} == {"binary", "multiclass", "regression"}
        assert all(table.bring or not table.package for table in of)
    sources = [table.source for table in tables.TABLES.values()]
    assert len(set(sources)) == len(sources)


def test_a_sample_is_drawn_once_and_rare_classes_are_left_out(tables):
    read = sys.modules["tables_read"]
    frame = pl.DataFrame({"i": range(1000), "c": ["a"] * 990 + ["b"] * 10})
    drawn = read.some(frame, 100)
    assert drawn.equals(read.some(frame, 100)) and drawn["i"].n_unique() == 100
    assert read.some(frame, 1000) is frame
    assert read.common(frame, "c", 0.011)["c"].unique().to_list() == ["a"]
    assert read.common(frame, "c", 0.01).height == 1000


class _Recorder:
    """Stands for a model of pytabkit: remembers what it was handed."""

    def __init__(self, **options):
        self.options, self.seen = options, []

    def fit(self, frame, y, cat_col_names):
        self.seen.append((frame, cat_col_names))

    def predict(self, frame):
        self.seen.append((frame, None))
        return np.zeros(len(frame))


def test_pytabkit_gets_text_categories_and_filled_numbers(quality, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytabkit", types.SimpleNamespace(RealMLP_TD_Regressor=_Recorder))
    coded = np.array([False, True, False])
    model = sys.modules["peers_networks"].RealMLP(False, coded, 5, 1)
    X = np.array([[1.0, 0.0, 10.0], [3.0, np.nan, np.nan], [8.0, 2.0, 20.0]])
    model.fit(X, np.zeros(3))
    model.predict(np.array([[np.nan, 1.0, np.nan]]))
    (train, names), (test, _) = model.model.seen
    assert names == ["0"] and train["0"].tolist() == ["0", "nan", "2"]
    # Numbers, then the column that says where the second was missing; 15 is the median of 10 and 20.
    assert train.iloc[:, 1:].to_numpy().tolist() == [[1, 10, 0], [3, 15, 1], [8, 20, 0]]
    assert test.iloc[0].tolist() == ["1", 3.0, 15.0, 1.0]  # the median of 1, 3, 8: training rows only
    assert model.model.options == {"device": "cpu", "random_state": 5, "n_threads": 1, "verbosity": 0}


def run(quality, monkeypatch, tmp_path, *arguments, limit="0"):
    cache, out = tmp_path / "cells.jsonl", tmp_path / "page.md"
    fixed = ["quality.py", "--cache", str(cache), "--out", str(out), "--tables", "wine", "breast_cancer"]
    monkeypatch.setattr(sys, "argv", [*fixed, "--threads", "1", "--cell-limit", limit, *arguments])
    quality.main()
    return cache, out.read_text() if out.exists() else ""


def test_a_stopped_run_goes_on(quality, cells, monkeypatch, tmp_path):
    arguments = ("--models", "linear", "neighbours", "--splits", "2")
    cache, page = run(quality, monkeypatch, tmp_path, *arguments)
    lines = cache.read_text().splitlines()
    assert len(lines) == 8 and all("error" in json.loads(line)["cell"] for line in lines)
    assert "| wine | log-loss | " in page and "| model | mean rank |" in page and " cores, " in page
    cache.write_text("\n".join(lines[:5]) + "\n" + lines[5][:30])  # killed in the middle of a line
    measured, measure = [], cells.measure
    monkeypatch.setattr(cells, "measure", lambda job: measured.append((job.model, job.split)) or measure(job))
    _, again = run(quality, monkeypatch, tmp_path, *arguments)
    assert measured == [("neighbours", 0), ("neighbours", 1), ("neighbours", 1)]
    errors = [text.split("| table | error |")[1].split("Seconds")[0] for text in (page, again)]
    assert errors[0] == errors[1]
    measured.clear()
    run(quality, monkeypatch, tmp_path, *arguments)
    run(quality, monkeypatch, tmp_path, *arguments, "--only-page")
    assert measured == []


def test_peers_beforehand_and_the_page_from_what_is_there(quality, cells, monkeypatch, tmp_path):
    cache, page = run(quality, monkeypatch, tmp_path, "--models", "glia", "linear", "--splits", "1", "--only-peers")
    assert page == ""
    assert [json.loads(line)["cell"]["model"] for line in cache.read_text().splitlines()] == ["linear"] * 2
    with pytest.raises(SystemExit, match="no table has cells of every model"):
        run(quality, monkeypatch, tmp_path, "--models", "glia", "linear", "--splits", "1", "--only-page")
    store = cells.Cells(cache)
    store.put(cells.Job("wine", "glia", 0, None, 1), {"error": 0.01, "fit_seconds": 1.0, "load": 0, "threads": 1})
    _, page = run(quality, monkeypatch, tmp_path, "--models", "glia", "linear", "--splits", "1", "--only-page")
    assert "Not finished, and left out: breast_cancer." in page
    assert "| wine | log-loss | **0.0100** |" in page
    with pytest.raises(SystemExit, match="no table has cells of every model"):
        run(quality, monkeypatch, tmp_path, "--models", "neighbours", "linear", "--budget-seconds", "0")
    assert len(cache.read_text().splitlines()) == 3


def test_a_model_over_the_limit_is_stopped_and_comes_last(quality, monkeypatch, tmp_path):
    arguments = ("--models", "neighbours", "--splits", "1")
    cache, _ = run(quality, monkeypatch, tmp_path, *arguments, "--only-peers", limit="0.01")
    assert [json.loads(line)["cell"]["over"] for line in cache.read_text().splitlines()] == [0.01, 0.01]
    run(quality, monkeypatch, tmp_path, "--models", "linear", "--splits", "1", "--only-peers")
    _, page = run(quality, monkeypatch, tmp_path, "--models", "neighbours", "linear", "--splits", "1", "--only-page")
    assert "| over the limit |" in page
    assert "| neighbours | 2.00 | 1.000 |" in page and "| linear | 1.00 | 0.000 |" in page


def test_a_model_that_fails_is_shown_and_loses(quality, cells, monkeypatch, tmp_path):
    def broken(*_):
        raise RuntimeError("the loss is not finite")

    monkeypatch.setattr(cells, "fit_glia", broken)
    _, page = run(quality, monkeypatch, tmp_path, "--models", "glia", "linear", "--splits", "1")
    assert "| 0 | 0 | 2 |" in next(line for line in page.splitlines() if line.startswith("| linear | 1.00"))
    assert "- wine, glia, split 0: RuntimeError: the loss is not finite" in page


def test_efforts_are_rows_and_points_of_a_curve(quality, cells, monkeypatch, tmp_path):
    seen = []

    def fit(effort, task, X, y, seed):
        seen.append(effort)
        shares = np.unique(y, return_counts=True)[1] / len(y)
        return None, lambda rows: np.tile(shares, (rows.height, 1))

    monkeypatch.setattr(cells, "fit_glia", fit)
    _, page = run(quality, monkeypatch, tmp_path, "--effort", "quick,default", "--models", "glia", "linear")
    assert set(seen) == {"default"}  # models that are named are those that run
    monkeypatch.setattr(cells.peers, "names", lambda aside=True: ["linear"])
    _, page = run(quality, monkeypatch, tmp_path, "--effort", "quick,default")
    assert set(seen) == {"default", "quick"}
    assert "Error against time" in page and (tmp_path / "page_small_curve.svg").exists()
    assert (tmp_path / "page_small_ranks.svg").exists()


def test_a_missing_package_is_named_by_its_command(quality, tables, monkeypatch, tmp_path, capsys):
    gone = replace(tables.TABLES["wine"], package="not_a_package_here", bring="pip install it==1")
    monkeypatch.setitem(tables.TABLES, "wine", gone)
    run(quality, monkeypatch, tmp_path, "--models", "linear", "--splits", "1")
    assert "wine: left out, its package is not installed: pip install it==1" in capsys.readouterr().out
    assert not replace(gone, package="numpy", file="no/such/file").here
