"""Fits killed by SIGKILL, at chosen places, end with the very weights of one that was never killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

# What is expected at each place: the checkpoints that were left, and the steps that were already taken when the second
# fit began (none where it began anew or had nothing left to do).
SEEN = {
    "the first step": ([], []),
    "the first step after a checkpoint": (["000001"], [5]),
    "the middle of an epoch": (["000001", "000002"], [10]),
    "the last step": (["000002", "000003"], [15]),
    "the first byte of the first write": ([], []),
    "a byte of a later write": (["000007", "000008"], [7]),
    "the last byte of a write": (["000007", "000008"], [7]),
    "before a file gets its name": (["000007", "000008"], [7]),
    "after a file got its name": (["000007", "000008", "000009"], [8]),
    "the last write": (["000022", "000023"], [20]),
    "after the last write": (["000022", "000023", "000024"], []),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    script = Path(__file__).with_name("killed_fits.py")
    folder = tmp_path_factory.mktemp("killed")
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_fit_that_is_not_killed_ends(found):
    unbroken = found["nowhere"]
    assert unbroken["killed"] == 0 and unbroken["left"] == ["000003", "000004"]
    assert unbroken["result"][1:] == [4, []]


@pytest.mark.parametrize("place", SEEN)
def test_the_weights_are_those_of_a_fit_that_was_never_killed(found, place):
    seen, (left, resumed) = found[place], SEEN[place]
    assert os.WIFSIGNALED(seen["killed"]) and os.WTERMSIG(seen["killed"]) == signal.SIGKILL
    assert (seen["left"], seen["status"]) == (left, [0, 0])
    torn = "byte" in place or "gets" in place or place == "the last write"
    assert seen["aside"] == torn  # half a file lay there, and
    assert [name for name in seen["after"] if name.startswith(".")] == []  # is gone
    assert len(seen["after"]) == 2 + (place == "after the last write")  # nothing was left to be written
    weights, epochs, steps = seen["result"]
    assert weights == found["nowhere"]["result"][0] and epochs == 4 and steps == resumed
