"""Folders of sounds and files of sequences go all the way by the command line."""

import json

import numpy as np
import polars as pl
import pytest
from scipy.io import wavfile

from glia.cli.main import run

RATE = 4000
FLAGS = ["--epochs", "3", "--bootstrap", "20", "--quiet"]


def write_sounds(root, count=60, seed=0):
    """Low and high tones in noise, by six speakers who each say both."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        label, low = (("high", 900), ("low", 300))[i % 2]
        folder = root / label / f"speaker{i // 2 % 6}"
        folder.mkdir(parents=True, exist_ok=True)
        time = np.arange(int(RATE * rng.uniform(0.15, 0.3))) / RATE
        sound = np.sin(2 * np.pi * low * rng.uniform(0.9, 1.1) * time) + 0.2 * rng.normal(size=len(time))
        wavfile.write(folder / f"{i}.wav", RATE, (sound * 8000).astype(np.int16))
    return root


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("audio")
    root = write_sounds(place / "sounds")
    (root / "low" / "speaker1" / "words.wav").write_text("no sound")
    assert run(["fit", str(root), "--group", "speaker", "--out", str(place / "run"), *FLAGS]) == 0
    return place


def test_a_folder_of_sounds_is_learned_from_by_speaker(place):
    record = json.loads((place / "run" / "run.json").read_text())
    assert record["target"] == "label" and record["classes"] == ["high", "low"] and record["source"]["rows"] == 60
    assert "words.wav could not be read" in record["schema"]["warnings"][0]["message"]
    assert record["split"]["method"] == "group" and len(record["baselines"]) == 4
    names = {row["values"]["file"] for row in record["hardest"]}
    assert all(name.endswith(".wav") for name in names)
    assert {tuple(sorted(row["values"])) for row in record["hardest"]} == {("file", "speaker")}
    page = (place / "run" / "report.html").read_text()
    assert "words.wav" in page and "speaker" in page


def test_parts_share_no_speaker(place):
    record = json.loads((place / "run" / "run.json").read_text())
    files = sorted(p.relative_to(place / "sounds").as_posix() for p in (place / "sounds").rglob("*.wav"))
    files = [name for name in files if "words" not in name]
    spoken = {part: {files[i].split("/")[1] for i in rows} for part, rows in record["split"]["numbers"].items()}
    assert all(spoken.values())
    assert not spoken["train"] & spoken["valid"] and not spoken["train"] & spoken["test"]
    assert not spoken["valid"] & spoken["test"]


def test_the_model_is_of_use(place, capsys):
    model, new = str(place / "run" / "model.glia"), write_sounds(place / "new", 12, 1)
    assert run(["predict", model, str(new), "--out", str(place / "p.csv")]) == 0
    frame = pl.read_csv(place / "p.csv")
    assert frame.columns == ["file", "prediction", "probability_high", "probability_low"] and frame.height == 12
    assert [name.split("/")[0] for name in frame["file"]] == frame["prediction"].to_list()
    capsys.readouterr()
    assert run(["evaluate", model, str(new), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["accuracy"]["value"] == 1.0


def test_a_manifest_names_words_and_speakers(place, capsys):
    root = place / "flat"
    root.mkdir()
    rows = []
    for path in sorted((place / "sounds").rglob("*.wav")):
        if path.name == "words.wav":
            continue
        (root / path.name).write_bytes(path.read_bytes())
        rows.append((path.name, path.parts[-3], path.parts[-2]))
    pl.DataFrame(rows, schema=["path", "pitch", "who"], orient="row").write_csv(root / "manifest.csv")
    flags = ["--target", "pitch", "--group", "who", "--out", str(place / "flat run"), *FLAGS, "--no-baselines"]
    assert run(["fit", str(root), *flags]) == 0
    model = str(place / "flat run" / "model.glia")
    capsys.readouterr()
    assert run(["evaluate", model, str(root), "--json"]) == 0  # by the manifest's column of the model's target
    assert json.loads(capsys.readouterr().out)["metrics"]["accuracy"]["value"] > 0.9
    assert run(["fit", str(root), "--target", "tone", "--out", str(place / "none")]) == 2
    assert "manifest.csv must have the column" in capsys.readouterr().err and not (place / "none").exists()


def test_steps_of_a_table_are_sequences(place, capsys):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(60):
        sign, label = ((1, "up"), (-1, "down"))[i % 2]
        rows += [(f"g{i}", t, label, 0.3 * sign * t + 0.2 * rng.normal()) for t in range(int(rng.integers(6, 12)))]
    data = place / "gestures.csv"
    pl.DataFrame(rows, schema=["series", "t", "label", "a"], orient="row").write_csv(data)
    flags = ["--target", "label", "--id", "series", "--time", "t", "--network", "gru", "--out", str(place / "seq")]
    assert run(["fit", str(data), *flags, *FLAGS]) == 0
    record = json.loads((place / "seq" / "run.json").read_text())
    assert record["source"]["rows"] == 60 and record["split"]["method"] == "stratified" and record["comparison"]
    assert all(set(row["values"]) == {"series", "t"} for row in record["hardest"])
    model = str(place / "seq" / "model.glia")
    assert run(["predict", model, str(data), "--out", str(place / "q.csv")]) == 0
    frame = pl.read_csv(place / "q.csv")
    assert frame.columns[:2] == ["id", "prediction"] and frame.height == 60
    capsys.readouterr()
    assert run(["evaluate", model, str(data), "--json"]) == 0
    accuracy = json.loads(capsys.readouterr().out)["metrics"]["accuracy"]["value"]
    right = dict(zip((r[0] for r in rows), (r[2] for r in rows), strict=True))
    assert accuracy == pytest.approx(np.mean([right[i] == p for i, p in frame.select("id", "prediction").iter_rows()]))
    assert run(["tune", str(data), *flags[:6], "--network", "gru", "--trials", "2", "--epochs", "2", "--no-untuned",
                "--out", str(place / "tuned"), "--quiet"]) == 0  # fmt: skip
    assert (place / "tuned" / "model.glia").exists()
