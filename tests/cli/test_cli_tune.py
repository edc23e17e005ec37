"""``glia tune``: the folder it leaves, the space it prints, what it refuses, and rows that it must not see."""

import json
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

import glia
from glia.cli.main import run
from glia.tuning.search import Search

pytest.importorskip("optuna", reason="tuning needs the extra glia-nn[tune]")

QUICK = ["--trials", "6", "--bracket", "6", "--siblings", "3", "--rungs", "2", "--epochs", "4", "--bootstrap", "50"]
SPACE = """
lr = { low = 0.001, high = 0.1, log = true }
dropout = { low = 0.0, high = 0.3 }
hidden = { choices = [[8], [16]] }
"""


def write(path, *, poison=None):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 3))
    y = np.where(x[:, 0] * x[:, 1] + 0.3 * rng.normal(size=240) > 0, "yes", "no")
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y})
    if poison is not None:
        worth = pl.Series("a", np.where(np.isin(np.arange(240), poison), 1e6, x[:, 0]))
        frame = frame.with_columns(worth)
    frame.write_csv(path)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune")
    write(folder / "rows.csv")
    (folder / "my.toml").write_text(SPACE)
    words = ["tune", str(folder / "rows.csv"), "--target", "y", "--out", str(folder / "tuned")]
    assert run([*words, "--space", str(folder / "my.toml"), "--quiet", *QUICK]) == 0
    return folder


def scores(folder):
    record = json.loads((folder / "tune.json").read_text())
    return [(t["settings"], t["score"]) for t in record["trials"]]


def test_a_folder_gets_everything(tuned):
    names = ["model.glia", "report.html", "settings.toml", "space.toml", "study.db", "study.db.lock", "tune.json"]
    assert sorted(file.name for file in (tuned / "tuned").iterdir()) == names
    record = json.loads((tuned / "tuned/tune.json").read_text())
    assert len(record["trials"]) == 6 and set(record["best_settings"]) == {"lr", "dropout", "hidden"}
    assert record["n_test"] == 48 and record["difference"]["low"] <= record["difference"]["value"]
    page = (tuned / "tuned/report.html").read_text()
    HTMLParser().feed(page)
    assert "no trial has seen" in page and "flattering" in page and page.count("<figure") >= 6
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_settings_fit_the_same_model_again(tuned, capsys):
    out = tuned / "again"
    words = ["fit", "--config", str(tuned / "tuned/settings.toml"), str(tuned / "rows.csv"), "--out", str(out)]
    assert run([*words, "--quiet", "--no-baselines"]) == 0
    rows = pl.read_csv(tuned / "rows.csv").drop("y")
    one, other = (glia.load(folder / "model.glia") for folder in (tuned / "tuned", out))
    assert np.array_equal(one.predict_proba(rows), other.predict_proba(rows))
    record = json.loads((tuned / "tuned/tune.json").read_text())
    again = json.loads((out / "run.json").read_text())["metrics"]["test"]
    assert record["test"]["accuracy"]["value"] == again["accuracy"]["value"]


def test_test_rows_are_never_seen(tuned, tmp_path):
    """Test rows that are poisoned change no score, no choice and no bit of the model; validation rows do."""
    model = glia.load(tuned / "tuned/model.glia")
    fitted = glia.fit(str(tuned / "rows.csv"), "y", members=1, epochs=1)
    test, valid = fitted.split_.test, fitted.split_.valid
    for name, poison in (("test", test), ("valid", valid[:3])):
        write(tmp_path / f"{name}.csv", poison=poison)
        words = ["tune", str(tmp_path / f"{name}.csv"), "--target", "y", "--out", str(tmp_path / name), "--no-untuned"]
        assert run([*words, "--space", str(tuned / "my.toml"), "--quiet", *QUICK]) == 0
    assert scores(tmp_path / "test") == scores(tuned / "tuned")
    assert scores(tmp_path / "valid") != scores(tuned / "tuned")
    rows = pl.read_csv(tuned / "rows.csv").drop("y")
    assert np.array_equal(glia.load(tmp_path / "test/model.glia").predict_proba(rows), model.predict_proba(rows))


