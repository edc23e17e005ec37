"""Sounds and sequences described: every planted fault is told by its name, and nothing of data without any."""

import json
import shutil
import wave

import numpy as np
import polars as pl
import pytest
from scipy.io import wavfile

from glia.cli.main import run
from glia.data.audio import level_of

RATE = 4000


def described(capsys, *words):
    assert run(["describe", *map(str, words), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    return told, {one["code"]: one["message"] for one in told["findings"]}


def tone(count=900, pitch=0.3, size=8000):
    return (size * np.sin(np.arange(count) * pitch)).astype(np.int16)


@pytest.fixture
def sounds(tmp_path):
    for i in range(12):
        folder = tmp_path / "s" / ("high", "low")[i % 2] / f"p{i // 2 % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        wavfile.write(folder / f"{i}.wav", RATE, tone(800 + 10 * i, 0.3 + 0.01 * i))
    return tmp_path / "s"


def write_24(path, values):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(RATE)
        file.writeframes(b"".join((256 * int(v)).to_bytes(3, "little", signed=True) for v in values))


def test_good_sounds_are_counted(sounds, capsys):
    told, found = described(capsys, sounds)
    assert not found and told["sounds"] == 12 and told["formats"] == [[RATE, 1, "16 bits", 12]]
    assert told["seconds"] == pytest.approx(sum(800 + 10 * i for i in range(12)) / RATE)
    assert [(one["name"], one["sounds"], one["longest"]) for one in told["classes"]] == [
        ("high", 6, 900 / RATE), ("low", 6, 910 / RATE),
    ]  # fmt: skip
    assert told["groups"] == [["p0", 4], ["p1", 4], ["p2", 4]]
    assert run(["describe", str(sounds)]) == 0
    assert "12 sounds, 2.56 s, 2 classes, 3 groups; nothing looks wrong." in capsys.readouterr().out


def test_each_fault_of_a_sound_is_named(sounds, capsys):
    folder = sounds / "low" / "p1"
    wavfile.write(folder / "none.wav", RATE, np.zeros(0, np.int16))
    wavfile.write(folder / "one.wav", RATE, np.ones(1, np.int16))
    wavfile.write(folder / "silent.wav", RATE, np.full(900, 700, np.int16))  # nothing but an offset
    wavfile.write(
        folder / "clipped.wav", RATE, np.clip(tone(size=30000).astype(int) * 3, -32768, 32767).astype(np.int16)
    )
    wavfile.write(folder / "eight.wav", RATE, (128 + 100 * np.sin(np.arange(900) * 0.7)).astype(np.uint8))
    wavfile.write(folder / "float.wav", RATE, (0.5 * np.sin(np.arange(900) * 0.71)).astype(np.float32))
    wavfile.write(folder / "nan.wav", RATE, np.full(900, np.nan, np.float32))
    wavfile.write(folder / "stereo.wav", RATE, np.repeat(tone(pitch=0.72)[:, None], 2, axis=1))
    wavfile.write(folder / "faster.wav", 2 * RATE, tone(pitch=0.73))
    write_24(folder / "deep.wav", tone(pitch=0.74))
    (folder / "cut.wav").write_bytes((folder / "faster.wav").read_bytes()[:-600])
    (folder / "text.wav").write_text("no sound")
    (folder / "empty.wav").write_bytes(b"")
    shutil.copy(folder / "eight.wav", sounds / "high" / "p0" / "copy.wav")
    told, found = described(capsys, sounds)
    assert sorted(told["broken"]) == [f"low/p1/{name}.wav" for name in ("empty", "nan", "none", "text")]
    assert told["silent"] == ["low/p1/one.wav", "low/p1/silent.wav"] and told["clipped"] == ["low/p1/clipped.wav"]
    assert {kind[2] for kind in told["formats"]} == {"8 bits", "16 bits", "24 or 32 bits", "floating point"}
    assert set(found) == {
        "broken-sound", "truncated-sound", "silent-sound", "clipped-sound", "brief-sound", "mixed-rate",
        "mixed-channels", "copies-in-classes",
    }  # fmt: skip
    assert "cut.wav" in found["truncated-sound"] and "one.wav" in found["brief-sound"]
    assert level_of(folder / "deep.wav").peak == pytest.approx(8000 / 32768, rel=0.01)
    assert level_of(folder / "clipped.wav").clipped > 0.3 and level_of(folder / "stereo.wav").clipped == 0


def test_what_tells_classes_apart_beside_the_sound(tmp_path, capsys):
    for i in range(12):
        name, rate = (("a", 4000), ("b", 8000))[i % 2]
        folder = tmp_path / "s" / name / f"only_{name}"
        folder.mkdir(parents=True, exist_ok=True)
        wavfile.write(folder / f"{i}.wav", rate, tone(900 + i, 0.3 + 0.01 * i))
    _, found = described(capsys, tmp_path / "s")
    assert set(found) == {"rate-by-class", "group-is-class"}
    assert run(["describe", str(tmp_path / "s"), "--time", "t"]) == 2
    assert "sounds must be described without --time" in capsys.readouterr().err


def test_arrays_of_series(tmp_path, capsys):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 30, 2)), np.arange(20) % 2
    np.savez(tmp_path / "good.npz", X=X, y=y)
    told, found = described(capsys, tmp_path / "good.npz")
    assert not found and told["lengths"] == [30] * 5 and told["steps"] == 600
    assert told["channels"][1]["mean"] == pytest.approx(X[..., 1].mean())
    bad = X.copy()
    bad[3], bad[5, 2, 1], bad[7, 1:], bad[10, 4:, 1] = np.nan, np.inf, np.nan, np.nan
    bad[9] = bad[8]
    np.savez(tmp_path / "bad.npz", X=bad, y=y)
    told, found = described(capsys, tmp_path / "bad.npz")
    assert set(found) == {"empty-sequence", "infinite", "one-step", "copies-in-classes"}
    assert "number 3." in found["empty-sequence"] and "number 5." in found["infinite"]
    assert "8 and 9" in found["copies-in-classes"] and told["sequences"] == 18
    assert told["lengths"][0] == 1 and told["channels"][1]["missing"] == 26
    assert told["classes"][1]["sequences"] == 8  # numbers 3 and 5 are of the second class
    long = np.full((6, 2500), np.nan)
    long[:3, :] = rng.normal(size=(3, 2500))
    long[3:, :5] = 1.0
    np.savez(tmp_path / "long.npz", X=long, y=np.repeat([0, 1], 3))
    _, found = described(capsys, tmp_path / "long.npz")
    assert {"long-sequences", "length-by-class", "copies", "rare-class"} <= set(found)


