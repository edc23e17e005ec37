"""The command line in forks of a process that has everything imported, so that each costs tenths of a second.

Reads one JSON object a line from standard input: ``words`` (what stands after ``glia``), ``folder`` (where it runs),
and ``die`` (optional: a function by its path such as ``glia.engine.loop:Trainer.train_step``, and the number of the
call in which the process kills itself). Answers with the child's number, and with how it ended. Nothing that starts
threads is computed before a fork.
"""

import json
import os
import signal
import sys
import time
from importlib import import_module

import torch._dynamo  # noqa: F401  # which torch loads when the first optimizer is made, for seconds

import glia.cli.fit
import glia.cli.resume
import glia.report.run
import glia.report.run_folder  # noqa: F401
from glia.cli.main import run


def deadly(path, number):
    """Let call ``number`` (from 1) of a function kill the process."""
    module, _, name = path.partition(":")
    owner = import_module(module)
    *outer, last = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    whole, calls = getattr(owner, last), 0

    def function(*args, **options):
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*args, **options)

    setattr(owner, last, function)


def child(task):
    """Run the command; its output goes to files in its folder."""
    os.chdir(task["folder"])
    for stream, name in ((1, "out.txt"), (2, "err.txt")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    if "die" in task:
        deadly(*task["die"])
    return run(task["words"])


def main():
    """Serve until standard input ends."""
    for line in sys.stdin:
        task, start = json.loads(line), time.perf_counter()
        number = os.fork()
        if number == 0:
            status = 70
            try:
                status = child(task)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        print(json.dumps({"pid": number}), flush=True)
        status = os.waitpid(number, 0)[1]
        print(
            json.dumps({"status": os.waitstatus_to_exitcode(status), "seconds": time.perf_counter() - start}),
            flush=True,
        )


if __name__ == "__main__":
    main()
