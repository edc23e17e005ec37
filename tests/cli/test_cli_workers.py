"""``glia fit --workers 2``: one run by two processes, told of as by one."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from glia.data import bundled
from glia.report.run_folder import RunFolder

QUICK = ["--no-baselines", "--bootstrap", "0", "--importance-repeats", "0", "--epochs", "3"]


def glia(*arguments, **more):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", "glia", *map(str, arguments)], **pipes, **more)


def losses(folder):
    lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return [(entry["train/loss"], entry["valid/loss"], entry["valid/accuracy"]) for entry in map(json.loads, lines)]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    bundled.load("breast_cancer").write_csv(path)
    return path


def test_two_workers_write_the_run_of_one_and_are_told_of_once(tmp_path, table):
    common = [table, "--target", "diagnosis", "--members", 1, *QUICK]
    alone = glia("fit", *common, "--out", tmp_path / "one", "--json")
    one = json.loads(alone.communicate(timeout=200)[0])
    both = glia("fit", *common, "--out", tmp_path / "two", "--workers", 2, "--json")
    said = both.communicate(timeout=200)
    assert (both.returncode, said[1]) == (0, "")
    two = json.loads(said[0])
    assert two["metrics"]["test"].keys() == one["metrics"]["test"].keys()
    for a, b in zip(losses(tmp_path / "one"), losses(tmp_path / "two"), strict=True):
        assert a == pytest.approx(b, abs=1e-5)
    assert RunFolder(tmp_path / "two").complete


@pytest.mark.slow
def test_an_error_of_all_workers_is_said_once_with_its_status(tmp_path, table):
    process = glia("fit", table, "--target", "nothing", "--out", tmp_path / "run", "--workers", 2, "--quiet")
    said = process.communicate(timeout=200)[1]
    assert (process.returncode, said.count("the target must be a column")) == (2, 1)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_ctrl_c_keeps_the_best_weights_and_is_said_once(tmp_path, table):
    out = tmp_path / "run"
    often = ["--epochs", "4000", "--early-stopping", "4000", "--checkpoint-every", "0.2s"]
    process = glia("fit", table, "--target", "diagnosis", *QUICK, *often, "--out", out, "--workers", 2, "--quiet")
    deadline = time.monotonic() + 200
    while not RunFolder(out).kept:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    said = process.communicate(timeout=100)[1]
    assert process.returncode == 130
    assert said.count("glia: interrupted") == 1
    assert (out / "model.glia").exists()
