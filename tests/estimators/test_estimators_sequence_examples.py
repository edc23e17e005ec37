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
    assert float(re.search(r"variance that is explained: ([\d.]+)", said).group(1)) > 0.6  # the mean speed explains 0
    assert "forget gate" in said


def test_the_words_of_many_speakers(capsys, monkeypatch):
    monkeypatch.setenv("GLIA_EXAMPLE_ROWS", "400")
    said = run("audio_words", capsys)
    assert float(re.search(r"accuracy: ([\d.]+)", said).group(1)) > 0.7  # chance is 0.333
    assert "From its file, the same answers: True" in said
    assert "A tone of 1,000 Hz is in band 18 of 40" in said  # mel(1000) lies in 0.46 of the scale up to 4 kHz
