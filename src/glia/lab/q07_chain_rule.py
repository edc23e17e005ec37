"""Question 7, the chain rule: the product of the layers' local derivatives is the gradient of the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from glia.core.seeds import seeded
from glia.lab.bench import Bench
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.nn.chain import ChainResult, chain_rule
from glia.nn.mlp import MLPNetwork

Floats = NDArray[np.float64]
_DEPTH, _WIDTH, _ROWS, _LIMIT = 6, 24, 3, 1e-10
_CLOSEST = 1e-18

CLAIMS = (
    Claim(
        "product",
        "The product of the layers' Jacobians equals the gradient of the composition.",
        f"largest relative difference, minus {_LIMIT:g} (float64)",
        "powers of ten",
        "lower",
    ),
    Claim(
        "every factor",
        "Every factor counts: without the activations' derivatives the product is not the gradient.",
        "relative difference of the product without the activations' derivatives, minus with all",
        "powers of ten",
        "higher",
        1.0,
    ),
    Claim(
        "sigmoid shrinks",
        "Sigmoid's derivatives, at most one quarter each, make the product shrink from layer to layer.",
        "change of the product's size per layer of sigmoid (He's first weights), minus none",
        "powers of ten per layer",
        "lower",
        0.1,
    ),
    Claim(
        "ReLU keeps",
        "Under ReLU with He's first weights it shrinks less than under sigmoid.",
        "change of the product's size per layer, ReLU minus sigmoid",
        "powers of ten per layer",
        "higher",
        0.1,
    ),
)


def whole_product(result: ChainResult) -> Floats:
    """Return the product of all local Jacobians, (B, outputs, inputs)."""
    return product_of(result, range(len(result.stages)))


def measure(
    bench: Bench,
    seeds: Sequence[int],
    multiply: Callable[[ChainResult], Floats] = whole_product,
    bounded: str = "sigmoid",
) -> Findings:
    """Take apart untrained networks at some of the user's rows, in float64."""
    x = bench.data.train.x[:_ROWS].double()
    errors, without = np.empty(len(seeds)), np.empty(len(seeds))
    sizes = {name: np.empty((len(seeds), _DEPTH)) for name in (bounded, "relu")}
    for i, seed in enumerate(seeds):
        bench.say(f"seed {seed}")
        result = chain_rule(_network(bench, seed, "tanh"), x)
        errors[i] = _distance(multiply(result), result.gradient)
        kept = [k for k, name in enumerate(result.stages) if "activation" not in name]
        without[i] = _distance(product_of(result, kept), result.gradient)
        for name, table in sizes.items():
            table[i] = _sizes(chain_rule(_network(bench, seed, name), x))
    slopes = {name: _slope(table) for name, table in sizes.items()}
    sweep = Sweep(
        "How large is the product of local derivatives after so many layers?",
        range(1, _DEPTH + 1),
        {name: 10.0**table for name, table in sizes.items()},
        "hidden layers multiplied",
        "size of the product (norm per unit)",
        log_y=True,
    )
    return Findings(
        {
            "product": (errors, np.full(len(seeds), np.log10(_LIMIT))),
            "every factor": (without, errors),
            "sigmoid shrinks": (slopes[bounded], np.zeros(len(seeds))),
            "ReLU keeps": (slopes["relu"], slopes[bounded]),
        },
        names={
            "product": ("difference", "limit"),
            "every factor": ("without activations", "all factors"),
            "sigmoid shrinks": ("sigmoid", "none"),
            "ReLU keeps": ("ReLU", "sigmoid"),
        },
        sweeps=(sweep,),
    )


def product_of(result: ChainResult, kept: Sequence[int]) -> Floats:
    """Return the product of some of the Jacobians, the last leftmost."""
    product = np.asarray(result.jacobians[kept[0]], dtype=np.float64)
    for k in kept[1:]:
        product = result.jacobians[k] @ product
    return product


def _distance(product: Floats, gradient: NDArray[np.floating]) -> float:
    return float(np.log10(np.abs(product - gradient).max() / (np.abs(gradient).max() + 1e-300) + _CLOSEST))


def _sizes(result: ChainResult) -> Floats:
    """Return the logarithm of the size of the product up to every hidden layer, averaged over rows, (depth,)."""
    ends = [k for k, name in enumerate(result.stages) if name.endswith("activation")]
    found = []
    for end in ends:
        norm = np.linalg.norm(product_of(result, range(end + 1)), axis=(1, 2))
        found.append(np.log10(norm / np.sqrt(result.jacobians[end].shape[1]) + _CLOSEST).mean())
    return np.array(found)


def _slope(table: Floats) -> Floats:
    """Return the slope of every row by least squares, (S,)."""
    layers = np.arange(table.shape[1])
    return np.asarray(np.polyfit(layers, table.T, 1)[0])


def _network(bench: Bench, seed: int, activation: str) -> MLPNetwork:
    with seeded(bench.number("q07", seed)):
        return bench.network((_WIDTH,) * _DEPTH, activation=activation, init="he_normal").double()


ask(
    Question(
        7,
        "Chain rule",
        "Is the gradient of a network the product of its layers' derivatives, and how does it change with depth?",
        CLAIMS,
        measure,
    )
)
