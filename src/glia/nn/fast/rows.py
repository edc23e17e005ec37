"""Rows of a batch that are independent of each other, computed in parts, each on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch

Result = TypeVar("Result")
_POOL: ContextVar[ThreadPoolExecutor | None] = ContextVar("glia_row_threads", default=None)


@contextmanager
def row_threads(count: int) -> Iterator[None]:
    """Let ``in_parts`` use ``count`` threads within a block; each uses one thread of torch's for itself.

    For long calls that torch spreads badly over threads: an LSTM of 64 steps makes them wait hundreds of times.
    """
    if count < 2:
        yield
        return
    before = torch.get_num_threads()
    with ThreadPoolExecutor(count, "glia-rows", initializer=torch.set_num_threads, initargs=(1,)) as pool:
        # All threads start now, so that the number of torch's threads they set for themselves is put back but once.
        for each in [pool.submit(torch.get_num_threads) for _ in range(count)]:
            each.result()
        torch.set_num_threads(before)
        token = _POOL.set(pool)
        try:
            yield
        finally:
            _POOL.reset(token)


def thread_count() -> int:
    """Return how many threads ``in_parts`` uses."""
    pool = _POOL.get()
    return 1 if pool is None else pool._max_workers


def in_parts(function: Callable[..., Result], parts: Sequence[tuple[object, ...]]) -> list[Result]:
    """Return ``function(*part)`` of every part, in order."""
    pool = _POOL.get()
    if pool is None or len(parts) < 2:
        return [function(*part) for part in parts]
    return [future.result() for future in [pool.submit(function, *part) for part in parts]]
