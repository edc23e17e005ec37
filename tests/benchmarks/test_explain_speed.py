"""The benchmark of explanations: its errors are of the exact values, and a stopped run goes on."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import torch

FILE = Path(__file__).parents[2] / "benchmarks" / "explain_speed.py"


def load():
    spec = importlib.util.spec_from_file_location("explain_speed", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["explain_speed"] = module
    spec.loader.exec_module(module)
    return module


def test_a_short_run_and_its_continuation(tmp_path, capsys):
    bench = load()
    cells, out = tmp_path / "cells.jsonl", tmp_path / "page.md"
    words = [
        "--rows",
        "2",
        "--features",
        "5",
        "--background",
        "6",
        "--width",
        "8",
        "--exact-rows",
        "1",
        "--repeats",
        "1",
        "--packages",
        "glia",
    ]
    words += ["--cells", str(cells), "--out", str(out)]
    bench.main(words)
    lines = [json.loads(line) for line in cells.read_text().splitlines()]
    assert lines[0]["name"] == "exact" and len(lines) == 5
    first = out.read_text()
    for line in lines[1:3]:
        assert line["share"] < 0.2  # permutations of five columns are nearly exact
    assert re.search(r"\| glia permutation, default \| \d+\.\d{3} ", first) and "Goal: " not in first  # other sizes
    cells.write_text("\n".join(cells.read_text().splitlines()[:3]) + "\n")  # as if it had been stopped
    bench.main(words)
    again = [json.loads(line) for line in cells.read_text().splitlines()]
    assert again[:3] == lines[:3] and [line["name"] for line in again] == [line["name"] for line in lines]
    capsys.readouterr()


def test_exact_values_are_those_of_all_coalitions():
    bench = load()
    torch.manual_seed(0)
    linear = torch.nn.Sequential(torch.nn.Linear(4, 1))
    rng = np.random.default_rng(0)
    x, back = rng.normal(size=(2, 4)).astype(np.float32), rng.normal(size=(7, 4)).astype(np.float32)
    want = (x - back.mean(0)) * linear[0].weight.detach().numpy()
    np.testing.assert_allclose(bench.exact(linear, x, back), want, atol=1e-5)