def test_a_study_goes_on_only_when_asked_to(tuned, capsys):
    words = ["tune", str(tuned / "rows.csv"), "--target", "y", "--out", str(tuned / "tuned"), "--quiet", *QUICK]
    words += ["--space", str(tuned / "my.toml"), "--no-untuned"]
    assert run(words) == 2
    assert "go on with --resume" in capsys.readouterr().err
    before = scores(tuned / "tuned")
    assert run([*words, "--resume", "--trials", "8"]) == 0
    assert scores(tuned / "tuned")[:6] == before and len(scores(tuned / "tuned")) == 8


def test_ctrl_c_keeps_what_is_there(tuned, tmp_path, capsys, monkeypatch):
    words = ["tune", str(tuned / "rows.csv"), "--target", "y", "--out", str(tmp_path / "cut"), "--no-untuned", *QUICK]
    words += ["--space", str(tuned / "my.toml")]
    own = Search._next

    def press(self, *values):
        own(self, *values)
        raise KeyboardInterrupt

    monkeypatch.setattr(Search, "_next", press)
    assert run(words) == 130
    said = capsys.readouterr().err
    assert "trials are kept in" in said and "--resume" in said
    names = {file.name for file in (tmp_path / "cut").iterdir()}
    assert {"settings.toml", "tune.json", "report.html", "study.db"} <= names and "model.glia" not in names
    assert "was interrupted" in (tmp_path / "cut/report.html").read_text()
    monkeypatch.undo()
    assert run([*words, "--resume", "--quiet"]) == 0
    assert (tmp_path / "cut/model.glia").is_file() and "running" not in (tmp_path / "cut/tune.json").read_text()


def test_the_space_is_printed_and_can_be_handed_back(tuned, tmp_path, capsys):
    for words in (["tune", "--space"], ["tune", "--space", "print"]):
        assert run(words) == 0
        printed = capsys.readouterr().out
        assert printed.startswith("# What glia tune searches") and "# Learning rate.\nlr = { low" in printed
    (tmp_path / "space.toml").write_text(printed)
    words = ["tune", str(tuned / "rows.csv"), "--target", "y", "--out", str(tmp_path / "out"), "--json", "--no-untuned"]
    assert run([*words, "--space", str(tmp_path / "space.toml"), *QUICK, "--trials", "1"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["default"] and record["trials"][0]["settings"]["hidden"] == [128, 128]  # as few rows get


def test_what_is_given_is_not_searched(tuned, tmp_path, capsys):
    words = ["tune", str(tuned / "rows.csv"), "--target", "y", "--out", str(tmp_path / "out"), "--quiet", *QUICK]
    more = ["--hidden", "8", "--norm", "none", "--no-untuned", "--trials", "2", "--sampler", "random"]
    assert run([*words, *more]) == 0
    record = json.loads((tmp_path / "out/tune.json").read_text())
    assert set(record["best_settings"]) == {"lr", "weight_decay", "dropout", "activation", "numeric_embedding"}
    assert "hidden = [8]" in (tmp_path / "out/settings.toml").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trials", "0"], "trials"),
        (["--time-budget", "soon"], "an interval must be a number"),
        (["--sampler", "tpee"], "sampler"),
        (["--space", "none.toml"], "must be readable TOML"),
        (["--space", "my.toml", "--lr", "0.1"], "either given or searched"),
        (["--space", "bad.toml"], "did you mean 'dropout'"),
        (["--space", "loss.toml"], "changes what the loss means"),
        (["--resume"], "a study to go on with"),
        (["--target", "z"], "must"),
        (["--out", "my.toml"], "must be a folder"),
        (["--folds", "3", "--split", "time", "--time", "a"], "learn from the future"),
        (["--workers", "2"], "several times with one --study"),
        (["--study", "my.toml"], "something else"),
        (["--stream"], "stream"),
    ],
)
def test_mistakes_end_with_2_and_leave_nothing(tuned, tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text(SPACE)
    (tmp_path / "bad.toml").write_text("dropuot = 0.1\n")
    (tmp_path / "loss.toml").write_text('loss = { choices = ["auto", "focal"] }\n')
    before = sorted(tmp_path.iterdir())
    target = [] if "--target" in words else ["--target", "y"]
    assert run(["tune", str(tuned / "rows.csv"), *target, *words]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") <= 2 and not captured.out
    assert sorted(tmp_path.iterdir()) == before
