"""predict, evaluate and describe: what they ask of the library, what they print, and what they refuse."""

import json
import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from glia.cli.main import run
from glia.core.modelfile import write_archive
from glia.core.results import Result, Table

FRAME = pl.DataFrame({"age": [1, 2, 3], "income": ["a", None, "b"]})


@dataclass(frozen=True)
class Score(Result):
    accuracy: float

    def summary(self):
        return f"Accuracy {self.accuracy}."

    def tables(self):
        return [Table("Scores", ("metric", "value"), (("accuracy", self.accuracy),))]


class Model:
    """Stands for a fitted estimator: records what it is given."""

    def __init__(self):
        self.frames, self.answers = [], []

    def predict_frame(self, frame):
        self.frames.append(frame)
        return pl.DataFrame({"prediction": ["a"] * frame.height, "probability_a": [0.5] * frame.height})

    def evaluate(self, frame, y):
        self.frames.append(frame)
        self.answers.append(y)
        return Score(0.5)


@pytest.fixture
def model(monkeypatch):
    made = Model()
    module = ModuleType("glia.estimators.persist")
    module.load = lambda path: made
    monkeypatch.setitem(sys.modules, "glia.estimators.persist", module)
    return made


@pytest.fixture
def rows(tmp_path):
    FRAME.write_csv(tmp_path / "rows.csv")
    return str(tmp_path / "rows.csv")


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.glia"
    write_archive(path, {"task": "binary", "target": "income"}, {"net.weight": np.zeros((2, 3), np.float32)})
    return str(path)


def test_predict_writes_every_row(model, rows, tmp_path, capsys):
    out = str(tmp_path / "predictions.parquet")
    assert run(["predict", "m.glia", rows, "--out", out]) == 0
    assert capsys.readouterr() == (f"3 predictions in {out}\n", "")
    assert pl.read_parquet(out).columns == ["prediction", "probability_a"]
    assert model.frames[0].columns == ["age", "income"] and model.frames[0].height == 3


def test_predict_as_json(model, rows, tmp_path, capsys):
    out = str(tmp_path / "p.csv")
    assert run(["predict", "m.glia", rows, "--out", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "out": out,
        "rows": 3,
        "columns": ["prediction", "probability_a"],
    }


def test_predict_refuses_the_output_before_it_works(model, rows, capsys):
    assert run(["predict", "m.glia", rows, "--out", "p.xlsx"]) == 2
    assert capsys.readouterr().err.startswith("glia: error: the output must end in one of")
    assert run(["predict", "m.glia", rows]) == 2
    assert "the setting 'out' must be given" in capsys.readouterr().err
    assert model.frames == []


def test_evaluate_takes_the_target_that_the_model_names(model, rows, saved, capsys):
    assert run(["evaluate", saved, rows]) == 0
    assert capsys.readouterr().out == "Accuracy 0.5.\n\nScores\n  metric    value\n  accuracy    0.5\n"
    assert model.frames[0].columns == ["age"] and model.frames[0]["age"].to_list() == [1, 3]  # one answer is missing
    assert model.answers[0].to_list() == ["a", "b"]


def test_evaluate_on_named_targets(model, rows, saved):
    assert run(["evaluate", saved, rows, "--target", "age", "--quiet"]) == 0
    assert model.answers[0].to_list() == [1, 2, 3]
    assert run(["evaluate", saved, rows, "--target", "age", "--target", "income", "--quiet"]) == 0
    assert model.answers[1].columns == ["age", "income"]


def test_evaluate_refuses_what_it_cannot_measure(model, rows, saved, tmp_path, capsys):
    assert run(["evaluate", saved, rows, "--target", "incme"]) == 2
    assert capsys.readouterr().err == (
        "glia: error: the data must hold the target · got no column 'incme' · did you mean 'income'?\n"
    )
    write_archive(tmp_path / "bare.glia", {}, {})
    assert run(["evaluate", str(tmp_path / "bare.glia"), rows]) == 2
    assert capsys.readouterr().err.endswith("got a model without a named target · name the column with --target\n")
    FRAME.with_columns(income=pl.lit(None, pl.String)).write_parquet(tmp_path / "none.parquet")
    assert run(["evaluate", saved, str(tmp_path / "none.parquet")]) == 2
    assert capsys.readouterr().err.startswith(
        "glia: error: the target must have values · got only missing ones in income"
    )


def test_describe_a_model_without_building_it(saved, capsys):
    assert run(["describe", saved]) == 0
    out = capsys.readouterr().out
    assert out.startswith("A model of 6 stored values in 1 tensors, written by glia ")
    assert "  task            binary\n" in out and "  net.weight  2 × 3  float32       6\n" in out
    assert run(["describe", saved, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["tensors"] == [{"name": "net.weight", "shape": [2, 3], "dtype": "float32", "values": 6}]
    assert data["manifest"]["target"] == "income" and data["values"] == 6


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"a,b\n1,2\n"])
def test_describe_refuses_what_is_no_model(tmp_path, content, capsys):
    (tmp_path / "m.glia").write_bytes(content)
    assert run(["describe", str(tmp_path / "m.glia")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("glia: error: a model file must be a whole, unaltered Glia archive · got ")


def test_describe_a_table(rows, capsys):
    assert run(["describe", rows, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert run(["describe", rows, "--target", "incme"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "income" in err
    assert run(["describe", rows, "--role", "age=categorical", "--drop", "income", "--max-rows", "2"]) == 0
    assert "categorical" in capsys.readouterr().out
