"""The machine: which device, how many threads, and what to write down about it."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import torch

from glia.core.errors import InputError, near

FLOPS_PER_THREAD = 20_000_000
"""Floating-point operations of a training step that make one more thread worth its while; see ``choose_threads``."""


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """Return the device to compute on.

    Parameters
    ----------
    name : str or torch.device
        "auto" (CUDA where there is one, then Apple's MPS, else the processor), "cpu", "cuda", "cuda:<index>" or "mps".

    Raises
    ------
    InputError
        If the name is unknown or this machine lacks the device.
    """
    if str(name) == "auto":
        return torch.device(next((kind for kind in ("cuda", "mps") if _present(kind)), "cpu"))
    kind, _, index = str(name).partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdigit()):
        raise InputError(
            "the device must be a known name", f"device={str(name)!r}", near(kind, ("auto", "cpu", "cuda", "mps"))
        )
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if not _present(kind) or (index and int(index) >= count):
        have = [each for each in ("cpu", "cuda", "mps") if _present(each)]
        if "cuda" in have and kind == "cuda":
            have.append(f"cuda:0 to cuda:{count - 1}")
        raise InputError(
            "the device must be present", f"device={str(name)!r}", f'this machine has {", ".join(have)}; or take "auto"'
        )
    return torch.device(str(name))


def _present(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or torch.backends.mps.is_available()


def cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def memory_bytes() -> int | None:
    """Return the memory this process may use: the machine's, or its container's limit; ``None`` where unknown."""
    found = []
    with suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):  # no container, or no limit ("max")
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min(found, default=None)


def processor_name() -> str:
    """Return the processor's name as a person knows it."""
    return _said_of_processor("model name") or platform.processor() or platform.machine()


def processor_maker() -> str:
    """Return the maker's identification, "AuthenticAMD" for instance; empty where the system does not tell."""
    return _said_of_processor("vendor_id")


def processor_flags() -> str:
    """Return the names of the processor's instruction sets in one line; empty where the system does not tell."""
    return _said_of_processor("flags")


def _said_of_processor(field: str) -> str:
    """Return a field of what Linux says of the processor; empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(rf"^{field}\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""


def multiplies_bfloat16() -> bool:
    """Return whether the processor has instructions for products of bfloat16: AVX-512's or those of matrix tiles."""
    return bool(torch._C._has_mkldnn and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()))


def describe_machine() -> dict[str, Any]:
    """Return plain data for a run's record: processor, cores, memory in bytes, devices, torch and its BLAS."""
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return {
        "processor": processor_name(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "memory": memory_bytes(),
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "blas": blas.group(1) if blas else "unknown",
        "onednn": torch._C._has_mkldnn,
    }


def choose_threads(flops_per_step: float, available: int | None = None) -> int:
    """Return the number of threads for steps of this size: one for small steps, one more per 20 MFLOP above that.

    The rule depends on the step and the machine alone, never on how busy the machine is, so that a run repeats.

    Parameters
    ----------
    flops_per_step : float
        Forward, backward and update; about 6 · rows · weights for dense layers.
    available : int, optional
        Upper bound; ``cores()`` where it is not given.

    Notes
    -----
    Basis: dense networks of two and three hidden layers with fused Adam, float32, torch 2.13 with MKL, on two cores of
    an AMD EPYC (family 25, model 1, AVX2). Time of a step with one thread over that with two, least of three runs:

    ======== ===== ===== ===== ===== ===== ===== ===== ===== =====
    MFLOP      0.3   2.3   4.7    19    38   140   302  2015 16112
    ratio     0.95  0.97  0.99  1.09  1.20  1.48  1.62  1.76  1.93
    ======== ===== ===== ===== ===== ===== ===== ===== ===== =====

    Other processes were running, so the ratios may be a little low; what more than two cores give was not measured.
    With a core taken by another process, two threads made single small products wait for 8 ms (a slice of the
    system's scheduler), a thousand times their own length: a further reason for one thread on small steps.
    """
    limit = cores() if available is None else max(1, available)
    return int(min(limit, 1 + max(0.0, flops_per_step) // FLOPS_PER_THREAD))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run a block with ``count`` ≥ 1 of torch's threads, and restore their number afterwards, also on errors.

    Raises
    ------
    InputError
        If ``count`` is not a whole number of at least 1.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InputError("the number of threads must be a whole number of at least 1", f"{count!r}")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def matmul_precision(precision: Literal["highest", "high", "medium"]) -> Iterator[None]:
    """Run a block with torch's precision of float32 products, and restore it afterwards, also on errors.

    "highest" computes in float32; "high" and "medium" allow TensorFloat-32 and bfloat16 inside a product where the
    hardware has them (Nvidia GPUs from 2020 on, processors with AMX or AVX-512 bfloat16). On processors without them,
    AVX2 ones for instance, all three give the same bits in the same time.

    Raises
    ------
    InputError
        If the precision is unknown.
    """
    known = ("highest", "high", "medium")
    if precision not in known:
        raise InputError(
            "the precision of products must be a known name", f"{precision!r}", near(str(precision), known)
        )
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
