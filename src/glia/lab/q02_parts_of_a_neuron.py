"""Question 2, the parts of a neuron: each visible by name, and what the bias is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng, torch_rng
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.made import made
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.nn.neuron import Neuron, NeuronParts

Floats = NDArray[np.float64]
_SHIFTS, _POINTS, _ROUNDING = (0.0, 0.5, 1.0, 2.0, 4.0), "points of the score (of 100)", -5.0

CLAIMS = (
    Claim(
        "parts",
        "A neuron's output is the activation of inputs times weights plus bias, computed from its visible parts.",
        "largest difference between the two, minus the 1e-5 that rounding allows",
        "powers of ten",
        "lower",
        on="made",
    ),
    Claim(
        "bias is independent",
        "Raising the bias shifts the weighted sum of all rows alike; raising a weight shifts it as the inputs say.",
        "spread over rows of the shift, of the bias minus of a weight",
        "units of the weighted sum",
        "lower",
        0.1,
        on="made",
    ),
    Claim(
        "off-centre",
        "Without its bias a neuron does worse on data that lie off-centre.",
        f"two clouds at a distance of {_SHIFTS[-1]:g} from the origin, with minus without bias",
        "points of accuracy (of 100)",
        "higher",
        1.0,
        on="made",
    ),
    Claim(
        "centred",
        "On data whose classes lie evenly around the origin the bias changes nothing.",
        "the same clouds around the origin, with minus without bias",
        "points of accuracy (of 100)",
        "no higher",
        1.0,
        on="made",
    ),
    Claim(
        "yours",
        "On your data, as prepared, a neuron without its bias does worse.",
        "with minus without bias",
        _POINTS,
        "higher",
        0.5,
    ),
)


def clouds(shift: float, seed: int, rows: int = 600) -> LabData:
    """Return two clouds on both sides of a point at a distance from the origin, in the direction that parts them."""
    rng = numpy_rng(seed, "clouds")
    label = np.arange(rows) % 2
    x = rng.normal(size=(rows, 2))
    x[:, 0] += 2.0 * (label * 2 - 1) + shift
    return made("two clouds", x, label.astype(float), "binary")


def measure(bench: Bench, seeds: Sequence[int]) -> Findings:
    """Look into neurons, and train some with and without bias."""
    figures = [inside(bench.number("q02", seed)) for seed in seeds]
    wrong, of_bias, of_weight = np.array(figures).T
    bench.say("clouds at five distances")
    by_shift = np.stack(
        [contrast(bench.on(clouds(shift, bench.number("q02") % 2**31)), seeds, lr=0.05) for shift in _SHIFTS], axis=2
    )  # (2, S, shifts)
    bench.say("your data")
    with_, without = contrast(bench, seeds, lr=0.02)
    sweep = Sweep(
        "What does the bias save when data move off the centre?",
        _SHIFTS,
        {"with": by_shift[0], "without": by_shift[1]},
        "distance from the origin (in spreads of a cloud)",
        "test accuracy (%)",
    )
    return Findings(
        {
            "parts": (wrong, np.full(len(seeds), _ROUNDING)),
            "bias is independent": (of_bias, of_weight),
            "off-centre": (by_shift[0, :, -1], by_shift[1, :, -1]),
            "centred": (by_shift[0, :, 0], by_shift[1, :, 0]),
            "yours": (with_, without),
        },
        names={
            "parts": ("difference", "rounding"),
            "bias is independent": ("bias", "weight"),
        },
        sweeps=(sweep,),
    )


def by_hand(parts: NeuronParts) -> Floats:
    """Return the output of a sigmoid neuron (B,), added up by plain arithmetic from its parts."""
    sums = [
        sum(float(value) * float(weight) for value, weight in zip(row, parts.weights, strict=True)) + parts.bias
        for row in parts.inputs
    ]
    return np.asarray(1.0 / (1.0 + np.exp(-np.array(sums))))


def inside(seed: int, hand: Callable[[NeuronParts], Floats] = by_hand) -> tuple[float, float, float]:
    """Return the largest error by hand, as a power of ten, and the spreads of the shifts by bias and by weight."""
    draw = torch_rng(seed, "neuron")
    neuron = Neuron(4, "sigmoid", generator=draw)
    bias = neuron.bias
    if bias is None:
        raise ValueError("the neuron must have a bias")
    x = torch.randn(50, 4, generator=draw)
    before = neuron.parts(x)
    error = float(np.log10(np.abs(hand(before) - before.output).max() + 1e-18))
    with torch.no_grad():
        bias += 1.0
        by_bias = neuron.parts(x).weighted_sum - before.weighted_sum
        bias -= 1.0
        neuron.weights[0] += 1.0
        by_weight = neuron.parts(x).weighted_sum - before.weighted_sum
    return error, float(by_bias.std()), float(by_weight.std())


def contrast(bench: Bench, seeds: Sequence[int], lr: float) -> tuple[Floats, Floats]:
    """Return the test scores of neurons with and without bias."""
    options: dict[str, Any] = {"epochs": 20, "lr": lr, "batch_size": bench.batch_size}
    found = [
        bench.points(bench.train(partial(bench.network, (), bias=bias), seeds, **options), "test")
        for bias in (True, False)
    ]
    return found[0], found[1]


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["yours"] == "supported":
        return "Keep the bias, as glia fit does: this data, even prepared, does not lie evenly around the origin."
    if verdicts["yours"] == "undecided":
        return "Keep the bias, as glia fit does: it costs nothing, and whether this data needs it takes more seeds."
    return "On this data, as prepared, a neuron hardly needs its bias; it costs nothing, so glia fit keeps it."


ask(
    Question(
        2,
        "Parts of a neuron",
        "What does each part of a neuron do, and what is lost without a bias?",
        CLAIMS,
        measure,
        _advice,
    )
)
