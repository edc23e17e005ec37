"""``glia repair``: what it prints, writes and refuses, and that the report is one whole page."""

import json
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from glia.cli.main import run

FEW = ["--repeats", "1", "--max-rows", "80", "--compare", "native", "--compare", "mean", "--compare", "iterative"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng = np.random.default_rng(0)
    z = rng.normal(size=120)
    frame = pl.DataFrame({"a": z, "b": (10 * z + rng.normal(size=120)).round(2), "word": np.where(z > 0, "up", "down")})
    frame = frame.with_columns(
        pl.when(pl.Series(rng.random(120) > 0.2)).then("b").alias("b"),
        pl.when(pl.Series(rng.random(120) > 0.1)).then("word").alias("word"),
        pl.Series("y", np.where(z + rng.normal(size=120) > 0, "yes", "no")),
    )
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    frame.write_csv(path)
    return path, frame


def test_a_table_is_repaired(data, tmp_path, capsys):
    path, frame = data
    out = tmp_path / "repaired.csv"
    assert run(["repair", str(path), "--target", "y", "--out", str(out), *FEW]) == 0
    said = capsys.readouterr().out
    assert "values are missing" in said and "cannot be seen from the data" in said and str(out) in said
    found = pl.read_csv(out)
    assert found.columns == frame.columns and found.height == frame.height
    assert found.null_count().sum_horizontal().item() == 0
    known = frame["b"].is_not_null()
    assert found.filter(known)["b"].equals(frame.filter(known)["b"])


def test_a_folder_gets_table_record_and_report(data, tmp_path, capsys):
    path, _ = data
    out = tmp_path / "out"
    words = ["repair", str(path), "--target", "y", "--out", str(out), "--remedy", "multiple", "--json", *FEW]
    assert run(words) == 0
    printed = json.loads(capsys.readouterr().out)
    sets = [f"repaired-{number}.csv" for number in range(1, 6)]
    assert sorted(file.name for file in out.iterdir()) == sorted([*sets, "repair.html", "repair.json"])
    record = json.loads((out / "repair.json").read_text())
    assert record["remedy"] == "multiple" and record["errors"] == printed["errors"]
    page = (out / "repair.html").read_text()
    HTMLParser().feed(page)
    assert page.count('<svg class="icon') + page.count("<svg xmlns") > 5 and "http://" not in page.replace(
        "http://www.w3.org", ""
    )
    assert "Recommended" in page and "Little" in page and "glia repair" in page


def test_without_out_nothing_is_written(data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["repair", str(data[0]), "--quiet", *FEW]) == 0
    assert capsys.readouterr() == ("", "") and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--remedy", "knnn"], "did you mean 'knn'"),
        (["--target", "z"], "must be a column"),
        (["--out", "x.xyz"], "must end in one of"),
        (["--repeats", "0"], "repeats"),
        (["--compare", "meen"], "did you mean 'mean'"),
        (["--time", "bb"], "did you mean 'b'"),
    ],
)
def test_mistakes_end_with_2_and_leave_nothing(data, tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    assert run(["repair", str(data[0]), *words, *(FEW if "--repeats" not in words else [])]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and not captured.out
    assert not list(tmp_path.iterdir())


def test_the_table_itself_is_never_overwritten(data, capsys):
    before = data[0].read_bytes()
    assert run(["repair", str(data[0]), "--out", str(data[0]), *FEW]) == 2
    assert "must not be the table itself" in capsys.readouterr().err and data[0].read_bytes() == before
