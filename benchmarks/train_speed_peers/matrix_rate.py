"""The machine's own rate of float32 matrix products: 1024 × 1024 × 1024, through every library that is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from threadpoolctl import threadpool_limits

SIZE, REPEATS = 1024, 20


def measure() -> dict[str, float]:
    """Return GFLOP/s of the best of some repeats, keyed ``"<library>, <n> threads"``."""
    left, right = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    ways: dict[str, Callable[[], object]] = {
        "torch.mm": partial(torch.mm, left, right),
        "numpy": partial(np.matmul, left.numpy(), right.numpy()),
    }
    onednn = getattr(torch.ops.mkldnn, "_linear_pointwise", None)  # torch's own entry to oneDNN in float32; private
    if onednn is not None:
        ways["oneDNN"] = partial(onednn, left, right, None, "none", [], "")
    rates, all_threads = {}, torch.get_num_threads()
    for threads in sorted({1, all_threads}):
        torch.set_num_threads(threads)
        with threadpool_limits(threads):
            rates |= {f"{name}, {threads} thread{'s' * (threads > 1)}": _rate(way) for name, way in ways.items()}
    torch.set_num_threads(all_threads)
    return rates


def _rate(product: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - start)
    return 2 * SIZE**3 / min(seconds) / 1e9
