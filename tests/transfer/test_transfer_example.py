"""The example runs on a share of its data, and what it prints is true."""

import re
import runpy
from pathlib import Path

import torch

EXAMPLES = Path(__file__).parents[2] / "examples"


def number(pattern, text):
    found = re.search(pattern, text)
    assert found, f"nothing like {pattern!r} in:\n{text}"
    return float(found.group(1))


def test_the_example_of_transfer(capsys, monkeypatch):
    monkeypatch.setenv("GLIA_EXAMPLE_ROWS", "800")
    with torch.random.fork_rng():
        name = "transfer_images"
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    text = capsys.readouterr().out
    scratch = number(r"from scratch: ([\d.]+)", text)
    assert number(r"frozen features: ([\d.]+)", text) > scratch
    assert number(r"gradual unfreezing: ([\d.]+)", text) > scratch
    assert "answers the same: True" in text
    assert number(r"([\d.]+) after adapting", text) > number(r"camera: ([\d.]+) before", text) + 0.05
