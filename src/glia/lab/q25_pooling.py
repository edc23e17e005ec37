"""Question 25, pooling: what it saves, and how much less a small shift changes the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.engine.rows import Rows
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.judging import outputs_of, points_of
from glia.lab.made_shapes import digits, moved, strewn
from glia.lab.question import Claim, Findings, Question, Sweep, ask

Floats = NDArray[np.float64]

_EPOCHS, _RATE, _FIRST, _SECOND = 10, 2e-2, 6, 12
_SHIFTS = (0, 1, 2)
_POINTS, _LEFT = "points of accuracy (of 100)", "% of what accuracy was above chance"

CLAIMS = (
    Claim(
        "less computation",
        "Pooling saves computation: the layers behind it see fewer pixels.",
        "multiplications for one image, with maximum pooling minus without",
        "% of those without",
        "lower",
        10.0,
        on="made",
    ),
    Claim(
        "no accuracy lost",
        "What pooling throws away is not missed.",
        "test accuracy on handwritten digits, with maximum pooling minus without",
        _POINTS,
        "no lower",
        1.0,
        on="made",
    ),
    Claim(
        "small shifts",
        "With pooling, an image moved by one pixel changes what the last convolution hands on less.",
        "change of features by a shift of one pixel, with maximum pooling minus without",
        "% of the features' size",
        "lower",
        5.0,
        on="made",
    ),
    Claim(
        "shifted accuracy",
        "With pooling, more of the accuracy is left on digits moved by up to one pixel.",
        "accuracy left, with maximum pooling minus without",
        _LEFT,
        "higher",
        2.0,
        on="made",
    ),
    Claim(
        "average",
        "Average pooling bears shifts as maximum pooling does.",
        "accuracy left after shifts of up to one pixel, average minus maximum pooling",
        _LEFT,
        "no lower",
        5.0,
        on="made",
    ),
    Claim(
        "global",
        "A global average at the end bears large shifts best.",
        "accuracy left after shifts of up to two pixels, global average minus maximum pooling",
        _LEFT,
        "higher",
        5.0,
        on="made",
    ),
    Claim(
        "stride",
        "A convolution with stride saves as much as pooling, but bears shifts less.",
        "accuracy left after shifts of up to one pixel, stride minus maximum pooling",
        _LEFT,
        "lower",
        2.0,
        on="made",
    ),
)


@dataclass(frozen=True)
class Part:
    """How a network makes its maps smaller: what follows each convolution, its stride, and what the end is."""

    pool: type[nn.Module] | None = None
    stride: int = 1
    whole: bool = False

    def network(self, shape: Sequence[int], outputs: int) -> nn.Sequential:
        """Return two convolutions for images (C, H, W) with a linear output."""
        channels, height, width = shape
        shrink = 2 if self.pool is not None or self.stride > 1 else 1
        size = (-(-height // shrink), -(-width // shrink))
        layers: list[nn.Module] = [nn.Conv2d(channels, _FIRST, 3, stride=self.stride, padding=1), nn.ReLU()]
        layers += [] if self.pool is None else [self.pool(2, ceil_mode=True)]
        layers += [nn.Conv2d(_FIRST, _SECOND, 3, stride=self.stride, padding=1), nn.ReLU()]
        layers += [] if self.pool is None else [self.pool(2, ceil_mode=True)]
        if self.whole:
            layers += [nn.AdaptiveAvgPool2d(1)]
            values = _SECOND
        else:
            values = _SECOND * (-(-size[0] // shrink)) * (-(-size[1] // shrink))
        return nn.Sequential(nn.Sequential(*layers, nn.Flatten()), nn.Linear(values, outputs))


PARTS = {
    "maximum pooling": Part(nn.MaxPool2d),
    "none": Part(),
    "average pooling": Part(nn.AvgPool2d),
    "global average": Part(nn.MaxPool2d, whole=True),
    "stride": Part(stride=2),
}


def measure(
    bench: Bench, seeds: Sequence[int], images: LabData | None = None, parts: Mapping[str, Part] | None = None
) -> Findings:
    """Train a network of every part on digits, then move the test digits.

    ``images`` stands in for the digits, ``parts`` for what is compared: the same names.
    """
    data = digits(bench.number("q25"), rows=900, margin=1) if images is None else images
    there = bench.on(data)
    scores, shaken, work = {}, {}, {}
    shifted = _shifted(bench, data)

    @cache  # equal parts make equal networks, which need to be trained only once
    def tried(part: Part) -> tuple[Floats, Floats, float]:
        make = partial(part.network, data.layout.shape, there.outputs)
        runs = there.train(make, seeds, epochs=_EPOCHS, lr=_RATE, batch_size=32, watched={}, form="separate")
        return (
            np.stack([points_of(there, runs.networks, at) for at in shifted], axis=1),
            np.array([change(network, data.test.x) for network in runs.networks]),
            float(multiplications(runs.networks[0], data.test.x[:1])),
        )

    for name, part in (PARTS if parts is None else parts).items():
        bench.say(name)
        scores[name], shaken[name], work[name] = tried(part)
    chance = 100.0 * data.chance
    # a network that has learned nothing has nothing to lose: NaN
    able = {
        name: np.where(found[:, :1] > chance + 10.0, found[:, :1] - chance, np.nan) for name, found in scores.items()
    }
    left = {name: 100.0 * (found - chance) / able[name] for name, found in scores.items()}
    count = len(seeds)
    share = 100.0 * work["maximum pooling"] / work["none"]
    pairs = {
        "less computation": (np.full(count, share), np.full(count, 100.0)),
        "no accuracy lost": (scores["maximum pooling"][:, 0], scores["none"][:, 0]),
        "small shifts": (shaken["maximum pooling"], shaken["none"]),
        "shifted accuracy": (left["maximum pooling"][:, 1], left["none"][:, 1]),
        "average": (left["average pooling"][:, 1], left["maximum pooling"][:, 1]),
        "global": (left["global average"][:, 2], left["maximum pooling"][:, 2]),
        "stride": (left["stride"][:, 1], left["maximum pooling"][:, 1]),
    }
    names = {
        "average": ("average", "maximum"), "global": ("global average", "maximum"), "stride": ("stride", "maximum"),
    }  # fmt: skip
    sweep = Sweep(
        "How much accuracy is left when digits are moved?",
        _SHIFTS,
        scores,
        "moved by up to (pixels)",
        "test accuracy on handwritten digits (%)",
    )
    note = "Your data are a table, which has nothing to pool: all claims are measured on handwritten digits."
    told = ", ".join(f"{name} {work[name]:,.0f}" for name in work)
    return Findings(pairs, names, (sweep,), notes=(note, f"Multiplications for one digit: {told}."))


def _shifted(bench: Bench, data: LabData) -> list[Rows]:
    seed = bench.number("q25 moved")
    return [Rows(strewn(data.test.x, reach, seed), data.test.y) for reach in _SHIFTS]


@torch.no_grad()
def change(network: nn.Module, x: Tensor) -> float:
    """Return how much the features before the last layer change when images move by one pixel, in % of their size."""
    body = next(network.children()).eval()
    before = outputs_of(body, x)
    found = [
        (outputs_of(body, moved(x, down, right)) - before).norm(dim=1) / before.norm(dim=1).clamp_min(1e-12)
        for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0))
    ]
    return 100.0 * float(torch.stack(found).mean())


@torch.no_grad()
def multiplications(network: nn.Module, x: Tensor) -> int:
    """Return the multiplications of convolutions and linear layers for rows x, counted as they are carried out."""
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            height, width = module.kernel_size
            total += output.numel() * (module.in_channels // module.groups) * height * width
        elif isinstance(module, nn.Linear):
            total += output.numel() * module.in_features

    handles = [module.register_forward_hook(count) for module in network.modules()]
    try:
        network.eval()(x)
    finally:
        for handle in handles:
            handle.remove()
    return total


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["no accuracy lost"] == "supported" and verdicts["less computation"] == "supported":
        return "For images: pool after convolutions, it is cheaper and costs no accuracy. A table has nothing to pool."
    return "For images: weigh what pooling saves against what it costs. A table has nothing to pool."


ask(
    Question(
        25, "Pooling", "What does pooling save on images, and does it bear shifts better?", CLAIMS, measure, _advice
    )
)
