"""Ctrl-C: the best weights so far are kept and named, or nothing is written; one line, status 130."""

import json
import os
import signal
import subprocess
import sys
import warnings

import numpy as np
import polars as pl
import pytest

import glia
from glia.cli.main import run
from glia.data import bundled
from glia.engine.callbacks import EarlyStopping
from glia.engine.loop import Trainer

# A shell that runs tests in the background has children ignore Ctrl-C, so the handler is set as a terminal has it.
# The child says when the epoch after so many others has begun: from outside, it cannot be seen.
CODE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from glia.cli.main import main
from glia.engine.loop import Trainer
run_epoch = Trainer.run_epoch
def told(self, train):
    if self.epoch == int(sys.argv[1]):
        print("BEGUN", file=sys.stderr, flush=True)
    return run_epoch(self, train)
Trainer.run_epoch = told
main(sys.argv[2:])
"""
STEP = Trainer.train_step
FIT = ("fit", "t.csv", "--target", "y", "--out", "run", "--early-stopping", "false", "--members", "1",
       "--epochs", "1000000")  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def interrupted_fit(words, *, after_epochs):
    """Send a real SIGINT once that many epochs are done; return status, stdout and the lines on stderr."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CODE, str(after_epochs), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        try:
            lines = []
            for line in process.stderr:
                if line == "BEGUN\n":
                    break
                lines.append(line)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, out, [*lines, *err.splitlines(keepends=True)]


def test_ctrl_c_keeps_the_best_weights_and_says_where(here):
    frame = bundled.load("iris").rename({"species": "y"})
    frame.write_csv("t.csv")
    status, out, lines = interrupted_fit(FIT, after_epochs=5)
    assert (status, out) == (130, "")
    assert [line.split()[1] for line in lines] == ["reading", "training", "interrupted"]
    model = glia.load("run/model.glia")
    losses = [entry["valid/loss"] for entry in model.history_.to_list()]
    assert len(losses) >= 5 and model.best_epoch_ == int(np.argmin(losses)) + 1
    said = f"glia: interrupted · the best weights so far (epoch {model.best_epoch_}) are in run/model.glia\n"
    assert lines[-1] == said and os.listdir("run") == ["model.glia"]
    assert model.stop_reason_ == "interrupted"
    assert run(["predict", "run/model.glia", "t.csv", "--out", "p.parquet", "--quiet"]) == 0
    assert set(pl.read_parquet("p.parquet")["prediction"]) <= set(frame["y"])


def test_ctrl_c_before_the_first_epoch_is_done_writes_nothing(here):
    bundled.load("diamonds").head(6_000).rename({"y": "width", "price": "y"}).write_csv("t.csv")
    status, out, lines = interrupted_fit((*FIT, "--batch-size", "1", "--hidden", "256,256"), after_epochs=0)
    assert (status, out) == (130, "")
    assert lines[-1] == "glia: interrupted · before the first epoch was done; nothing was written\n"
    assert os.listdir() == ["t.csv"]


def press(monkeypatch, *, after_epochs):
    """Have Ctrl-C arrive in the middle of the epoch that follows ``after_epochs``."""

    def train_step(self, x, y, weight):
        loss = STEP(self, x, y, weight)
        if self.epoch == after_epochs:
            raise KeyboardInterrupt
        return loss

    monkeypatch.setattr(Trainer, "train_step", train_step)


def test_in_python_the_estimator_is_fitted_and_a_warning_says_so(monkeypatch):
    frame = bundled.load("iris")
    settings = {"target": "species", "epochs": 50, "early_stopping": False, "random_state": 3}
    press(monkeypatch, after_epochs=4)
    with pytest.warns(UserWarning, match="training was interrupted in epoch 5; the best weights so far are kept"):
        model = glia.fit(frame, **settings)
    assert model.interrupted_ and model.stop_reason_ == "interrupted" and model.n_iter_ == 4
    rows = frame.drop("species")
    found = model.predict_proba(rows)
    assert found.shape == (150, 3) and np.allclose(found.sum(axis=1), 1)


def test_the_weights_are_those_of_the_best_epoch_and_not_of_the_torn_one(monkeypatch, tmp_path):
    kept = []
    end = EarlyStopping.on_epoch_end

    def on_epoch_end(self, trainer, entry):
        end(self, trainer, entry)
        kept.append({name: value.clone() for name, value in trainer.network.state_dict().items()})

    monkeypatch.setattr(EarlyStopping, "on_epoch_end", on_epoch_end)
    press(monkeypatch, after_epochs=3)
    with pytest.warns(UserWarning, match="interrupted"):
        model = glia.fit(bundled.load("iris"), "species", epochs=50, early_stopping=False)
    best = kept[model.best_epoch_ - 1]
    assert all((best[name] == value).all() for name, value in model.network_.state_dict().items())
    glia.save(model, tmp_path / "m.glia")
    again = glia.load(tmp_path / "m.glia")
    rows = bundled.load("iris").drop("species")
    assert (again.predict_proba(rows) == model.predict_proba(rows)).all()


@pytest.mark.parametrize("flag", [(), ("--quiet",), ("--json",)])
def test_an_earlier_run_is_overwritten_only_by_what_is_whole(here, monkeypatch, capsys, flag):
    bundled.load("iris").rename({"species": "y"}).write_csv("t.csv")
    press(monkeypatch, after_epochs=0)
    assert run([*FIT, *flag]) == 130
    out, err = capsys.readouterr()
    assert out == "" and err.endswith("glia: interrupted · before the first epoch was done; nothing was written\n")
    assert os.listdir() == ["t.csv"] and err.count("\n") == (3 if not flag else 1)
    press(monkeypatch, after_epochs=2)
    assert run([*FIT, *flag]) == 130
    out, err = capsys.readouterr()
    assert out == "" and "are in run/model.glia" in err and "warning" not in err
    assert os.listdir("run") == ["model.glia"]


def test_describe_still_reads_the_kept_model(here, monkeypatch, capsys):
    bundled.load("iris").rename({"species": "y"}).write_csv("t.csv")
    press(monkeypatch, after_epochs=2)
    assert run([*FIT, "--quiet"]) == 130
    capsys.readouterr()
    with warnings.catch_warnings(record=True) as seen:
        assert run(["describe", "run/model.glia", "--json"]) == 0
    assert not seen and json.loads(capsys.readouterr().out)["manifest"]["target"] == "y"
