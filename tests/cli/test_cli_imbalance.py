"""Rare classes on the command line: settings, the record, the page, the model file, and what is refused."""

import json
import os

import numpy as np
import polars as pl
import pytest

import glia
from glia.cli.main import run
from glia.report.verdict import remarks

QUICK = ("--epochs", "6", "--hidden", "8", "--bootstrap", "30", "--importance-repeats", "0", "--no-baselines")


def table(n=900, share=0.08, gap=1.6):
    rng = np.random.default_rng(0)
    y = rng.random(n) < share
    frame = {"a": rng.normal(size=n) + gap * y, "b": rng.normal(size=n), "town": rng.choice(list("uvw"), n)}
    return pl.DataFrame({**frame, "y": np.where(y, "yes", "no")})


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table().write_csv("t.csv")
    return tmp_path


def fit(*words):
    assert run(["fit", "t.csv", "--target", "y", "--out", "run", "--quiet", *QUICK, *words]) == 0
    with open("run/run.json", encoding="utf-8") as file:
        return json.load(file)


def said(record):
    return " ".join(one["message"] for one in remarks(record, []))


def test_balance_and_threshold_reach_the_record_the_page_and_the_file(here, capsys):
    record = fit("--threshold", "f1", "--balance", "oversample")
    assert record["decision"]["rule"] == "f1" and 0 < record["decision"]["threshold"] < 1
    assert record["balance"]["after"] == [record["balance"]["before"][0]] * 2
    assert record["split"]["rows"]["train"] == sum(record["balance"]["before"])
    page = (here / "run/report.html").read_text(encoding="utf-8")
    for words in ("A row counts as", "F1 is greatest there on", "Training rows were balanced by oversample"):
        assert words in said(record) and words in page
    model = glia.load("run/model.glia")
    kept = pl.read_parquet("run/predictions.parquet")
    decided = kept["probability_yes"].to_numpy() >= record["decision"]["threshold"]
    assert (kept["prediction"] == "yes").to_numpy().tolist() == decided.tolist()
    assert model.threshold_ == record["decision"]["threshold"]
    assert run(["predict", "run/model.glia", "t.csv", "--out", "p.csv", "--quiet"]) == 0
    frame = pl.read_csv("p.csv")
    assert ((frame["probability_yes"] >= model.threshold_) == (frame["prediction"] == "yes")).all()
    # The settings that were written fit the same again.
    assert run(["fit", "--config", "run/settings.toml", "t.csv", "--out", "again", "--quiet"]) == 0
    assert glia.load("again/model.glia").decision_ == model.decision_
    capsys.readouterr()


def test_costs(here):
    record = fit("--cost", "0 1; 9 0")
    assert record["decision"]["threshold"] == 0.1 and record["decision"]["cost"] == [[0, 1], [9, 0]]
    assert "from a probability of 10.0 % on: the class of least expected cost" in said(record)


def test_the_page_warns_where_accuracy_misleads(here):
    table(gap=0.3).write_csv("t.csv")  # hopeless: the network answers "no"
    record = fit()
    assert record["imbalance"]["finding"] == "no better"
    page = (here / "run/report.html").read_text(encoding="utf-8")
    assert "Accuracy misleads" in said(record) and "Accuracy misleads" in page
    assert "by always answering" in page


def test_a_healthy_table_has_no_such_warning(here):
    table(share=0.5, gap=3).write_csv("t.csv")
    record = fit()
    assert record["imbalance"]["finding"] == "none" and record["balance"] is None
    assert "misleads" not in said(record)
    assert "Accuracy misleads" not in (here / "run/report.html").read_text(encoding="utf-8")


def test_evaluate_warns_as_well(here, capsys):
    table(gap=0.3).write_csv("t.csv")
    fit()
    capsys.readouterr()
    assert run(["evaluate", "run/model.glia", "t.csv"]) == 0
    out = capsys.readouterr().out
    assert "Accuracy misleads" in out
    for name in ("precision", "recall", "f1", "balanced_accuracy", "mcc", "roc_auc", "average_precision"):
        assert name in out
    assert run(["evaluate", "run/model.glia", "t.csv", "--json"]) == 0
    assert "Accuracy misleads" in json.loads(capsys.readouterr().out)["caution"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--threshold", "f2"), "threshold must be a number from 0 to 1"),
        (("--threshold", "1.5"), "threshold must be a number from 0 to 1"),
        (("--balance", "smoke"), "balance='smoke'"),
        (("--cost", "0 1"), "costs must be a square matrix"),
        (("--cost", "0 1; 5 0", "--threshold", "f1"), "one thing must decide"),
        (("--cost", "0 1 1; 1 0 1; 1 1 0"), "3 rows of costs for 2 classes"),
        (("--balance", "smote", "--class-weight", "balanced"), "in one way"),
        (("--threshold", "f1", "--task", "multiclass", "--target", "town"), "one column"),
    ],
)
def test_what_cannot_be_ends_with_one_line_and_nothing_written(here, capsys, words, said):
    if "--target" in words:
        table().drop("y").rename({"town": "y"}).write_csv("t.csv")
        words, said = ("--threshold", "f1"), "a threshold divides two classes"
    assert run(["fit", "t.csv", "--target", "y", "--out", "run", "--quiet", *QUICK, *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and said in err
    assert not os.path.exists("run") or not os.listdir("run")
