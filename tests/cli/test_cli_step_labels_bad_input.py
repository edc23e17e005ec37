"""Labels of steps that cannot be learned, or only with a word about it: one line and status 2, or a finding."""

import json

import numpy as np
import polars as pl
import pytest

from glia.cli.main import run

FLAGS = ["--epochs", "1", "--bootstrap", "20", "--no-baselines", "--network", "gru", "--quiet"]


def table(place, change=lambda frame: frame, count=40):
    rng = np.random.default_rng(0)
    rows = [
        (f"s{i}", t, "ab"[int(rng.integers(2))], f"p{i // 8}", float(rng.normal()))
        for i in range(count)
        for t in range(6)
    ]
    frame = pl.DataFrame(rows, schema=["who", "t", "state", "clinic", "x"], orient="row")
    change(frame).write_csv(place / "l.csv")
    return ["fit", str(place / "l.csv"), "--id", "who", "--time", "t", "--target", "state"]


def refused(capsys, words, said, place):
    assert run([*words, "--out", str(place / "no run"), *FLAGS]) == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err and len(err.strip().splitlines()) == 1, err
    assert not (place / "no run").exists()


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        (lambda f: f.with_columns(state=pl.col("x")), [], "labels of steps must be classes"),
        (lambda f: f.with_columns(state=pl.col("x")), [], "glia forecast"),
        (lambda f: f.with_columns(state=pl.lit("a")), [], "one class"),
        (lambda f: f.with_columns(state=pl.when(pl.col("t") > 2).then(pl.lit("a"))), [], "one class"),
        (lambda f: f.with_columns(state=pl.lit(None, dtype=pl.String)), [], "target"),
        (lambda f: f, ["--id", "whom"], "the id must be a column · got 'whom'"),
        (lambda f: pl.concat([f, f[7:8]]), [], "once in each sequence"),
        (lambda f: f.with_columns(t=pl.when(pl.int_range(pl.len()) != 9).then("t")), [], "1 missing"),
        (lambda f: f.with_columns(who=pl.when(pl.int_range(pl.len()) != 9).then("who")), [], "without 'who'"),
        (lambda f: f, [], "channels must be numbers"),
        (lambda f: f, ["--drop", "clinic", "--drop", "x"], "there must be channels"),
        (lambda f: f.head(54), ["--drop", "clinic"], "at least 10 sequences with labels · got 9"),
        (lambda f: f, ["--drop", "clinic", "--members", "3"], "members=3"),
        (lambda f: f, ["--drop", "clinic", "--task", "multilabel"], "labels of steps must be classes"),
        (lambda f: f.with_columns(x=pl.when(pl.int_range(pl.len()) == 5).then(float("inf")).otherwise("x")),
         ["--drop", "clinic"], "finite"),
        (lambda f: f.with_columns(state=pl.when(pl.col("clinic") == "p3").then(pl.lit("new")).otherwise("state")),
         ["--group", "clinic", "--seed", "3"], "part alone"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned(tmp_path, capsys, change, more, said):
    words = table(tmp_path, change)
    if said != "channels must be numbers" and not more:
        words += ["--drop", "clinic"]
    if more[:1] == ["--id"]:
        words[words.index("who")] = "whom"
        more = ["--drop", "clinic"]
    refused(capsys, [*words, *more], said, tmp_path)


def test_a_sequence_without_any_label_is_left_out(tmp_path):
    words = table(tmp_path, lambda f: f.with_columns(state=pl.when(pl.col("who") != "s5").then("state")))
    assert run([*words, "--drop", "clinic", "--out", str(tmp_path / "run"), *FLAGS]) == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["source"]["rows"] == 39
    assert "1 sequence without any label" in json.dumps(record["schema"]["warnings"])


def test_numbers_that_name_classes_can_be_said_to(tmp_path):
    words = table(tmp_path, lambda f: f.with_columns(state=pl.int_range(pl.len()) % 30))
    words += ["--drop", "clinic", "--task", "multiclass", "--out", str(tmp_path / "run")]
    assert run([*words, *FLAGS]) == 0
    assert len(json.loads((tmp_path / "run" / "run.json").read_text())["classes"]) == 30


def test_new_rows_that_do_not_fit(tmp_path, capsys):
    words = table(tmp_path)
    assert run([*words, "--group", "clinic", "--out", str(tmp_path / "run"), *FLAGS]) == 0
    model, new, frame = str(tmp_path / "run" / "model.glia"), str(tmp_path / "new.csv"), pl.read_csv(tmp_path / "l.csv")
    tune = ["tune", new, "--id", "who", "--time", "t", "--target", "state", "--drop", "clinic", "--quiet"]
    tune += ["--out", str(tmp_path / "tuned")]
    (tmp_path / "space.toml").write_text("hidden = { choices = [[8], [16]] }")
    for change, verb, said in (
        (frame.with_columns(state=pl.lit("new")), ["evaluate", model, new], "'new'"),
        (frame.drop("state"), ["evaluate", model, new], "must hold the target"),
        (frame.with_columns(state=pl.lit("")), ["evaluate", model, new], "some step must have a label"),
        (frame.drop("x"), ["evaluate", model, new], "no 'x'"),
        (frame.drop("t"), ["predict", model, new, "--out", str(tmp_path / "p.csv")], "no 't'"),
        (pl.concat([frame, frame[:1]]), ["predict", model, new, "--out", str(tmp_path / "p.csv")], "has twice"),
        (frame, ["explain", model, new, "--step", "6"], "step 6 of 's0', which has 6"),
        (frame, ["explain", model, new, "--step", "2", "--method", "gates"], "--step with gates"),
        (frame, ["explain", model, new, "--method", "shap"], "steps and channels"),
        (frame.head(29 * 6), tune, "at least 30 sequences with labels · got 29"),
        (frame.with_columns(state=pl.col("x")), tune, "labels of steps must be classes"),
        (frame.with_columns(state=pl.lit("a")), tune, "one class"),
        (frame, [*tune, "--members", "3"], "members=3"),
        (frame, [*tune, "--loss", "focal"], "loss='focal'"),
        (frame, [*tune, "--resume"], "a study to go on with"),
        (frame, [*tune, "--space", str(tmp_path / "space.toml")], "hidden"),
        (frame, [*tune, "--folds", "3", "--trials", "0"], "trials"),
    ):  # fmt: skip
        change.write_csv(new)
        assert run(verb) == 2, (verb, said)
        err = capsys.readouterr().err
        assert said in err and "Traceback" not in err and len(err.strip().splitlines()) == 1, err
    assert not (tmp_path / "p.csv").exists() and not (tmp_path / "tuned").exists()


def test_a_step_is_chosen_of_labels_only(tmp_path, capsys):
    words = table(tmp_path, lambda f: f.with_columns(state=pl.col("who").str.slice(1).cast(int) % 2))
    assert run([*words, "--group", "clinic", "--out", str(tmp_path / "run"), *FLAGS]) == 0
    assert run(["explain", str(tmp_path / "run"), str(tmp_path / "l.csv"), "--step", "1"]) == 2
    assert "--step with SequenceClassifier" in capsys.readouterr().err


def test_arrays_of_the_wrong_shape(tmp_path, capsys):
    X = np.random.default_rng(0).normal(size=(20, 6))
    for y, said in ((np.zeros((20, 5)), "one for each of its steps"), (np.zeros((20, 6)), "one class"),
                    (np.full((20, 6), np.nan), "some step must have a label"), (X, "must be classes")):  # fmt: skip
        np.savez(tmp_path / "a.npz", X=X, y=y)
        refused(capsys, ["fit", str(tmp_path / "a.npz")], said, tmp_path)
