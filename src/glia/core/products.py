"""Which library multiplies float32 matrices on the processor: torch's default or oneDNN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

from glia.core.hardware import processor_maker

MOST_ERROR = 1e-5
"""Relative error of a float32 product up to which it counts as one of float32; bfloat16's is 3e-3."""


@contextmanager
def onednn_products(wanted: bool = True) -> Iterator[None]:
    """Run a block with float32 products by oneDNN where ``onednn_is_faster``; torch's own choice comes back at the end.

    Notes
    -----
    The setting belongs to the process, as the number of threads does. torch has no switch of that name: it hands
    products to oneDNN once those may round to bfloat16. Only processors with matrix tiles (AMX) make use of that leave;
    others compute in float32, which ``onednn_is_faster`` checks by the result.
    """
    if not (wanted and onednn_is_faster()):
        yield
        return
    with _switched():
        yield


@contextmanager
def _switched() -> Iterator[None]:
    setting: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # not in torch's stubs
    before = setting.fp32_precision
    setting.fp32_precision = "bf16"
    try:
        yield
    finally:
        setting.fp32_precision = before


@cache
def onednn_is_faster() -> bool:
    """Whether oneDNN multiplies faster than torch's default here, at the precision of float32.

    The default, Intel's MKL, leaves AVX-512 unused on AMD's processors: 100 GFLOP/s of a core against oneDNN's 220 on
    an EPYC of family 26 (Zen 5), relative error 2.4e-7 against 3.7e-7. With AVX2 alone oneDNN reaches 0.76 to 0.98 of
    MKL (Zen 3), and on Intel's own processors MKL was not beaten: both keep it. The rule looks at the processor and at
    one product's result, never at a clock, so that a run repeats.
    """
    if not (torch._C._has_mkldnn and torch.backends.cpu.get_cpu_capability() == "AVX512"):
        return False
    return processor_maker() == "AuthenticAMD" and _error_by_onednn() <= MOST_ERROR


def _error_by_onednn() -> float:
    """Return the relative error of one product in float32 by oneDNN, 1 where this torch has no switch."""
    if not hasattr(getattr(torch.backends.mkldnn, "matmul", None), "fp32_precision"):
        return 1.0
    steps = torch.arange(128.0 * 128.0).reshape(128, 128)
    left, right = torch.sin(steps), torch.cos(0.7 * steps)
    exact = left.double() @ right.double()
    with _switched():
        found = left @ right
    return float((found - exact).norm() / exact.norm())
