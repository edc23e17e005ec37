"""Studies: resumed, shared by processes, and going on after one was killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from glia.core.errors import InputError
from glia.tuning.lock import FileLock
from glia.tuning.space import read_space
from glia.tuning.study import Study

optuna = pytest.importorskip("optuna", reason="tuning needs the extra glia-nn[tune]")

SPACE = read_space({"x": {"low": -1.0, "high": 1.0}, "kind": ["a", "b"], "k": {"low": 1, "high": 8}})


def value(settings):
    return (settings["x"] - 0.3) ** 2 + (settings["kind"] == "b") + 0.1 * abs(settings["k"] - 5)


def work(path, trials=15, stop=None, sampler="tpe", seed=0):
    """Work on a study; end as if by Ctrl-C in the middle of trial ``stop``, three of which are under way."""
    with Study(SPACE, path, trials=trials, sampler=sampler, seed=seed, first={"x": 0.0, "kind": "b", "k": 1}) as study:
        while True:
            asked = [one for one in (study.ask() for _ in range(3)) if one is not None]
            if not asked:
                return study.records()
            if stop is not None and any(one.slot == stop for one in asked):
                raise KeyboardInterrupt
            for one in asked:
                study.report(one, 1, value(one.settings) + 1)
                study.finish(one, value(one.settings), 0.1, complete=one.slot % 3 > 0)


def best(records):
    return min((t.score, t.slot) for t in records)


def test_a_study_is_the_same_in_memory_in_a_file_and_again(tmp_path):
    found = work(None)
    assert [t.slot for t in found] == list(range(15)) and found[0].settings == {"x": 0.0, "kind": "b", "k": 1}
    assert found == work(tmp_path / "study.db")
    assert found == work(tmp_path / "study.db")  # it is done: nothing is added
    assert found[1:] != work(None, seed=1)[1:]


@pytest.mark.parametrize("stop", [1, 13])
def test_a_study_that_was_cut_off_ends_the_same(tmp_path, stop):
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "study.db", stop=stop)
    resumed = work(tmp_path / "study.db")
    whole = work(None)
    assert [(t.slot, t.settings, t.score, t.state) for t in resumed] == [
        (t.slot, t.settings, t.score, t.state) for t in whole
    ]
    assert best(resumed) == best(whole)


def test_more_trials_can_be_asked_for_later(tmp_path):
    work(tmp_path / "study.db", trials=6)
    assert work(tmp_path / "study.db") == work(None)


def test_the_sampler_learns():
    tpe, random = (work(None, trials=60, sampler=name) for name in ("tpe", "random"))

    def late(records):
        return sorted(t.score for t in records[30:] if t.score is not None)[15]

    assert late(tpe) < 0.5 * late(random)


def test_another_study_in_the_file_is_refused(tmp_path):
    file = tmp_path / "study.db"
    work(file, trials=2)
    with pytest.raises(InputError, match="another seed"):
        work(file, seed=1)
    with pytest.raises(InputError, match="another space"), Study(read_space({"x": [1, 2]}), file):
        pass
    with pytest.raises(InputError, match="another rows"), Study(SPACE, file, about={"rows": "1"}):
        pass
    assert sorted(os.listdir(tmp_path)) == ["study.db", "study.db.lock"]


def test_what_is_no_study_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("my notes")
    for path, said in (
        (tmp_path / "notes.txt", "something else"),
        (tmp_path, "folder"),
        (tmp_path / "none" / "s.db", "must exist"),
    ):
        with pytest.raises(InputError, match=said), Study(SPACE, path):
            pass
    assert (tmp_path / "notes.txt").read_text() == "my notes"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InputError, match="must be writable"):
        FileLock(tmp_path / "none" / "lock").acquire()


def test_a_lock_ends_with_its_process(tmp_path):
    file = tmp_path / "lock"
    code = (
        "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('BEGIN EXCLUSIVE'); print('held', flush=True); time.sleep(60)"
    )
    held = subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True)
    try:
        assert held.stdout.readline() == "held\n"
        assert not FileLock(file).acquire()
        held.send_signal(signal.SIGKILL)
        held.wait()
        mine = FileLock(file)
        assert mine.acquire() and not FileLock(file).acquire()
        mine.release(remove=True)
        assert not file.exists()
    finally:
        held.kill()
        held.wait()
        held.stdout.close()


WORKER = """
import sys, time
from pathlib import Path
from glia.tuning.study import Study
from glia.tuning.space import read_space
space = read_space({"x": {"low": -1.0, "high": 1.0}, "kind": ["a", "b"], "k": {"low": 1, "high": 8}})
name, path, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
with Study(space, path, trials=12) as study:
    while (one := study.ask()) is not None:
        print(one.slot, flush=True)
        time.sleep(seconds)
        study.finish(one, one.settings["x"] ** 2, seconds)
"""


def test_two_processes_share_a_study_and_one_is_killed_in_a_trial(tmp_path):
    file = tmp_path / "study.db"

    def start(name, seconds):
        words = [sys.executable, "-c", WORKER, name, str(file), str(seconds)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    slow, quick = start("slow", 100), start("quick", 0.05)
    try:
        lost = int(slow.stdout.readline())
        deadline = time.monotonic() + 60
        own = [int(quick.stdout.readline())]
        assert lost not in own and time.monotonic() < deadline  # both are at work, on different configurations
        slow.send_signal(signal.SIGKILL)
        slow.wait()
        rest = quick.stdout.read()  # not communicate: it knows nothing of lines that were read ahead
        assert quick.wait(timeout=60) == 0, quick.stderr.read()
        own += map(int, rest.split())
    finally:
        for process in (slow, quick):
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
    assert sorted(own) == list(range(12)) and own.count(lost) == 1  # the other one has done all, the lost one too
    with Study(SPACE, file, trials=12) as study:
        records = study.records()
    assert [t.state for t in records] == ["complete"] * 12
    assert [t.slot for t in records if t.retries] == [lost]
    raw = optuna.load_study(study_name="glia", storage=f"sqlite:///{file}")
    failed = [t for t in raw.trials if t.state.name == "FAIL"]
    assert len(failed) == 1 and failed[0].user_attrs["why"] == "its process was killed"
    assert dict(failed[0].params) == next(t.settings for t in records if t.slot == lost)
    raw._storage._backend.engine.dispose()
    assert sorted(os.listdir(tmp_path)) == ["study.db", "study.db.lock"]


def test_what_kills_every_process_is_given_up(tmp_path):
    file = tmp_path / "study.db"
    for _ in range(4):  # what a killed process leaves: a trial that runs under the name of nobody
        with Study(SPACE, file, trials=1) as study:
            asked = study.ask()
            if asked is None:
                break
            asked.handle.set_user_attr("worker", "nobody")
            study._reap()
            assert asked.slot == 0
    with Study(SPACE, file, trials=1) as study:
        assert study.ask() is None
        assert [(t.state, t.retries) for t in study.records()] == [("failed", 2)]


def test_importance_finds_what_matters_and_not_what_does_not():
    with Study(SPACE, None, trials=60, sampler="random") as study:
        while (one := study.ask()) is not None:
            score = 10 * (one.settings["x"] - 0.2) ** 2 + 0.5 * (one.settings["kind"] == "b")
            study.report(one, 3, float("inf") if one.slot == 7 else score)  # one that went astray
            study.finish(one, score, 0.0, complete=one.slot != 7)
        records = study.records()
        found = study.importance(records)
    assert records[7].score is None and records[7].state == "stopped"
    assert next(iter(found)) == "x" and found["x"] > 0.6 and found["k"] < 0.2
    assert sum(found.values()) == pytest.approx(1)
