"""Question 17, weight initialisation: what breaks symmetry, and what keeps activations level with depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.seeds import torch_rng
from glia.lab.bench import Bench
from glia.lab.made import rings
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.nn.mlp import MLPNetwork

Floats = NDArray[np.float64]
_DEPTH, _WIDTH, _UNITS, _EPOCHS = 10, 64, 16, 10
_DECADES, _POINTS = "factors of ten", "points of the score (of 100)"
_DRIFT = "change of the activations' variance from the first to the tenth hidden layer"

CLAIMS = (
    Claim("symmetry", "Equal first weights never break symmetry: the units of a hidden layer stay one and the same.",
          f"units of {_UNITS} that differ after training from constant weights, minus one", "units", "no higher", 0.5,
          "made"),
    Claim("symmetry costs", "A network that starts from constant weights learns what a single unit could.",
          "score on two rings from constant minus from random first weights", _POINTS, "lower", 5.0, "made"),
    Claim("symmetry costs here", "On this data, too, constant first weights cost accuracy.",
          "score from constant minus from random first weights", _POINTS, "lower", 0.5),
    Claim("xavier for tanh", "Under tanh Xavier's weights keep the variance more level than small Gaussian ones.",
          f"{_DRIFT}, Xavier minus Gaussian (0.01)", _DECADES, "lower", 0.3),
    Claim("xavier for sigmoid", "Xavier's weights suit the sigmoid as well as tanh.",
          f"{_DRIFT} under Xavier, sigmoid minus tanh", _DECADES, "no higher", 0.3),
    Claim("tanh wants xavier", "Under tanh Xavier's weights keep the variance more level than He's.",
          f"{_DRIFT}, Xavier minus He", _DECADES, "lower", 0.1),
    Claim("he for relu", "Under ReLU He's weights keep the variance more level than Xavier's.",
          f"{_DRIFT}, He minus Xavier", _DECADES, "lower", 0.3),
    Claim("lsuv", "Scaling layer by layer on data (LSUV) keeps the variance at least as level as He's formula.",
          f"{_DRIFT} under ReLU, LSUV minus He", _DECADES, "no higher", 0.1),
    Claim("level learns", "A deep ReLU network learns more from He's weights than from small Gaussian ones.",
          f"score after {_EPOCHS} epochs with eight hidden layers, He minus Gaussian (0.01)", _POINTS, "higher", 0.5),
)  # fmt: skip
_LINES = {
    "ReLU, He": ("relu", "he_normal"), "ReLU, Xavier": ("relu", "xavier_normal"), "ReLU, LSUV": ("relu", "lsuv"),
    "tanh, Xavier": ("tanh", "xavier_normal"), "tanh, He": ("tanh", "he_normal"), "tanh, Gaussian": ("tanh", "normal"),
    "sigmoid, Xavier": ("sigmoid", "xavier_normal"),
}  # fmt: skip


def measure(
    bench: Bench, seeds: Sequence[int], *, constant: str = "constant", starts: Mapping[str, tuple[str, str]] = _LINES
) -> Findings:
    """Train from equal and from random weights, and follow rows through ten layers that are not trained.

    ``constant`` and ``starts`` (line → activation and initialiser) are there for tests.
    """
    bench.say("symmetry")
    ringed = bench.on(rings(seed=bench.number("rings")))
    watched = {"test": ringed.data.test}
    equal, random = (
        ringed.train(partial(_one_layer, ringed, init), seeds, epochs=30, batch_size=32, lr=0.02, watched=watched)
        for init in (constant, "auto")
    )
    pairs = {
        "symmetry": (np.array([_different_units(net) for net in equal.networks]), np.ones(len(seeds))),
        "symmetry costs": (ringed.points(equal, "test"), ringed.points(random, "test")),
    }
    bench.say("constant first weights on this data")
    small = bench.on(bench.data.head(1500))
    here = [
        small.points(small.train(partial(_one_layer, small, init), seeds, epochs=_EPOCHS, lr=1e-2), "test")
        for init in (constant, "auto")
    ]
    pairs["symmetry costs here"] = (here[0], here[1])
    bench.say("rows through ten layers")
    rows = bench.data.train.x[:400]
    signals = {
        line: np.stack([_signal(bench, rows, seed, activation, init) for seed in seeds])
        for line, (activation, init) in starts.items()
    }
    drift = {line: np.abs(np.log10(table[:, -1] / table[:, 0])) for line, table in signals.items()}
    contrasts = {
        "xavier for tanh": ("tanh, Xavier", "tanh, Gaussian"),
        "xavier for sigmoid": ("sigmoid, Xavier", "tanh, Xavier"),
        "tanh wants xavier": ("tanh, Xavier", "tanh, He"), "he for relu": ("ReLU, He", "ReLU, Xavier"),
        "lsuv": ("ReLU, LSUV", "ReLU, He"),
    }  # fmt: skip
    pairs |= {key: (drift[one], drift[other]) for key, (one, other) in contrasts.items()}
    bench.say("eight layers, trained")
    deep = [
        small.points(small.train(partial(small.network, (32,) * 8, init=init), seeds, epochs=_EPOCHS), "test")
        for init in (starts["ReLU, He"][1], "normal")
    ]
    pairs["level learns"] = (deep[0], deep[1])
    names = dict(contrasts) | {
        "symmetry": ("from constant weights", "a single unit"), "symmetry costs": ("constant", "random"),
        "symmetry costs here": ("constant", "random"), "level learns": ("He", "Gaussian"),
    }  # fmt: skip
    sweep = Sweep(
        "How much of the rows' variance is left, layer by layer, before any training?",
        range(1, _DEPTH + 1),
        signals,
        "hidden layer",
        "variance of a unit over the rows",
        log_y=True,
    )
    notes = (
        "Variance is that of a unit over the rows, averaged over a layer's units: where it vanishes, all rows look the "
        "same to the layers above, whatever the activations' size.",
    )
    return Findings(pairs, names, (sweep,), notes=notes)


def _one_layer(bench: Bench, init: str) -> nn.Module:
    return bench.network((_UNITS,), init=init)


def _different_units(network: nn.Module) -> float:
    """Count hidden units whose weights are further than 1 % from those of all units before them."""
    layer = next(module for module in network.modules() if isinstance(module, nn.Linear))
    weights = layer.weight.detach()
    kept: list[Tensor] = []
    for unit in weights:
        if all(float((unit - other).norm()) > 0.01 * float(other.norm()) + 1e-8 for other in kept):
            kept.append(unit)
    return float(len(kept))


@torch.no_grad()
def _signal(bench: Bench, rows: Tensor, seed: int, activation: str, init: str) -> Floats:
    """Return the variance over rows after each hidden layer, (L,); at least 1e-30, so that it has a logarithm."""
    network = MLPNetwork(
        rows.shape[1], bench.outputs, (_WIDTH,) * _DEPTH, activation=activation, init=init,
        generator=torch_rng(bench.seed, "lab", "signal", seed),
    )  # fmt: skip
    network.initialise_from(rows, torch_rng(bench.seed, "lab", "signal", seed))
    x, found = rows, []
    block: Callable[[Tensor], Tensor]
    for block in network.eval().blocks:
        x = block(x)
        found.append(float(x.double().var(0, correction=0).mean()))
    return np.array([max(value, 1e-30) if math.isfinite(value) else math.nan for value in found])


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["level learns"] == "supported":
        return "First weights that suit the activation pay here, and Glia chooses them so by itself (init auto)."
    return "Shallow networks on this data hardly depend on the formula for first weights; Glia's own choice will do."


ask(Question(17, "Weight initialisation", "Which first weights let a network learn, and which keep signals level?",
             CLAIMS, measure, _advice))  # fmt: skip
