"""A folder of pictures from the command line: fit, predict, evaluate, describe, and what is refused."""

import json

import numpy as np
import polars as pl
import pytest
from PIL import Image

from glia.cli.main import run


def photos(root, count, names=("dark", "light"), seed=0):
    rng = np.random.default_rng(seed)
    for i in range(count):
        name = names[i % len(names)]
        (root / name).mkdir(parents=True, exist_ok=True)
        base = 60 if name == "dark" else 190
        picture = np.clip(rng.normal(base, 30, (9 + i % 3, 8, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(root / name / f"{i}.{('png', 'jpg', 'webp')[i % 3]}")
    return root


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    place = tmp_path_factory.mktemp("images")
    root = photos(place / "photos", 60)
    (root / "dark" / "words.png").write_text("no picture")
    out = place / "run"
    flags = ["--epochs", "3", "--bootstrap", "20", "--quiet"]
    assert run(["fit", str(root), "--out", str(out), *flags]) == 0
    return place


def test_fit_leaves_a_report(done):
    record = json.loads((done / "run" / "run.json").read_text())
    assert record["target"] == "class" and record["classes"] == ["dark", "light"] and record["task"] == "binary"
    assert (
        record["source"]["rows"] == 60 and "words.png could not be read" in record["schema"]["warnings"][0]["message"]
    )
    assert len(record["baselines"]) == 4 and record["comparison"]
    assert record["network"]["layers"][0]["field"] == [3, 3] and record["network"]["multiply_adds"] > 0
    assert all(row["picture"].startswith("data:image/png;base64,") for row in record["hardest"])
    page = (done / "run" / "report.html").read_text()
    assert page.count('<img src="data:image/png;base64,') == len(record["hardest"]) and "words.png" in page
    assert "Multiply-adds" in page and "://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_the_model_is_of_use(done, capsys):
    model = str(done / "run" / "model.glia")
    new = photos(done / "new", 10, seed=1)
    assert run(["predict", model, str(new), "--out", str(done / "p.parquet")]) == 0
    frame = pl.read_parquet(done / "p.parquet")
    assert frame.columns == ["file", "prediction", "probability_dark", "probability_light"]
    assert [name.partition("/")[0] for name in frame["file"]] == frame["prediction"].to_list()
    capsys.readouterr()
    assert run(["evaluate", model, str(new), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["accuracy"]["value"] == 1.0
    assert run(["describe", model]) == 0
    shown = capsys.readouterr().out
    assert "receptive field" in shown and "multiply-adds" in shown and "features.0.conv" in shown


def error_of(capsys, *words):
    assert run(list(words)) == 2
    captured = capsys.readouterr().err.strip().splitlines()
    errors = [line for line in captured if line.startswith("glia: error")]
    assert len(errors) == 1 and " · " in errors[0]
    return errors[0]


def test_refused(done, capsys, tmp_path):
    flat = photos(tmp_path / "flat", 12, names=(".",))
    assert "one sub-folder per class" in error_of(capsys, "fit", str(flat), "--out", str(tmp_path / "r"))
    one = photos(tmp_path / "one", 12, names=("only",))
    assert "two classes" in error_of(capsys, "fit", str(one), "--out", str(tmp_path / "r"))
    two = photos(tmp_path / "two", 12)
    assert "for tables" in error_of(capsys, "fit", str(two), "--out", str(tmp_path / "r"), "--hidden", "4")
    assert "--group" in error_of(capsys, "fit", str(two), "--out", str(tmp_path / "r"), "--group", "x").replace(
        "group", "--group"
    )
    assert not (tmp_path / "r").exists()
    model = str(done / "run" / "model.glia")
    odd = photos(tmp_path / "odd", 9, names=("dark", "zebra"))
    assert "'zebra' (4)" in error_of(capsys, "evaluate", model, str(odd))
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert "there must be pictures" in error_of(
        capsys, "predict", model, str(tmp_path / "t.csv"), "--out", str(tmp_path / "p.csv")
    )
    assert "target" in error_of(capsys, "fit", str(tmp_path / "t.csv"), "--out", str(tmp_path / "r"))
