"""Pictures of a model from the command line, and on the pages."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

import glia
from glia.cli.main import run
from glia.explain import accumulated_local_effects, pictures, shap
from glia.nn import MLP
from glia.report.effects import effect_record, leading_effects
from glia.report.explanation import explanation_record, explanation_section


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    z = rng.normal(size=160)
    frame = pl.DataFrame({"size": z, "word": rng.choice(["up", "down", "side"], 160), "other": rng.normal(size=160)})
    label = np.where(z + (frame["word"] == "up").to_numpy() > 0.4, "yes", "no")
    model = glia.Classifier(network=MLP((16,)), members=1, epochs=25, lr=0.02, random_state=0).fit(frame, label)
    value = glia.Regressor(network=MLP((16,)), members=1, epochs=25, lr=0.02, random_state=0).fit(frame, 3 * z)
    glia.save(model, folder / "model.glia", target="answer")
    glia.save(value, folder / "value.glia")
    frame.with_columns(answer=pl.Series(label)).write_csv(folder / "rows.csv")
    return folder, frame, model


def asked(folder, method, *words, model="model.glia"):
    return ["explain", str(folder / model), str(folder / "rows.csv"), "--method", method, *words]


@pytest.mark.parametrize("method", sorted(pictures.names()))
def test_every_picture_can_be_asked_for_and_has_its_page(files, tmp_path, capsys, method):
    folder, _, _ = files
    out = tmp_path / "out"
    words = ["--rows", "3"] if method in ("counterfactuals", "nearest") else []
    assert run(asked(folder, method, "--out", str(out), "--json", *words)) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["method"] == method and printed["summary"]
    record = json.loads((out / "explain.json").read_text())
    assert record["summary"] == printed["summary"]
    page = (out / "explain.html").read_text()
    HTMLParser().feed(page)
    assert "Global picture" in page and "http://" not in page.replace("http://www.w3.org", "") and len(page) < 2e6
    assert ("<svg xmlns" in page) == (method not in ("tree", "counterfactuals", "nearest", "prototypes"))


def test_columns_are_chosen_or_named(files, capsys):
    folder, frame, model = files
    assert run(asked(folder, "ale", "--json")) == 0
    chosen = json.loads(capsys.readouterr().out)
    assert chosen["column"] == "size"
    want = accumulated_local_effects(model, frame, "size")
    np.testing.assert_allclose(chosen["values"], want.values, atol=1e-5)
    assert run(asked(folder, "pdp", "--column", "word", "--json")) == 0
    assert set(json.loads(capsys.readouterr().out)["labels"]) == {"up", "down", "side"}
    assert run(asked(folder, "importance", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["columns"][0]["name"] == "size"


def test_another_answer_is_looked_for(files, capsys):
    folder, _, _ = files
    assert run(asked(folder, "counterfactuals", "--immutable", "word", "--rows", "4", "--wanted", "yes", "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    ways = [way for row in found["rows"] for way in row["found"]]
    assert ways and all(way["answer"] == "yes" and "word" not in way["changes"] for way in ways)
    words = asked(folder, "counterfactuals", "--rows", "2", "--wanted", "4..", "--json", model="value.glia")
    assert run(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(way["answer"] >= 4 for row in found["rows"] for way in row["found"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "ake"], "did you mean 'ale'"),
        (["--method", "ale", "--column", "sise"], "did you mean 'size'"),
        (["--method", "tree", "--column", "size"], "leave it out"),
        (["--method", "shap", "--column", "size"], "leave it out"),
        (["--method", "counterfactuals", "--wanted", "maybe"], "choose from no, yes"),
        (["--method", "counterfactuals", "--immutable", "wort"], "did you mean 'word'"),
    ],
)
def test_mistakes_end_with_one_line(files, tmp_path, capsys, words, message):
    folder, _, _ = files
    out = tmp_path / "out"
    start = ["explain", str(folder / "model.glia"), str(folder / "rows.csv"), "--out", str(out)]
    assert run([*start, *words]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and not out.exists()


def test_importance_needs_the_answers(files, tmp_path, capsys):
    folder, frame, _ = files
    frame.write_csv(tmp_path / "bare.csv")
    assert run(["explain", str(folder / "model.glia"), str(tmp_path / "bare.csv"), "--method", "importance"]) == 2
    assert "needs the right answers" in capsys.readouterr().err


def test_a_page_of_shares_has_the_global_picture_too(files, tmp_path):
    folder, frame, model = files
    assert run(asked(folder, "shap", "--rows", "6", "--background", "20", "--out", str(tmp_path / "out"))) == 0
    page = (tmp_path / "out" / "explain.html").read_text()
    assert "Global picture" in page and "Accumulated local effect" in page and 'id="figure-effect-0"' in page
    shares = shap(model, frame[:8], background=frame[:20])
    effects = leading_effects(model, frame, shares)
    assert effects[0]["column"] == shares.feature_names[int(shares.importance().argmax())]
    first = accumulated_local_effects(model, frame, effects[0]["column"], points=13, rows=2000)
    assert effects[0] == effect_record(first)
    section = explanation_section({**explanation_record(shares), "effects": effects})
    assert section.count("Accumulated local effect") >= 3
    assert "Global picture" not in explanation_section(explanation_record(shares))
