"""Bad sounds and sequences by the command line: one line and status 2, or a finding by name and a run that goes on."""

import json

import numpy as np
import polars as pl
import pytest
from scipy.io import wavfile

from glia.cli.main import run

FLAGS = ["--epochs", "1", "--bootstrap", "20", "--no-baselines", "--quiet"]
RATE = 4000


def refused(capsys, place, said, *words):
    assert run(["fit", *map(str, words), "--out", str(place / "no run"), *FLAGS]) == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err and len(err.strip().splitlines()) == 1, err
    assert not (place / "no run").exists()


def arrays(count=40, steps=12, seed=0):
    X = np.random.default_rng(seed).normal(size=(count, steps))
    return X, np.arange(count) % 2


def test_arrays_that_cannot_be_learned_from(tmp_path, capsys):
    X, y = arrays()
    bad = {
        "odd": ({"X": X, "y": y[:-1]}, "one value for each"),
        "code": ({"X": np.array([{}] * 4, dtype=object), "y": np.zeros(4)}, "plain arrays"),
        "codes": ({"X": X, "y": np.array([{}] * 40, dtype=object)}, "plain arrays"),
        "flat": ({"X": X[0], "y": y[:12]}, "(N, T) or (N, T, C)"),
        "none": ({"X": X[:0], "y": y[:0]}, "there must be rows"),
        "nothing": ({"X": np.zeros((40, 0)), "y": y}, "at least one step"),
        "words": ({"X": np.full((40, 12), "a"), "y": y}, "array (N, T) or (N, T, C) of numbers"),
        "endless": ({"X": np.where(np.arange(12) == 3, np.inf, X), "y": y}, "finite"),
    }
    for name, (content, said) in bad.items():
        np.savez(tmp_path / f"{name}.npz", **content)
        refused(capsys, tmp_path, said, tmp_path / f"{name}.npz")
    X[5] = np.nan
    np.savez(tmp_path / "empty.npz", X=X, y=y)
    refused(capsys, tmp_path, "sequence 5 of length 0", tmp_path / "empty.npz")
    (tmp_path / "half.npz").write_bytes((tmp_path / "odd.npz").read_bytes()[:200])
    refused(capsys, tmp_path, "plain arrays", tmp_path / "half.npz")
    (tmp_path / "u.tsv").write_text("\t".join(["1"] * 13) + "\n" + "\t".join(["2"] * 9) + "\n")
    refused(capsys, tmp_path, "must hold numbers", tmp_path / "u.tsv")


def test_lengths_of_one_and_of_very_many_go_on(tmp_path, capsys):
    X, y = arrays(24, 1)
    np.savez(tmp_path / "one.npz", X=X, y=y)
    assert run(["fit", str(tmp_path / "one.npz"), "--out", str(tmp_path / "one"), *FLAGS]) == 0
    X, y = arrays(10, 100_000)
    np.savez(tmp_path / "many.npz", X=X.astype(np.float32), y=y)
    how = ["--network", "gru"]
    assert run(["fit", str(tmp_path / "many.npz"), *how, "--out", str(tmp_path / "many"), *FLAGS]) == 0
    record = json.loads((tmp_path / "many" / "run.json").read_text())
    assert "100,000 steps each" in json.dumps(record["schema"]["columns"])
    assert run(["predict", str(tmp_path / "many" / "model.glia"), str(tmp_path / "many.npz"), "--out",
                str(tmp_path / "p.csv")]) == 0  # fmt: skip
    assert pl.read_csv(tmp_path / "p.csv").height == 10
    assert run(["describe", str(tmp_path / "many.npz")]) == 0
    assert "of more than 2,048 steps" in capsys.readouterr().out


