"""Workers under the elastic agent: killed, complaining, interrupted."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import distributed_launched
import pytest
import torch

from glia.core.errors import InputError, TrainingError
from glia.engine.distributed.launch import launch
from glia.engine.distributed.settings import Distribution

HERE = Path(__file__).parent
WAYS = [
    Distribution(),
    Distribution(messages="overlapped"),
    Distribution(local_steps=3),
    Distribution(shard_parameters=True),
]


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def check_killed(folder, hows, rank, step):
    assert launch(distributed_launched.fit_twice, str(folder), hows, rank, step, workers=2) == 0
    for i in range(len(hows)):
        whole, killed = (
            [torch.load(folder / f"{i} {name}" / f"{r}.pt") for r in (0, 1)] for name in ("whole", "killed")
        )
        for one, other in zip(whole, killed, strict=True):
            assert all(torch.equal(one["weights"][k], v) for k, v in other["weights"].items())
            assert one["figures"] == other["figures"]
    return [one["restarts"] for one in killed]


@pytest.mark.slow
def test_a_killed_worker_starts_again_and_the_weights_are_the_same_to_the_bit(tmp_path):
    assert check_killed(tmp_path, WAYS[:1], 1, 7) == [1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("rank", "step"), [(0, 1), (0, 12), (1, 10), (1, 19)])
def test_so_it_is_in_every_way_of_working_together(tmp_path, way, rank, step):
    check_killed(tmp_path, [way], rank, step)


def run_launched(tmp_path, call):
    """Start a process that launches workers."""
    script = tmp_path / "launch.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        import distributed_launched as work
        from glia.engine.distributed.launch import launch
        if __name__ == "__main__":
            sys.exit(launch({call}, workers=2))
        """)
    )
    command = [sys.executable, str(script)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [(0,), (1,), (0, 1)])
def test_an_error_is_said_once_and_its_status_passes_through(tmp_path, ranks):
    process = run_launched(tmp_path, f"work.complain, {str(tmp_path)!r}, {ranks}")
    said = process.communicate(timeout=200)[0]
    assert process.returncode == 2, said
    lines = [line for line in said.splitlines() if "gloo" not in line.lower()]  # which has its own way to complain
    assert lines == ["SAID a table must have rows · got none"]


@pytest.mark.slow
@pytest.mark.parametrize("everybody", [True, False], ids=["terminal", "launcher alone"])
def test_ctrl_c_ends_all_workers_after_the_same_step(tmp_path, everybody):
    process = run_launched(tmp_path, f"work.train_long, {str(tmp_path)!r}")
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("begun *"))) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    (os.killpg if everybody else os.kill)(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert (process.returncode, said) == (130, "")
    found = [(tmp_path / f"{rank}.txt").read_text() for rank in (0, 1)]
    assert found[0] == found[1]
    assert found[0].startswith("interrupted ")


@pytest.mark.slow
def test_workers_that_always_die_are_an_error(tmp_path):
    with pytest.raises(TrainingError, match=r"worker . ended by signal SIGKILL after 1 restarts"):
        launch(distributed_launched.die, str(tmp_path), 1, workers=2, restarts=1)


@pytest.mark.parametrize("numbers", [{"workers": 0}, {"workers": 2, "restarts": -1}, {"workers": True}])
def test_numbers_are_checked(numbers):
    with pytest.raises(InputError, match="must be a whole number"):
        launch(distributed_launched.die, "", 1, **numbers)
