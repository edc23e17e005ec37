"""What people keep among their photographs, through the command line: used or named, nothing half-written."""

import json
import struct
import zlib

import numpy as np
import polars as pl
import pytest
from PIL import Image

from glia.cli.main import run

FLAGS = ["--epochs", "1", "--bootstrap", "0", "--no-baselines", "--quiet"]


def photos(root, count=24, names=("dark", "light")):
    rng = np.random.default_rng(0)
    for i in range(count):
        name = names[i % len(names)]
        (root / name).mkdir(parents=True, exist_ok=True)
        base = 60 if i % 2 else 190
        Image.fromarray(np.clip(rng.normal(base, 30, (8, 8, 3)), 0, 255).astype(np.uint8)).save(
            root / name / f"{i}.png"
        )
    return root


def bomb(path):
    """Write a PNG of a few bytes that says it has 10**10 pixels."""
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def cut(path):
    """Write the first half of a JPEG."""
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def grey(value, *size):
    return np.full(size, value, np.uint8)


GOOD = {
    "larger.png": lambda path: Image.fromarray(grey(90, 30, 20, 3)).save(path),
    "pixel.png": lambda path: Image.fromarray(grey(90, 1, 1)).save(path),
    "wide.png": lambda path: Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(path),
    "press.jpg": lambda path: Image.new("CMYK", (8, 8), (10, 200, 30, 0)).save(path),
    "clear.png": lambda path: Image.new("RGBA", (8, 8), (10, 200, 30, 0)).save(path),
    "palette.gif": lambda path: Image.new("P", (8, 8)).save(path),
    "moving.gif": lambda path: Image.fromarray(grey(10, 8, 8)).save(
        path, save_all=True, append_images=[Image.fromarray(grey(200, 8, 8))]
    ),
}
BROKEN = {
    "empty.png": (lambda path: path.write_bytes(b""), "an empty file"),
    "words.png": (lambda path: path.write_text("these are words"), "text that begins 'these'"),
    "bomb.png": (bomb, "several times as many"),
    "cut.jpg": (cut, "truncated"),
}


