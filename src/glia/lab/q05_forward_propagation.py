"""Question 5, forward propagation: the pass by hand is the framework's, and layers without kinks collapse into one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.seeds import seeded
from glia.lab.bench import Bench
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.nn.mlp import MLPNetwork
from glia.nn.trace import TraceResult, trace

Floats = NDArray[np.float64]
ByHand = Callable[[MLPNetwork, Tensor], list[tuple[Floats, Floats]]]

_DEPTHS, _WIDTH, _ROWS, _ROUNDING = (1, 2, 4, 8, 16), 32, 64, 1e-4
_DECADES = "powers of ten"

CLAIMS = (
    Claim(
        "by hand",
        "A pass computed by hand, layer by layer, gives every layer what the framework's pass gives it.",
        f"largest relative difference of any layer, minus the {_ROUNDING:g} that rounding allows",
        _DECADES,
        "lower",
    ),
    Claim(
        "deep",
        "Rounding adds up from layer to layer without mattering: the same still holds sixteen layers deep.",
        f"largest relative difference in a network of {_DEPTHS[-1]} hidden layers, minus {_ROUNDING:g}",
        _DECADES,
        "lower",
    ),
    Claim(
        "one map",
        "Without non-linear activations all layers together are one linear map; with them they are not.",
        "relative difference to one linear map, without activations minus with ReLU",
        _DECADES,
        "lower",
        1.0,
    ),
)


def measure(bench: Bench, seeds: Sequence[int], hand: ByHand | None = None, bent: str = "relu") -> Findings:
    """Run the user's rows through untrained networks of five depths, by the framework and by hand."""
    x = bench.data.train.x[:_ROWS]
    errors, flat, kinked = np.empty((len(seeds), len(_DEPTHS))), np.empty(len(seeds)), np.empty(len(seeds))
    for i, seed in enumerate(seeds):
        bench.say(f"seed {seed}")
        for j, depth in enumerate(_DEPTHS):
            errors[i, j] = difference(_network(bench, seed, depth, "relu"), x, hand or by_hand)
        flat[i] = _from_one_map(_network(bench, seed, 3, "linear"), x)
        kinked[i] = _from_one_map(_network(bench, seed, 3, bent), x)
    limit = np.full(len(seeds), np.log10(_ROUNDING))
    sweep = Sweep(
        "How much rounding adds up with depth?",
        _DEPTHS,
        {"largest relative difference": 10.0**errors, "what rounding allows": np.full_like(errors, _ROUNDING)},
        "hidden layers",
        "hand-computed pass against the framework's (relative difference)",
        log_x=True,
        log_y=True,
    )
    return Findings(
        {"by hand": (errors[:, 1], limit), "deep": (errors[:, -1], limit), "one map": (flat, kinked)},
        names={
            "by hand": ("difference", "rounding"),
            "deep": ("difference", "rounding"),
            "one map": ("without activations", "with ReLU"),
        },
        sweeps=(sweep,),
    )


def by_hand(network: MLPNetwork, x: Tensor) -> list[tuple[Floats, Floats]]:
    """Return pre-activation and activation of every layer, (N, width) each, from the weights alone, in float64."""
    at = x.numpy().astype(np.float64)
    layers = [(_numbers(block.linear), True) for block in network.blocks] + [(_numbers(network.output), False)]  # type: ignore[arg-type]  # blocks of linear layers
    found = []
    for (weight, bias), hidden in layers:
        pre = np.stack([(at * unit).sum(axis=1) for unit in weight], axis=1) + bias
        at = np.maximum(pre, 0.0) if hidden else pre
        found.append((pre, at))
    return found


def difference(network: MLPNetwork, x: Tensor, hand: ByHand) -> float:
    """Return the largest difference of any layer, relative to that layer's largest value, as a power of ten."""
    theirs = [layer for layer in trace(network, x).layers if layer.kind == "Linear"]
    activated = [layer for layer in trace(network, x).layers if layer.kind == "ReLU"]
    worst = 0.0
    for i, (pre, after) in enumerate(hand(network, x)):
        worst = max(worst, _gap(pre, theirs[i].output))
        if i < len(activated):
            worst = max(worst, _gap(after, activated[i].output))
    return float(np.log10(worst + 1e-18))


def _gap(mine: Floats, theirs: NDArray[np.generic] | None) -> float:
    if theirs is None:
        return float("inf")
    return float(np.abs(mine - np.asarray(theirs, dtype=np.float64)).max() / (np.abs(mine).max() + 1e-12))


def _from_one_map(network: MLPNetwork, x: Tensor) -> float:
    """Return how far the output is from the product of all weights, relative to the output, as a power of ten."""
    weight, bias = np.eye(x.shape[1]), np.zeros(x.shape[1])
    for block in (*(block.linear for block in network.blocks), network.output):
        own, shift = _numbers(block)  # type: ignore[arg-type]  # blocks of linear layers
        weight, bias = own @ weight, own @ bias + shift
    result: TraceResult = trace(network, x)
    return float(np.log10(_gap(x.numpy() @ weight.T + bias, result.output) + 1e-18))


def _numbers(layer: nn.Linear) -> tuple[Floats, Floats]:
    return layer.weight.detach().numpy().astype(np.float64), layer.bias.detach().numpy().astype(np.float64)


def _network(bench: Bench, seed: int, depth: int, activation: str) -> MLPNetwork:
    with seeded(bench.number("q05", seed)), torch.no_grad():
        return bench.network((_WIDTH,) * depth, activation=activation)


ask(
    Question(
        5,
        "Forward propagation",
        "What does each layer compute, and does a pass by hand give the same?",
        CLAIMS,
        measure,
    )
)
