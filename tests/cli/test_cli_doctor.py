"""``glia doctor``: what it prints, writes and refuses, on a run that went wrong and on one that went well."""

import json
import shutil
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from glia.cli.main import run

FIT = [
    "--no-baselines",
    "--importance-repeats",
    "0",
    "--bootstrap",
    "0",
    "--hidden",
    "16",
    "--activation",
    "relu",
    "--members",
    "1",
    "-q",
]


def table(path, rows=500):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4))
    y = np.where(x[:, 0] ** 2 + x[:, 1] ** 2 + 0.1 * rng.normal(size=rows) > 1.4, "out", "in")
    pl.DataFrame({**{name: x[:, i] for i, name in enumerate("abcd")}, "y": y}).write_csv(path)
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doctor")
    data = table(folder / "rows.csv")
    for name, more in (("slow", ["--lr", "1e-7", "--epochs", "20"]), ("good", ["--epochs", "60", "--lr", "0.01"])):
        assert run(["fit", str(data), "--target", "y", "--out", str(folder / name), *FIT, *more]) == 0
    return folder


def test_a_run_that_went_wrong_gets_a_verdict_a_remedy_and_a_page(runs, capsys):
    assert run(["doctor", str(runs / "slow"), "--prove", "--seeds", "3"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("The learning rate is too low.") and "the remedy helped" in said and "--lr 0.0" in said
    data = json.loads((runs / "slow" / "doctor.json").read_text())
    assert data["first"] == "rate too low" and data["verdicts"][0]["proof"]["outcome"] == "helped"
    assert data["rows"] + data["held_rows"] < 500 and data["held_rows"] == 100  # its own parts, not all rows
    page = (runs / "slow" / "doctor.html").read_text()
    HTMLParser().feed(page)
    assert "The learning rate is too low" in page and "glia fit --settings" in page and "Findings" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and page.count("<figure") >= 6


def test_the_remedy_that_it_names_can_be_run_as_it_stands(runs, capsys, monkeypatch):
    assert run(["doctor", str(runs / "slow"), "--json", "--out", str(runs / "again")]) == 0
    data = json.loads(capsys.readouterr().out)
    words = [*data["fit_command"].split()[1:], *data["verdicts"][0]["flags"].split(), "-q"]
    assert run(words) == 0
    assert run(["doctor", str(runs / "slow-remedied"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["first"] != "rate too low"
    assert sorted(path.name for path in (runs / "again").iterdir()) == ["doctor.html", "doctor.json"]


def test_a_run_that_went_well_gets_none(runs, capsys):
    assert run(["doctor", str(runs / "good")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Nothing is wrong with this network") and "doctor.html" in said
    assert "Nothing is wrong" in (runs / "good" / "doctor.html").read_text()


def test_other_rows_are_looked_at_without_claims_about_what_was_seen(runs, tmp_path, capsys):
    other = table(tmp_path / "other.csv", 300)
    assert run(["doctor", str(runs / "good"), "--data", str(other), "--out", str(tmp_path / "out"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["rows"] == 300 and data["held_rows"] == 0 and "is not known" in data["note"]
    assert data["measures"]["calibration"] is None


def test_the_table_may_have_moved(runs, tmp_path, capsys):
    moved = tmp_path / "moved.csv"
    shutil.copy(runs / "rows.csv", moved)
    out = ["--out", str(tmp_path / "out"), "--json"]
    assert run(["doctor", str(runs / "good"), "--data", str(moved), *out]) == 0
    assert json.loads(capsys.readouterr().out)["held_rows"] == 100


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "the folder of a run"),
        (["half"], "without model.glia, run.json"),
        (["good", "--seeds", "2"], "seeds"),
        (["good", "--out", "rows.csv"], "out must be a folder"),
        (["good", "--data", "none.csv"], "none.csv"),
        (["lost"], "name it with --data"),
    ],
)
def test_mistakes_end_with_2_on_one_line_and_leave_nothing(runs, tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    for name in ("good", "rows.csv"):
        (tmp_path / name).symlink_to(runs / name)
    (tmp_path / "half").mkdir()
    shutil.copy(runs / "good" / "settings.toml", tmp_path / "half")
    shutil.copytree(runs / "good", tmp_path / "lost", ignore=shutil.ignore_patterns("doctor.*"))
    text = (tmp_path / "lost" / "settings.toml").read_text()
    (tmp_path / "lost" / "settings.toml").write_text(text.replace("rows.csv", "gone.csv"))
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    assert run(["doctor", *words]) == 2
    told = capsys.readouterr()
    assert said in told.err and told.err.count("\n") == 1 and told.out == ""
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before