def refused(capsys, *words):
    assert run(list(words)) == 2
    said = capsys.readouterr()
    errors = [line for line in said.err.splitlines() if line.startswith("glia: error")]
    assert len(errors) == 1 and " · " in errors[0] and "Traceback" not in said.err
    return errors[0]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A run on a folder with all of them, and its folder."""
    place = tmp_path_factory.mktemp("mixed")
    root = photos(place / "photos")
    for name, write in GOOD.items():
        write(root / "dark" / name)
    for name, (write, _) in BROKEN.items():
        write(root / "light" / name)
    assert run(["fit", str(root), "--out", str(place / "run"), *FLAGS]) == 0
    return place


def test_odd_pictures_are_used_and_broken_ones_named(mixed):
    record = json.loads((mixed / "run" / "run.json").read_text())
    assert record["source"]["rows"] == 24 + len(GOOD)
    said = [one["message"] for one in record["schema"]["warnings"]]
    for name, (_, why) in BROKEN.items():
        assert any(name in one and why in one and "was left out" in one for one in said), name
    assert not any(name in one for name in GOOD for one in said)
    assert any(one.startswith("1 picture has several frames") for one in said)


@pytest.mark.parametrize("name", list(GOOD))
def test_odd_pictures_are_answered(mixed, name, tmp_path):
    model, picture = str(mixed / "run" / "model.glia"), str(mixed / "photos" / "dark" / name)
    assert run(["predict", model, picture, "--out", str(tmp_path / "p.parquet")]) == 0
    assert pl.read_parquet(tmp_path / "p.parquet")["file"].to_list() == [name]


@pytest.mark.parametrize("name", list(BROKEN))
def test_broken_pictures_are_one_message(mixed, name, tmp_path, capsys):
    model, picture = str(mixed / "run" / "model.glia"), str(mixed / "photos" / "light" / name)
    said = refused(capsys, "predict", model, picture, "--out", str(tmp_path / "p.parquet"))
    assert "1 file that is none" in said and BROKEN[name][1] in said
    (tmp_path / "rows.csv").write_text(f"image,class\n{picture},dark\n" * 3)
    said = refused(capsys, "predict", model, str(tmp_path / "rows.csv"), "--out", str(tmp_path / "p.parquet"))
    assert name in said and BROKEN[name][1] in said
    said = refused(capsys, "explain", model, picture, "--out", str(tmp_path / "e"))
    assert name in said
    assert [one.name for one in tmp_path.iterdir()] == ["rows.csv"]


@pytest.mark.parametrize("verb", ["fit", "tune"])
def test_folders_that_cannot_be_learned_from(verb, tmp_path, capsys):
    out = str(tmp_path / "out")
    more = ["--trials", "2"] if verb == "tune" else FLAGS
    (tmp_path / "empty").mkdir()
    one = photos(tmp_path / "one", names=("only",))
    few = photos(tmp_path / "few", count=4)
    bad = tmp_path / "bad" / "dark"
    bad.mkdir(parents=True)
    for name, (write, _) in BROKEN.items():
        write(bad / name)
    for folder, words in (
        (tmp_path / "empty", ("the empty folder",)), (tmp_path / "none", (" must ",)), (one, ("two classes",)),
        (few, ("at least",)), (bad.parent, ("4 files that are none", "bomb.png")),
    ):  # fmt: skip
        said = refused(capsys, verb, str(folder), "--out", out, *more)
        assert all(word in said for word in words), (folder.name, said)
    assert not (tmp_path / "out").exists()


def test_a_class_of_the_test_part_alone(tmp_path, capsys):
    """All pictures of a class belong to one group, so that they are all in one part."""
    root = photos(tmp_path / "photos", count=40)
    names = sorted(path.relative_to(tmp_path).as_posix() for path in root.rglob("*.png"))
    group = [f"g{i % 8}" for i in range(len(names))]
    deal = ["dark" if i % 2 else "light" for i in range(len(names))]
    frame = pl.DataFrame({"photo": names, "who": group, "deal": deal})
    found = 0
    for whose in sorted(set(group)):
        only = frame.with_columns(deal=pl.when(pl.col("who") == whose).then(pl.lit("rare")).otherwise(pl.col("deal")))
        only.write_csv(tmp_path / "t.csv")
        out = tmp_path / f"run {whose}"
        code = run(["fit", str(tmp_path / "t.csv"), "--target", "deal", "--group", "who", "--out", str(out), *FLAGS])
        said = capsys.readouterr().err
        if code == 0:
            assert (out / "run.json").exists() and "rare" in json.loads((out / "run.json").read_text())["classes"]
            continue
        found += 1
        errors = [line for line in said.splitlines() if line.startswith("glia: error")]
        assert code == 2 and len(errors) == 1 and "'rare' in the" in errors[0] and "part alone (5 rows)" in errors[0]
        assert not out.exists()
    assert found == 3  # groups: one is that of the validation, two those of the test


def test_tuning_a_folder_from_disk(tmp_path):
    pytest.importorskip("optuna", reason="optional package of the extra tuning")
    root, found = photos(tmp_path / "photos", count=40), []
    (tmp_path / "space.toml").write_text("lr = {low = 0.001, high = 0.1, log = true}\n")
    for stream in ("true", "false"):
        out = tmp_path / stream
        words = ["tune", str(root), "--out", str(out), "--trials", "2", "--space", str(tmp_path / "space.toml")]
        assert run([*words, "--epochs", "2", "--stream", stream, "--quiet"]) == 0
        record = json.loads((out / "tune.json").read_text())
        found.append((record["test"], [(one["settings"], one["score"]) for one in record["trials"]]))
    assert found[0] == found[1]
