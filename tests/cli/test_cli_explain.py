"""``glia explain``: what it prints, writes and refuses, and that its values are those of ``glia.explain``."""

import json
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

import glia
from glia.cli.main import run
from glia.explain import methods
from glia.nn import MLP


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    rng = np.random.default_rng(0)
    z = rng.normal(size=150)
    frame = pl.DataFrame({"size": z, "word": rng.choice(["up", "down", "side"], 150), "row": rng.normal(size=150)})
    label = np.where(z + (frame["word"] == "up").to_numpy() > 0.4, "yes", "no")
    model = glia.Classifier(network=MLP((16,)), epochs=10, random_state=0).fit(frame, label)
    three = glia.Classifier(network=MLP((8,)), epochs=3, random_state=0).fit(frame, frame["word"].to_numpy())
    glia.save(model, folder / "model.glia")
    glia.save(three, folder / "three.glia")
    frame.with_columns(answer=pl.Series(label)).write_csv(folder / "rows.csv")
    return folder, frame, model


def test_a_folder_gets_values_record_and_page(files, tmp_path, capsys):
    folder, frame, model = files
    out = tmp_path / "out"
    words = ["explain", str(folder / "model.glia"), str(folder / "rows.csv"), "--out", str(out), "--json"]
    assert run([*words, "--rows", "12", "--background", "40"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert sorted(file.name for file in out.iterdir()) == ["attributions.parquet", "explain.html", "explain.json"]
    record = json.loads((out / "explain.json").read_text())
    assert record["values"] == printed["values"] and record["settings"]["background"] == "40 of 150 rows of the data"
    values = pl.read_parquet(out / "attributions.parquet")
    assert values.columns == ["row_", "size", "word", "row"]  # a column is called "row" already
    np.testing.assert_allclose(values.select(frame.columns).to_numpy(), record["values"])
    total = values.select(frame.columns).to_numpy().sum(1) + record["base"]
    np.testing.assert_allclose(total, model.forward(model.prepare(frame[:12])).detach().numpy()[:, 0], atol=1e-5)
    page = (out / "explain.html").read_text()
    HTMLParser().feed(page)
    assert "http://" not in page.replace("http://www.w3.org", "") and "glia explain" in page
    assert page.count("<svg xmlns") >= 5 and "matters most" in page


def test_several_outputs_and_one_of_them(files, tmp_path, capsys):
    folder, _, _ = files
    words = ["explain", str(folder / "three.glia"), str(folder / "rows.csv"), "--rows", "4", "--background", "10"]
    assert run([*words, "--out", str(tmp_path / "all")]) == 0
    values = pl.read_parquet(tmp_path / "all" / "attributions.parquet")
    assert values.height == 12 and values["output"].to_list()[:3] == ["down", "side", "up"]
    assert run([*words, "--output", "up", "--out", str(tmp_path / "one")]) == 0
    one = pl.read_parquet(tmp_path / "one" / "attributions.parquet")
    np.testing.assert_allclose(one["size"], values.filter(pl.col("output") == "up")["size"], atol=1e-6)
    capsys.readouterr()
    assert run([*words, "--space", "probability", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unit"] == "probability" and np.allclose(np.sum(found["outputs"], axis=1), 1, atol=1e-6)


def test_every_registered_method_can_be_asked_for(files, capsys):
    folder, _, _ = files
    assert {"shap", "lime"} <= set(methods.names())
    for name in methods.names():
        words = ["explain", str(folder / "model.glia"), str(folder / "rows.csv"), "--rows", "3", "--method", name]
        status = run([*words, "--background", "20"])
        said = capsys.readouterr()
        if status == 2:  # a method for other networks says so in a line
            assert name not in ("shap", "lime") and said.err.count("\n") == 1
            continue
        assert status == 0, name
        assert said.out.startswith(name) and "These are the first 3 of 150 rows" in said.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "shab"], "did you mean 'shap'"),
        (["--output", "maybe"], "choose from yes"),
        (["--rows", "0"], "a whole number at least 1"),
        (["--space", "odds"], "'logit' or 'probability'"),
    ],
)
def test_mistakes_end_with_one_line(files, tmp_path, capsys, words, message):
    folder, _, _ = files
    out = tmp_path / "out"
    start = ["explain", str(folder / "model.glia"), str(folder / "rows.csv"), "--out", str(out)]
    assert run([*start, *words]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and not out.exists()


def test_the_folder_must_be_one(files, tmp_path, capsys):
    folder, _, _ = files
    (tmp_path / "file").write_text("kept")
    words = ["explain", str(folder / "model.glia"), str(folder / "rows.csv"), "--out", str(tmp_path / "file")]
    assert run(words) == 2
    assert "out must be a folder" in capsys.readouterr().err and (tmp_path / "file").read_text() == "kept"
