"""Each example runs on a small share of its data, and what it prints is true."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


@pytest.fixture
def run(capsys, monkeypatch):
    def run_example(name, rows=800):
        monkeypatch.setenv("GLIA_EXAMPLE_ROWS", str(rows))
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run_example


@pytest.fixture(autouse=True)
def global_random_state():
    """Examples seed torch as a user would; other tests must not notice."""
    with torch.random.fork_rng():
        yield


def number(pattern, text):
    found = re.search(pattern, text)
    assert found, f"nothing like {pattern!r} in:\n{text}"
    return float(found.group(1).replace(",", ""))


def test_every_example_is_short_and_tested():
    files = {path.stem: path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.py")}
    of_sequences = ROOT / "tests" / "estimators" / "test_estimators_sequence_examples.py"
    of_transfer = ROOT / "tests" / "transfer" / "test_transfer_example.py"
    tests = "".join(path.read_text(encoding="utf-8") for path in (Path(__file__), of_sequences, of_transfer))
    assert len(files) == 10
    for name, text in files.items():
        assert len(text.splitlines()) < 80, name
        assert f'"{name}"' in tests, name


def test_blocks_of_the_docs_run(tmp_path):
    """In a process of its own: they register parts."""
    text = "\n".join((ROOT / "docs" / page).read_text(encoding="utf-8") for page in ("all_of_it.md", "data.md"))
    found = re.findall(r"^```python[ \t]*\n(.*?)^```[ \t]*$", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 4
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(found)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_tabular_classification(run):
    said = run("tabular_classification")
    network = number(r"roc_auc: ([\d.]+) \(95% interval", said)
    trees = number(r"gradient-boosted trees: ([\d.]+)", said)
    assert network > 0.8 and abs(network - trees) < 0.1  # chance is 0.5
    assert "the same probabilities to the last bit: True" in said
    lost = [float(value) for value in re.findall(r"^  [\w-]+: (-?[\d.]+)$", said, re.MULTILINE)]
    assert len(lost) == 5 and lost == sorted(lost, reverse=True) and lost[0] > 0.01


def test_regression_with_intervals(run):
    said = run("regression_with_intervals", rows=1600)
    assert number(r"of the network: ([\d,]+) dollars", said) < 0.4 * number(r"the median price: ([\d,]+)", said)
    found = re.findall(r"asked for ([\d.]+)%: held ([\d.]+)% of (\d+) prices, width ([\d,]+)", said)
    asked, held, width = (np.array([float(row[i].replace(",", "")) for row in found]) for i in (0, 1, 3))
    assert len(found) == 4 and (np.diff(held) >= 0).all() and (np.diff(width) > 0).all()
    # 180 validation and 400 test rows: the share that is held has a standard error of at most 4.5 points.
    assert (np.abs(held - asked) < 13.5).all()


def test_your_own_module(run):
    said = run("your_own_module", rows=800)
    assert number(r"of \d+ others ([\d.]+)% are read right", said) > 80  # chance is 10
    assert "8 layers, 6,090 parameters" in said  # 16·9 + 16, 32·16·9 + 32, 128·10 + 10
    assert "Without the code: the class of a custom network must be handed in again" in said
    assert "With the code: the same answers: True" in said
    assert "the network must map (B, 1, 8, 8) to (B, 10) · got an output of shape (2, 576) for B=2" in said


def test_perceptron_and_xor(run):
    said = run("perceptron_and_xor")
    counts = re.findall(r"gap ([\d.]+): (\d+) mistakes in \d+ passes, at most (\d+) were possible", said)
    assert len(counts) == 3
    assert all(0 < int(made) <= int(bound) for _, made, bound in counts)
    bounds = [int(bound) for *_, bound in counts]
    assert bounds == sorted(bounds, reverse=True)  # a wider gap allows fewer
    easy, hard = said.split("XOR: wanted [0, 1, 1, 0]")
    assert easy.count("4 of 4 right") == 3 and "perceptron: 4 of 4 right, settled" in easy
    assert "8 hidden neurons: 4 of 4 right" in hard and hard.count("4 of 4 right") == 1
    assert "says 0.50, 0.50, 0.50, 0.50" in hard and "never settles" in hard


def test_look_inside(run):
    said = run("look_inside", rows=150)
    assert "73 parameters" in said  # 4·6 + 6, 6·4 + 4, 4·3 + 3
    assert number(r"Largest difference from it: ([\d.e+-]+)", said) < 1e-12
    assert "The product of 5 local Jacobians equals the network's gradient" in said
    assert number(r"says the same: largest difference ([\d.e+-]+)", said) < 1e-4


def test_images_digits(run):
    said = run("images_digits", rows=400)
    assert (
        number(r"accuracy is ([\d.]+) ", said) > 0.9 and number(r"From files: ([\d.]+)% right", said) > 90
    )  # chance: 10
    assert "left out: (('0/broken.png', 'an empty file'),)" in said and "From disk, the same: True" in said
    assert "features.0.conv: 144 parameters, sees (3, 3)" in said  # 16 · 9
    assert "('photo', 'image'), ('weight', 'numeric'), ('price', 'target')" in said
    assert number(r"Typical error ([\d.]+),", said) < 0.4 * number(r"of the mean price ([\d.]+)", said)
