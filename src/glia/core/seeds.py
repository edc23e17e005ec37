"""One seed, many independent streams: a stream is named, so adding one never shifts the others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for the stream ``names`` of ``seed``: a hash, hence the same on every machine."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def numpy_rng(seed: int, *names: str | int) -> np.random.Generator:
    """Return a NumPy generator for the stream ``names`` of ``seed``."""
    return np.random.default_rng(derive(seed, *names))


def torch_rng(seed: int, *names: str | int, device: str = "cpu") -> torch.Generator:
    """Return a torch generator for the stream ``names`` of ``seed``."""
    return torch.Generator(device=device).manual_seed(derive(seed, *names))


def reseed(seed: int) -> None:
    """Seed torch's global random state as ``torch.manual_seed`` does, which costs a hundred times as much."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch's own lacks types
        torch.cuda.manual_seed_all(seed)


@contextmanager
def seeded(seed: int, *names: str | int) -> Iterator[None]:
    """Run a block with torch's global random state seeded, and restore that state afterwards, also on errors."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(derive(seed, *names))
        yield
