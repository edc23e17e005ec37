"""Runs that are killed by SIGKILL at a hundred random moments end with the same bits as one that never was."""

import json
import os
import random
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]

KILLS, MOST_IN_ONE_RUN = 100, 5
QUICK = ["--no-baselines", "--bootstrap", "0", "--importance-repeats", "0", "--quiet"]
CASES = {
    # Dropout, batch normalisation, early stopping on validation rows, and a checkpoint about every fifth step; the
    # default population.
    "classes in memory": ["--target", "y", "--epochs", "100", "--norm", "batch", "--checkpoint-every", "0.03s"],
    # Nothing to be learned, so that the default population ends before its last epoch: see ``MemberStopping``.
    "an early end": ["--target", "v", "--checkpoint-every", "0.03s"],
    # One network instead of a population.
    "one network": [
        "--target", "y", "--members", "1", "--epochs", "100", "--norm", "batch", "--checkpoint-every", "0.03s",
    ],
    # A population of which each member has its own bootstrap sample.
    "a population": ["--target", "z", "--members", "3", "--bagging", "--epochs", "60", "--checkpoint-every", "0.03s"],
    # Rows that stay on disk, shuffled in pools.
    "a stream": [
        "--target", "y", "--stream", "true", "--members", "1", "--epochs", "40", "--checkpoint-every", "0.03s",
    ],
    # The same of a Parquet file whose row group has many blocks: these are unpacked into a file of their own.
    "a packed stream": [
        "--target", "y", "--stream", "true", "--members", "1", "--epochs", "8", "--checkpoint-every", "0.03s",
    ],
    # A schedule and an optimizer with memories of their own, weights of rows, checkpoints by epochs.
    "quantities in memory": [
        "--target", "z", "--epochs", "100", "--schedule", "plateau", "--optimizer", "schedule_free", "--weight", "w",
        "--l1", "1e-4", "--checkpoint-every", "2 epochs",
    ],
}  # fmt: skip


class Glia:
    """The command line, in forks of one process."""

    def __init__(self):
        script = Path(__file__).with_name("forked_glia.py")
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )

    def run(self, folder, words, *, kill_after=None):
        """Run in a folder, perhaps killed after some seconds; return its status (−9 when killed) and its seconds."""
        self.process.stdin.write(json.dumps({"folder": str(folder), "words": words}) + "\n")
        self.process.stdin.flush()
        number = json.loads(self.process.stdout.readline())["pid"]
        if kill_after is not None and not select.select([self.process.stdout], [], [], kill_after)[0]:
            with suppress(ProcessLookupError):  # it ended in this very moment
                os.kill(number, signal.SIGKILL)
        ended = json.loads(self.process.stdout.readline())
        return ended["status"], ended["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@pytest.fixture
def glia():
    made = Glia()
    yield made
    made.close()


def table(rows=900):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4))
    z = x[:, 0] * x[:, 1] + 0.3 * rng.normal(size=rows)
    kind = rng.choice(["a", "b", "c"], rows)
    named = {name: x[:, i] for i, name in enumerate("pqrs")}
    w = rng.uniform(0.5, 1.5, rows)
    v = rng.choice(["yes", "no"], rows)
    return pl.DataFrame({**named, "kind": kind, "w": w, "z": z, "y": np.where(z > 0, "yes", "no"), "v": v})


def result(folder):
    """Everything a run leaves that does not tell the time."""
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    for entry in history:
        del entry["seconds"]
    record = json.loads((folder / "run.json").read_text())
    return {
        "model": (folder / "model.glia").read_bytes(),
        "predictions": (folder / "predictions.parquet").read_bytes(),
        "history": history,
        "settings": (folder / "settings.toml").read_text(),
        "metrics": record["metrics"],
        "command": record["command"],
        "names": sorted(path.name for path in folder.iterdir()),
    }


@pytest.mark.parametrize("case", CASES)
def test_a_hundred_random_moments(glia, case, tmp_path, capsys):
    drop = ["--drop", "z"] if "y" in CASES[case][1] else ["--drop", "y"]
    packed = case == "a packed stream"
    words = ["fit", "../table.parquet" if packed else "../table.csv", *CASES[case], *drop, *QUICK, "--out", "run"]
    table().write_csv(tmp_path / "table.csv")
    table(8000).write_parquet(tmp_path / "table.parquet", row_group_size=8000)

    def folder(name):
        (tmp_path / name).mkdir()
        return tmp_path / name

    glia.run(folder("first"), words)  # what is read from disk for the first time
    status, seconds = glia.run(folder("unbroken"), words)
    assert status == 0
    expected = result(tmp_path / "unbroken" / "run")
    if case == "an early end":
        training = json.loads((tmp_path / "unbroken/run/run.json").read_text())["training"]
        assert training["stopped"].endswith("its best")

    chance, kills, runs, resumed, before = random.Random(7), 0, 0, 0, 0
    while kills < KILLS:
        place = folder(f"run {runs}")
        runs += 1
        for _ in range(MOST_IN_ONE_RUN):
            begun = (place / "run" / "settings.toml").exists()
            status, _ = glia.run(place, ["fit", "--resume", "run", "--quiet"] if begun else words,
                                 kill_after=chance.uniform(0, 1.1 * seconds))  # fmt: skip
            assert status in (0, -signal.SIGKILL), (place / "err.txt").read_text()
            if status == 0:
                break
            kills += 1
            before += not begun
        if not (place / "run" / "settings.toml").exists():
            continue
        assert glia.run(place, ["fit", "--resume", "run", "--quiet"])[0] == 0, (place / "err.txt").read_text()
        events = json.loads((place / "run" / "run.json").read_text())["training"]["events"]
        resumed += len(events)
        assert {event["event"] for event in events} <= {"resumed"}
        assert result(place / "run") == expected, place
    with capsys.disabled():
        print(f"\n{case}: {kills} kills in {runs} runs of {seconds:.1f} s; training was taken up {resumed} times")
    # The proof means nothing unless many of the kills fell into the training itself.
    assert resumed >= KILLS / 5
    assert before < KILLS


def test_the_comparison_would_notice(glia, tmp_path):
    """The control: another seed changes everything that is compared but the names of the files."""
    words = ["fit", "../table.csv", *CASES["classes in memory"], "--drop", "z", *QUICK, "--out", "run"]
    table().write_csv(tmp_path / "table.csv")
    for name in ("unbroken", "other"):
        (tmp_path / name).mkdir()
    assert glia.run(tmp_path / "unbroken", words)[0] == 0
    assert glia.run(tmp_path / "other", [*words, "--seed", "1"])[0] == 0
    one, other = result(tmp_path / "unbroken" / "run"), result(tmp_path / "other" / "run")
    assert [key for key in one if one[key] == other[key]] == ["names"]
