"""The examples of sequences and series run, and what they print is true."""

import re
import runpy
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, capsys):
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out


def test_the_forecast_of_passengers(capsys):
    said = run("forecast_with_quantiles", capsys)
    figures = {name: float(mase) for name, mase in re.findall(r"^  ([\w ]+): MASE ([\d.]+)", said, re.M)}
    assert figures["network"] < figures["seasonal naive"] < figures["naive"]
    assert "1961-01-01" in said and "1961-12-01" in said


def test_the_sequences_of_different_lengths(capsys):
    said = run("sequences_of_different_lengths", capsys)
    found = [float(value) for value in re.findall(r"accuracy [^:]*: ([\d.]+)", said)]
    assert len(found) == 2 and found[0] > 0.9 and found[1] > 0.85
    assert "forget gate" in said
