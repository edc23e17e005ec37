"""``glia fit --resume``: a run that was killed is taken up with nothing but its folder, wherever it was killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glia.cli.main import run
from glia.engine.loop import Trainer
from glia.report.run_folder import RunFolder

SCRIPT = Path(__file__).parents[1] / "prove" / "forked_glia.py"
QUICK = ["--no-baselines", "--bootstrap", "0", "--importance-repeats", "0"]
FIT = ["fit", "table.csv", "--target", "y", "--members", "1", "--epochs", "6", "--batch-size", "32", *QUICK]
KEPT = ["--checkpoint-every", "1 epoch"]
STEP = "glia.engine.loop:Trainer.train_step"


@pytest.fixture(scope="module")
def served():
    """The command line in forks, which can be told where to kill themselves."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, SCRIPT], text=True, env=env, **pipes) as process:

        def serve(folder, words, die=None):
            task = {"folder": str(folder), "words": words, **({"die": die} if die else {})}
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            process.stdout.readline()
            status = json.loads(process.stdout.readline())["status"]
            return status, (folder / "out.txt").read_text(), (folder / "err.txt").read_text()

        yield serve
        process.kill()  # it would take its time


def write_table(folder):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    y = np.where(x[:, 0] + 0.4 * rng.normal(size=400) > 0, "yes", "no")
    pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y}).write_csv(folder / "table.csv")


