"""``glia fit photos.csv``: a column of pictures beside others, from the table to report, predictions and figures."""

import json

import numpy as np
import polars as pl
from PIL import Image

from glia.cli.main import run


def test_from_table_to_answers(tmp_path, capsys):
    rng = np.random.default_rng(0)
    (tmp_path / "pics").mkdir()
    light, size, names = rng.integers(0, 2, 90), rng.normal(size=90), []
    for i in range(90):
        picture = np.clip(rng.normal(70 + 110 * light[i], 25, (9, 8, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / "pics" / f"{i}.png")
        names.append(f"pics/{i}.png")
    (tmp_path / "pics" / "5.png").write_bytes(b"no")
    deal = np.where(light * 2 + size > 1, "good", "bad")
    frame = pl.DataFrame({"photo": names, "size": size.round(3), "deal": deal})
    frame.write_csv(tmp_path / "photos.csv")
    out, csv = tmp_path / "run", str(tmp_path / "photos.csv")
    flags = ["--epochs", "8", "--bootstrap", "20", "--quiet", "--impute", "mean"]
    assert run(["fit", csv, "--target", "deal", "--out", str(out), *flags]) == 0
    record = json.loads((out / "run.json").read_text())
    assert record["source"]["rows"] == 89 and record["schema"]["columns"][0]["role"] == "image"
    assert "5.png could not be read and was left out" in json.dumps(record["schema"]["warnings"])
    assert {one["column"] for one in record["importance"]} == {"photo", "size"} and len(record["baselines"]) >= 4
    assert all(one["picture"].startswith("data:image/png") and "size" in one["values"] for one in record["hardest"])
    assert record["network"]["name"] == "PictureAndTableNetwork" and record["network"]["joins"] == {
        "joined 1": "joined"
    }
    page = (out / "report.html").read_text()
    assert 'id="figure-network"' in page and "://" not in page.replace("http://www.w3.org/2000/svg", "")
    model = str(out / "model.glia")
    whole = frame.filter(pl.Series(np.arange(90) != 5))
    whole.write_csv(tmp_path / "new.csv")
    capsys.readouterr()
    assert run(["evaluate", model, str(tmp_path / "new.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["accuracy"]["value"] > 0.8
    whole.drop("deal").write_csv(tmp_path / "asked.csv")
    assert run(["predict", model, str(tmp_path / "asked.csv"), "--out", str(tmp_path / "p.parquet")]) == 0
    assert pl.read_parquet(tmp_path / "p.parquet").columns == ["prediction", "probability_bad", "probability_good"]
    capsys.readouterr()
    assert run(["explain", model, str(tmp_path / "asked.csv"), "--rows", "2", "--background", "5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["feature_names"] == ["photo", "size"] and np.abs(told["residual"]).max() < 1e-4
    assert run(["predict", model, csv, "--out", str(tmp_path / "q.parquet")]) == 2
    assert "5.png" in capsys.readouterr().err and not (tmp_path / "q.parquet").exists()
    words = ["fit", csv, "--target", "deal", "--out", str(tmp_path / "no"), "--hidden", "4"]
    assert run(words) == 2 and "for tables" in capsys.readouterr().err


def test_a_folder_from_disk_gives_the_same_run(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(60):
        name = ("dark", "light")[i % 2]
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        picture = np.clip(rng.normal(60 + 130 * (i % 2), 30, (8, 8)), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / "photos" / name / f"{i}.png")
    frames = []
    for stream in ("true", "false"):
        out = tmp_path / stream
        flags = ["--epochs", "2", "--bootstrap", "0", "--no-baselines", "--quiet", "--stream", stream]
        assert run(["fit", str(tmp_path / "photos"), "--out", str(out), *flags]) == 0
        frames.append(pl.read_parquet(out / "predictions.parquet"))
    assert frames[0].equals(frames[1])


def test_two_pictures_a_row(tmp_path, capsys):
    rng = np.random.default_rng(0)
    (tmp_path / "pics").mkdir()
    light, names = rng.integers(0, 2, (80, 2)), {"front": [], "back": []}
    for i, row in enumerate(light):
        for name, one in zip(names, row, strict=True):
            picture = np.clip(rng.normal(70 + 110 * one, 25, (8, 8)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(tmp_path / "pics" / f"{name}{i}.png")
            names[name].append(f"pics/{name}{i}.png")
    deal = np.where(light[:, 0] > light[:, 1], "good", "bad")
    pl.DataFrame({**names, "size": rng.normal(size=80).round(3), "deal": deal}).write_csv(tmp_path / "t.csv")
    csv, out = str(tmp_path / "t.csv"), tmp_path / "run"
    flags = ["--epochs", "8", "--bootstrap", "20", "--quiet"]
    assert run(["fit", csv, "--target", "deal", "--out", str(out), *flags]) == 0
    record = json.loads((out / "run.json").read_text())
    assert {one["column"] for one in record["importance"]} == {"front", "back", "size"}
    shown = record["hardest"][0]
    assert shown["picture"].startswith("data:image/png") and list(shown["values"]) == ["size"]
    model = str(out / "model.glia")
    capsys.readouterr()
    assert run(["evaluate", model, csv, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["accuracy"]["value"] > 0.8
    assert run(["explain", model, csv, "--rows", "2", "--background", "5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["feature_names"] == ["front", "back", "size"] and np.abs(told["residual"]).max() < 1e-4
    assert run(["describe", model]) == 0
