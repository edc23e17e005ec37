"""A model that holds training rows says so, and one flag leaves them out."""

from __future__ import annotations

import json

import numpy as np
import polars as pl

from glia.cli.main import run
from glia.core.modelfile import read_archive, write_archive


def test_what_a_model_holds_of_its_rows_is_said_and_can_be_left_out(tmp_path, capsys):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.normal(size=500), "b": rng.normal(size=500)})
    frame.with_columns(y=(pl.col("a") * pl.col("b") > 0).cast(pl.Int8)).write_csv(tmp_path / "t.csv")
    words = ["fit", str(tmp_path / "t.csv"), "--target", "y", "--epochs", "2", "--no-baselines", "--quiet"]
    assert run([*words, "--out", str(tmp_path / "with")]) == 0
    assert run([*words, "--out", str(tmp_path / "without"), "--no-radial"]) == 0
    capsys.readouterr()
    chosen = [json.loads((tmp_path / name / "run.json").read_text())["choices"] for name in ("with", "without")]
    assert "prepared rows" in chosen[0]["radial"]["why"] and "radial" not in chosen[1]
    model = str(tmp_path / "with" / "model.glia")
    assert run(["describe", model, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["training_rows"] == 400
    assert run(["describe", model]) == 0
    assert "400, prepared, as centres of a radial network" in capsys.readouterr().out
    assert run(["describe", str(tmp_path / "without" / "model.glia"), "--json"]) == 0
    assert "training_rows" not in json.loads(capsys.readouterr().out)

    archive = read_archive(model)
    for odd in (["radial", {"family": "radial", "centres": "many"}, 7], 7, {"family": "radial"}):
        archive.parts["fitted.json"]["networks"] = odd
        write_archive(tmp_path / "odd.glia", archive.manifest, archive.tensors, parts=archive.parts)
        assert run(["describe", str(tmp_path / "odd.glia"), "--json"]) == 0  # a crafted file is no trouble
        assert "training_rows" not in json.loads(capsys.readouterr().out)