def test_ucr_tables_are_series_and_others_stay_tables(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.savetxt(tmp_path / "u.tsv", np.column_stack([np.arange(20) % 2, rng.normal(size=(20, 12))]), delimiter="\t")
    told, found = described(capsys, tmp_path / "u.tsv")
    assert told["sequences"] == 20 and told["lengths"][-1] == 12 and len(told["classes"]) == 2 and not found
    assert run(["describe", str(tmp_path / "u.tsv"), "--target", "x1", "--json"]) == 0
    assert "schema" in json.loads(capsys.readouterr().out)


def steps(count=20, seed=0):
    rng = np.random.default_rng(seed)
    return [
        (f"g{i}", f"2024-01-{t + 1:02d}", "ab"[i % 2], float(rng.normal()))
        for i in range(count) for t in range(int(rng.integers(3, 12)))
    ]  # fmt: skip


NAMES = ["who", "day", "label", "x"]


def long(tmp_path, rows, names=NAMES):
    pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None).write_csv(tmp_path / "l.csv")
    return [tmp_path / "l.csv", "--id", "who", "--time", "day", "--target", "label"]


def test_a_long_table_without_fault(tmp_path, capsys):
    rows = steps()
    told, found = described(capsys, *long(tmp_path, rows[::-1]))
    assert not found and told["sequences"] == 20 and told["steps"] == len(rows)
    assert told["times"]["step"] == "day" and told["times"]["irregular"] == 0
    assert (told["times"]["first"], told["times"]["last"]) == ("2024-01-01", max(row[1] for row in rows))


def test_each_fault_of_a_long_table_is_named(tmp_path, capsys):
    rows = steps()
    rows += [rows[4], ("g1", "2024-03-05", "b", 1.0), (None, "2024-03-05", "b", 1.0), ("g2", None, "a", 1.0)]
    rows += [("g3", "2024-02-01", "a", float("inf"))]
    told, found = described(capsys, *long(tmp_path, [(*row, "w") for row in rows], [*NAMES, "word"]))
    assert set(found) == {
        "no-id", "no-time", "duplicate-times", "irregular-times", "target-varies", "infinite", "not-a-channel",
    }  # fmt: skip
    assert f"{rows[4][1]} first" in found["duplicate-times"] and "g3 first" in found["target-varies"]
    assert told["times"]["duplicates"] == 1 and told["times"]["missing"] == 1 and told["times"]["irregular"] == 2
    # what is told as grave is what a fit refuses
    assert run(["fit", str(tmp_path / "l.csv"), "--target", "label", "--id", "who", "--time", "day", "--drop", "word",
                "--out", str(tmp_path / "run")]) == 2  # fmt: skip
    assert "without 'who'" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_months_fractions_and_words_as_times(tmp_path, capsys):
    rows = [(f"g{i}", f"2024-{m:02d}-01", "ab"[i % 2], float(i * m)) for i in range(10) for m in range(1, 9)]
    told, found = described(capsys, *long(tmp_path, rows))
    assert told["times"]["step"] == "month" and not told["times"]["irregular"] and not found
    rows = [
        (f"g{i}", 0.25 * t + (0.1 if (i, t) == (3, 4) else 0), "ab"[i % 2], float(i * t))
        for i in range(10)
        for t in range(9)
    ]
    told, found = described(capsys, *long(tmp_path, rows))
    assert told["times"]["step"] == "0.25" and told["times"]["irregular"] == 2 and set(found) == {"irregular-times"}
    rows = [(f"g{i}", word, "ab"[i % 2], float(i)) for i in range(10) for word in ("begin", "end", "middle")]
    told, found = described(capsys, *long(tmp_path, rows))
    assert "times-are-words" in found and told["times"]["step"] == ""
    assert run(["describe", str(tmp_path / "l.csv"), "--id", "whom"]) == 2
    assert "did you mean 'who'" in capsys.readouterr().err
    assert run(["describe", str(tmp_path / "l.csv"), "--time", "day"]) == 2
    assert "without --id" in capsys.readouterr().err