def table(tmp_path, change=lambda frame: frame):
    rng = np.random.default_rng(0)
    rows = [(f"s{i}", t, "ab"[i % 2], float(rng.normal())) for i in range(40) for t in range(6)]
    frame = pl.DataFrame(rows, schema=["who", "t", "label", "x"], orient="row")
    change(frame).write_csv(tmp_path / "l.csv")
    return [tmp_path / "l.csv", "--target", "label", "--id", "who", "--time", "t"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: pl.concat([f, f[7:8]]), "once in each sequence"),
        (lambda f: f.with_columns(t=pl.when(pl.int_range(pl.len()) == 9).then(None).otherwise("t")), "1 missing"),
        (lambda f: f.with_columns(who=pl.when(pl.int_range(pl.len()) != 9).then("who")), "without 'who'"),
        (lambda f: f.filter(pl.col("label") == "a"), "class"),
    ],
)  # fmt: skip
def test_steps_that_cannot_be_put_in_order(tmp_path, capsys, change, said):
    refused(capsys, tmp_path, said, *table(tmp_path, change))


def test_irregular_times_go_on(tmp_path):
    words = table(tmp_path, lambda f: f.with_columns(t=pl.col("t") ** 2 + pl.int_range(pl.len()) % 2 * 0.5))
    assert run(["fit", *map(str, words), "--network", "gru", "--out", str(tmp_path / "run"), *FLAGS]) == 0


def test_a_class_that_is_only_among_new_rows(tmp_path, capsys):
    words = table(tmp_path)
    assert run(["fit", *map(str, words), "--network", "gru", "--out", str(tmp_path / "run"), *FLAGS]) == 0
    new = pl.read_csv(tmp_path / "l.csv").with_columns(
        label=pl.when(pl.col("who") == "s3").then(pl.lit("new")).otherwise("label")
    )
    new.write_csv(tmp_path / "new.csv")
    capsys.readouterr()
    status = run(["evaluate", str(tmp_path / "run" / "model.glia"), str(tmp_path / "new.csv"), "--json"])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert (status == 2 and "'new'" in said.err) or (status == 0 and "accuracy" in said.out)


def sound(pitch, count=900):
    return (8000 * np.sin(np.arange(count) * pitch)).astype(np.int16)


@pytest.mark.filterwarnings("ignore:2 files could not be read")  # which the command line prints
def test_sounds_of_every_kind_in_one_folder_go_on(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(32):
        folder = tmp_path / "s" / ("high", "low")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        x = sound((0.9, 0.3)[i % 2] + 0.02 * rng.normal())
        kinds = {0: x, 1: np.repeat(x[:, None], 2, axis=1), 2: (x / 32768).astype(np.float32),
                 3: (x // 256 + 128).astype(np.uint8), 4: x.astype(np.int32) << 16}  # fmt: skip
        wavfile.write(folder / f"{i}.wav", RATE * (1 + i % 3 // 2), kinds[i // 2 % 5])
    low = tmp_path / "s" / "low"
    wavfile.write(low / "one sample.wav", RATE, np.ones(1, np.int16))
    wavfile.write(low / "no sample.wav", RATE, np.zeros(0, np.int16))
    (low / "cut.wav").write_bytes((low / "1.wav").read_bytes()[:-700])
    (low / "words.wav").write_text("no sound")
    assert run(["fit", str(tmp_path / "s"), "--network", "gru", "--out", str(tmp_path / "run"), *FLAGS]) == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    found = {(one["code"], word) for one in record["schema"]["warnings"] for word in
             ("no sample", "cut.wav", "words.wav") if word in one["message"]}  # fmt: skip
    assert {("broken-sound", "no sample"), ("broken-sound", "words.wav"), ("truncated-sound", "cut.wav")} <= found
    assert record["source"]["rows"] == 34
    assert run(["predict", str(tmp_path / "run" / "model.glia"), str(low), "--out", str(tmp_path / "p.csv")]) == 0


def test_sounds_that_cannot_be_learned_from(tmp_path, capsys):
    place = tmp_path / "s" / "a"
    place.mkdir(parents=True)
    wavfile.write(place / "none.wav", RATE, np.zeros(0, np.int16))
    refused(capsys, tmp_path, "there must be sounds", tmp_path / "s")
    for i in range(12):
        wavfile.write(place / f"{i}.wav", RATE, sound(0.3 + 0.01 * i))
    refused(capsys, tmp_path, "class", tmp_path / "s")