@pytest.fixture
def here(tmp_path, monkeypatch):
    write_table(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def whole(served, tmp_path_factory):
    """The model of a run that was never killed."""
    folder = tmp_path_factory.mktemp("whole")
    write_table(folder)
    assert served(folder, [*FIT, *KEPT])[0] == 0
    return model(folder / "run")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


OUTPUTS = ["history.jsonl", "model.glia", "predictions.parquet", "report.html", "run.json", "settings.toml"]


def model(folder):
    return (folder / "model.glia").read_bytes()


@pytest.mark.parametrize(
    ("die", "says"),
    [
        ((STEP, 1), "training on"),
        ((STEP, 25), "glia: going on in epoch 3 of 6, where a run was cut off"),
        (("glia.report.run:build_record", 1), "glia: the training was done already (6 epochs)"),
        (("glia.report.run:write_json", 1), "glia: the training was done already (6 epochs)"),
        (("glia.report.run_folder:RunFolder.finish", 1), "glia: the training was done already (6 epochs)"),
    ],
)
def test_a_killed_run_is_taken_up_with_its_folder_alone(served, whole, here, die, says):
    assert served(here, [*FIT, *KEPT], die)[0] == -signal.SIGKILL
    assert "settings.toml" in names(here / "run") and "checkpoints" in names(here / "run")
    status, out, err = served(here, ["fit", "--resume", "run"])
    assert status == 0 and "The network reaches" in out and says in err
    assert names(here / "run") == OUTPUTS and model(here / "run") == whole
    record = json.loads((here / "run/run.json").read_text())
    assert record["command"] == f"glia {' '.join(FIT)} --checkpoint-every '1 epoch'"
    resumed = [event["step"] for event in record["training"]["events"]]
    assert resumed == ([18] if die == (STEP, 25) else [])
    assert ("the run was cut off and taken up again" in (here / "run/report.html").read_text()) == bool(resumed)


def test_the_same_command_again_goes_on_too_and_another_one_starts_anew(served, whole, here):
    for again in (FIT, [*FIT, "--seed", "5"]):
        assert served(here, [*FIT, *KEPT], (STEP, 25))[0] == -signal.SIGKILL
        status, _, err = served(here, again)
        assert status == 0 and names(here / "run") == OUTPUTS
        assert ("going on in epoch 3" in err) == (again is FIT) == (model(here / "run") == whole)
        assert ("of an earlier run with other settings or data will be replaced" in err) == (again is not FIT)
        shutil.rmtree("run")


def test_from_another_folder_and_after_the_run_was_moved(served, whole, here):
    assert served(here, [*FIT, *KEPT], (STEP, 25))[0] == -signal.SIGKILL
    elsewhere = here / "else" / "where"
    elsewhere.mkdir(parents=True)
    (here / "run").rename(elsewhere / "moved run")
    status, _, err = served(elsewhere, ["fit", "--resume", "moved run"])
    assert status == 0 and "going on" in err, err
    assert model(elsewhere / "moved run") == whole


def test_flags_count_before_the_settings_but_not_for_the_training(served, here):
    assert served(here, [*FIT, *KEPT], (STEP, 25))[0] == -signal.SIGKILL
    before = {name: (here / "run" / name).read_bytes() for name in ("settings.toml", "checkpoints/000002.checkpoint")}
    for flags, said in (
        (["--epochs", "7"], "epochs=7 (before: 6)"),
        (["--seed", "9"], "another training_rows"),
    ):
        status, _, err = served(here, ["fit", "--resume", "run", *flags])
        assert status == 2 and said in err.splitlines()[-1] and "checkpoints are continued by the fit" in err
    assert {name: (here / "run" / name).read_bytes() for name in before} == before
    assert served(here, ["fit", "--resume", "run", "--bootstrap", "60", "--quiet"])[0] == 0
    record = json.loads((here / "run/run.json").read_text())
    assert "low" in record["metrics"]["test"]["accuracy"] and record["settings"]["bootstrap"] == 60


def test_a_damaged_checkpoint_is_told_and_the_one_before_taken(served, whole, here):
    assert served(here, [*FIT, *KEPT], (STEP, 35))[0] == -signal.SIGKILL
    first, second = sorted((here / "run/checkpoints").glob("*.checkpoint"))
    second.write_bytes(second.read_bytes()[:1000])
    copy = here / "copy"
    shutil.copytree(here / "run", copy)
    status, _, err = served(here, ["fit", "--resume", "run"])
    assert status == 0 and f"glia: warning: the checkpoint run/checkpoints/{second.name} is damaged: going on" in err
    assert model(here / "run") == whole
    (copy / "checkpoints" / first.name).write_bytes(b"")
    status, _, err = served(here, ["fit", "--resume", "copy"])
    assert status == 2 and err.splitlines()[-1].startswith(
        "glia: error: one of a fit's checkpoints must be whole · got"
    )


def test_checkpoints_can_be_left_out(served, here):
    assert served(here, [*FIT, "--checkpoint-every", "none"], ("glia.report.run:build_record", 1))[0] == -9
    assert names(here / "run/checkpoints") == ["begun.json"]
    status, _, err = served(here, ["fit", "--resume", "run"])
    assert status == 0 and "going on" not in err and "done already" not in err and names(here / "run") == OUTPUTS


def test_nothing_is_kept_of_a_short_training_but_its_end(served, here):
    assert served(here, FIT, (STEP, 30))[0] == -signal.SIGKILL
    assert names(here / "run/checkpoints") == ["begun.json"]
    assert served(here, FIT, ("glia.report.run:build_record", 1))[0] == -signal.SIGKILL
    assert names(here / "run/checkpoints") == ["000001.checkpoint", "begun.json"]


def test_a_complete_run_says_so(here, capsys):
    assert run([*FIT, "--quiet"]) == 0
    before = {name: (here / "run" / name).stat().st_mtime_ns for name in names(here / "run")}
    capsys.readouterr()
    assert run(["fit", "--resume", "run"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("The run in run is complete. The network reaches") and err == ""
    assert run(["fit", "--resume", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((here / "run/run.json").read_text())
    assert {name: (here / "run" / name).stat().st_mtime_ns for name in names(here / "run")} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--resume", "absent"],
            "a run can be resumed from its folder · got 'absent': no such folder · give the folder",
        ),
        (["--resume", "."], "a run can be resumed from its folder · got '.': no settings.toml · give the folder"),
        (["--resume", "table.csv"], "a run can be resumed from its folder · got 'table.csv': no such folder"),
        (["--resume", "r", "--out", "x"], "a resumed run stays in its folder · got --resume 'r' and --out 'x'"),
        (
            ["--resume", "r", "--config", "c"],
            "a run has its settings from one place · got --config 'c' and --resume 'r'",
        ),
    ],
)
def test_mistakes(here, capsys, words, message):
    (here / "r").mkdir()
    (here / "r/settings.toml").write_text('data = "table.csv"\ntarget = "y"\n')
    before = names(here)
    assert run(["fit", *words]) == 2
    assert capsys.readouterr().err.startswith(f"glia: error: {message}") and names(here) == before


def test_what_goes_wrong_at_once_leaves_the_folder_as_it_was(here, capsys):
    assert run([*FIT, "--target", "nope", "--out", "a/b/c"]) == 2
    assert names(here) == ["table.csv"]
    assert run([*FIT, "--quiet"]) == 0
    before = (here / "run/settings.toml").read_text()
    assert run([*FIT, "--target", "nope"]) == 2
    assert (here / "run/settings.toml").read_text() == before and names(here / "run") == OUTPUTS
    assert RunFolder("run").complete and "nope" in capsys.readouterr().err


def test_after_ctrl_c_it_is_said_how_to_go_on(whole, here, monkeypatch, capsys):
    step = Trainer.train_step

    def train_step(self, x, y, weight):
        if self.step == 25:
            raise KeyboardInterrupt
        return step(self, x, y, weight)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", train_step)
        assert run([*FIT, *KEPT]) == 130
    said = "are in run/model.glia; glia fit --resume run goes on\n"
    assert capsys.readouterr().err.endswith(said) and names(here / "run") == ["checkpoints", *OUTPUTS[1:2], OUTPUTS[-1]]
    assert run(["fit", "--resume", "run"]) == 0
    assert model(here / "run") == whole and names(here / "run") == OUTPUTS


def test_settings_are_there_before_the_data_are_read(here, monkeypatch):
    from glia.report import run as module

    seen = []
    monkeypatch.setattr(module, "fit_table", lambda *a, **k: seen.append(names(here / "run")) or 1 / 0)
    assert run(FIT) == 1
    assert seen == [["checkpoints", "settings.toml"]] and names(here) == ["table.csv"]
