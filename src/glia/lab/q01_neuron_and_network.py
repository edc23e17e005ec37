"""Question 1, neuron and network: what a network of neurons represents and one neuron cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.made import xor
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.runs import Runs

_UNITS, _BEST = (0, 1, 2, 3, 4, 8, 16), 75.0
_POINTS = "points of the score (of 100)"

CLAIMS = (
    Claim(
        "one neuron",
        "One neuron gets at most three quarters of exclusive or right.",
        f"test accuracy of one neuron, minus {_BEST:g}",
        "points of accuracy (of 100)",
        "no higher",
        1.0,
        on="made",
    ),
    Claim(
        "network",
        "A network of sixteen hidden neurons gets all of it right.",
        "test accuracy of the network, minus 100",
        "points of accuracy (of 100)",
        "no lower",
        1.0,
        on="made",
    ),
    Claim(
        "network and neuron",
        "The network represents what one neuron cannot: it scores higher on exclusive or.",
        "network minus one neuron",
        "points of accuracy (of 100)",
        "higher",
        20.0,
        on="made",
    ),
    Claim(
        "yours",
        "On your data too a network of neurons scores higher than one neuron (one for each output).",
        "network of 64 hidden neurons minus one neuron",
        _POINTS,
        "higher",
        0.5,
    ),
)


def measure(bench: Bench, seeds: Sequence[int], corners: LabData | None = None) -> Findings:
    """Train networks of 0 (one neuron) to 16 hidden neurons on exclusive or, and two on the user's data."""
    made = bench.on(corners or xor(seed=bench.number("q01") % 2**31))
    scores = []
    for units in _UNITS:
        bench.say(f"exclusive or, {units} hidden neurons")
        scores.append(made.points(_learned(made, seeds, units, epochs=30, lr=0.03), "test"))
    table = np.stack(scores, axis=1)
    bench.say("your data")
    network, neuron = (bench.points(_learned(bench, seeds, units), "test") for units in (64, 0))
    one, many = table[:, 0], table[:, -1]
    sweep = Sweep(
        "How many hidden neurons does exclusive or take?",
        _UNITS,
        {"network": table, "the most that one line can get": np.full_like(table, _BEST)},
        "hidden neurons (0: one neuron alone)",
        "test accuracy (%)",
    )
    pairs: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {
        "one neuron": (one, np.full(len(seeds), _BEST)),
        "network": (many, np.full(len(seeds), 100.0)),
        "network and neuron": (many, one),
        "yours": (network, neuron),
    }
    names = {
        "one neuron": ("one neuron", "three quarters"),
        "network": ("network", "all"),
        "network and neuron": ("network", "one neuron"),
        "yours": ("network", "one neuron"),
    }
    return Findings(pairs, names=names, sweeps=(sweep,))


def _learned(bench: Bench, seeds: Sequence[int], units: int, epochs: int = 15, lr: float = 3e-3) -> Runs:
    make = partial(bench.network, (units,) if units else (), activation="tanh")
    return bench.train(make, seeds, epochs=epochs, lr=lr if units else 0.03, batch_size=bench.batch_size)


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["yours"] == "supported":
        return "Hidden neurons pay on this data: keep the layers that glia fit sets."
    if verdicts["yours"] == "refuted":
        return "One neuron does about as well on this data: a linear model (glia fit without hidden layers) is simpler."
    return "Whether hidden neurons pay on this data takes more seeds, or more rows."


ask(
    Question(
        1,
        "Neuron and network",
        "What does a network represent that one neuron cannot, and does this data need it?",
        CLAIMS,
        measure,
        _advice,
    )
)
