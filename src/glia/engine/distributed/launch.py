"""Workers on this machine, started and kept going by torch's elastic agent."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from glia.core.errors import InputError, TrainingError
from glia.core.hardware import cores

RESTARTS = 3
"""How often the workers are started again after one was lost."""
INTERRUPTED = 130


def launch(work: Callable[..., int], *arguments: Any, workers: int, restarts: int = RESTARTS) -> int:
    """Run ``work(*arguments)`` in several processes that can find each other; return the exit status.

    Where a worker dies (killed, out of memory), all are started again, up to ``restarts`` times; what the work kept can
    then be taken up: ``place().restarts`` counts. A worker that *returns* a status has not died.

    Parameters
    ----------
    work : callable
        A function that can be imported by its name; it returns an exit status, 0 for success.
    *arguments
        Plain data.
    workers : int
        At least 1.
    restarts : int
        At least 0.

    Returns
    -------
    int
        Worker 0's status, or another's if that is 0; 130 after Ctrl-C, which all workers are told of.

    Raises
    ------
    InputError
        If a number is out of range.
    TrainingError
        If a worker died once too often.
    """
    for name, value, least in (("workers", workers, 1), ("restarts", restarts, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(f"{name} must be a whole number of at least {least}", f"{name}={value!r}")
    with tempfile.TemporaryDirectory(prefix="glia-") as logs, _quiet_agent(), _few_threads(workers), _interrupts():
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=workers,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=restarts,
            monitor_interval=0.1,
            logs_specs=DefaultLogsSpecs(log_dir=logs),
            signals_to_handle="SIGTERM,SIGHUP",
            shutdown_timeout=10,
        )
        try:
            statuses = elastic_launch(config, _worker)(work, arguments)
        except ChildFailedError as error:
            raise TrainingError(_died(error, restarts)) from error
        except SignalException as error:
            return 128 + int(error.sigval)
    return next((status for _, status in sorted(statuses.items()) if status), 0)


def _worker(work: Callable[..., int], arguments: tuple[Any, ...]) -> int:
    """Run in a worker: Ctrl-C, held back while the process started, counts from here on."""
    try:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return work(*arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


def _died(error: ChildFailedError, restarts: int) -> str:
    rank, failure = min(error.failures.items(), key=lambda pair: pair[1].timestamp)
    how = f"{failure.message.strip().splitlines()[0]!r}" if failure.message.strip() else f"status {failure.exitcode}"
    if failure.exitcode < 0:
        with suppress(ValueError):
            how = f"signal {signal.Signals(-failure.exitcode).name}"
    advice = "if the system ended it for lack of memory, take fewer workers; the fit goes on from its last checkpoint"
    after = f" after {restarts} restarts" if restarts else ""
    return f"all workers must stay alive until the fit is done · got worker {rank} ended by {how}{after} · {advice}"


@contextmanager
def _quiet_agent() -> Iterator[None]:
    """Leave what there is to say of workers to Glia: the agent would write a page for each."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith(("torch.distributed", "torch.multip"))]
    levels = [(logging.getLogger(name), logging.getLogger(name).level) for name in names]
    try:
        for one, _ in levels:
            one.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for one, level in levels:
            one.setLevel(level)


@contextmanager
def _few_threads(workers: int) -> Iterator[None]:
    """Divide the cores among the workers, unless the user has said how many threads there are to be."""
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(max(1, cores() // workers))
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]


@contextmanager
def _interrupts() -> Iterator[None]:
    """Hand Ctrl-C on to the workers and wait for them, instead of dying before them.

    The signal is blocked in this thread, so that workers are born with it blocked and cannot be hit while they start;
    another thread lets it in.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    done = threading.Event()
    threading.Thread(target=done.wait, daemon=True).start()
    before = signal.signal(signal.SIGINT, _hand_on)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
        done.set()


def _hand_on(number: int, frame: FrameType | None) -> None:
    for child in multiprocessing.active_children():
        with suppress(ProcessLookupError, TypeError):
            os.kill(child.pid, signal.SIGINT)  # type: ignore[arg-type]  # None before it has started: TypeError
