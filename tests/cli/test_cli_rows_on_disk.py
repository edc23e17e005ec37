"""``glia fit --stream true`` for sequences, sounds and texts: the same run, and the record says where the rows were."""

import json

import numpy as np
import polars as pl
import pytest
from scipy.io import wavfile

from glia.cli.main import run

RNG = np.random.default_rng(0)
UP = np.arange(60) % 2


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    words = ["the", "film", "was", "a", "story"]
    texts = [" ".join([*RNG.choice(words, 4), "good" if one else "bad"]) for one in UP]
    pl.DataFrame({"t": texts, "y": UP}).write_csv(root / "texts.csv")
    np.savez(root / "series.npz", X=RNG.normal(size=(60, 9)) + UP[:, None], y=UP)
    for number, one in enumerate(UP):
        (root / "sounds" / f"s{one}").mkdir(parents=True, exist_ok=True)
        sound = np.sin(np.arange(2000) * (0.2 + 0.4 * one)) + 0.1 * RNG.normal(size=2000)
        wavfile.write(root / "sounds" / f"s{one}" / f"{number}.wav", 4000, sound.astype(np.float32))
    return root


@pytest.mark.parametrize(
    ("name", "flags"),
    [("texts.csv", ["--target", "y", "--network", "text_convnet"]), ("series.npz", []), ("sounds", [])],
)
def test_runs_from_disk_are_those_from_memory(place, tmp_path, name, flags, capsys):
    records = {}
    for stream in ("true", "false"):
        out = tmp_path / stream
        quick = [
            "--epochs",
            "2",
            "--stream",
            stream,
            "--bootstrap",
            "0",
            "--no-baselines",
            "--quiet",
            "--importance-repeats",
            "0",
        ]
        assert run(["fit", str(place / name), *flags, *quick, "--out", str(out)]) == 0, capsys.readouterr().err
        records[stream] = json.loads((out / "run.json").read_text())
    kept = records["true"]["choices"]["prepared rows"]
    assert kept["value"] == "disk" and kept["why"].endswith("on disk")
    assert "prepared rows" not in records["false"]["choices"]
    assert records["true"]["metrics"] == records["false"]["metrics"]
    words = ["predict", str(tmp_path / "true" / "model.glia"), str(place / name), "--out", str(tmp_path / "p.csv")]
    assert run(words) == 0 and pl.read_csv(tmp_path / "p.csv").height == 60
