"""Question 12, vanishing gradients: how they fall with depth under sigmoid, and what flattens the curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia.core.seeds import seeded
from glia.lab.bench import Bench
from glia.lab.guessing import UNIT, left
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.nn.mlp import MLPNetwork
from glia.nn.residual import ResidualBlock
from glia.objectives import Objective

Floats = NDArray[np.float64]
_DEPTH, _WIDTH, _EPOCHS, _RATE, _ROWS = 10, 32, 12, 3e-3, 800
_NAMES = {
    "sigmoid": "sigmoid", "tanh": "tanh with Xavier's first weights", "relu": "ReLU with He's first weights",
    "leaky": "leaky ReLU", "prelu": "PReLU", "skip": "skip connections",
}  # fmt: skip
_REMEDIES = tuple(name for name in _NAMES if name != "sigmoid")
NETWORKS: dict[str, dict[str, Any]] = {
    "sigmoid": {"activation": "sigmoid"}, "tanh": {"activation": "tanh"}, "relu": {"activation": "relu"},
    "leaky": {"activation": "leaky_relu"}, "prelu": {"activation": "prelu"},
    "skip": {"activation": "sigmoid", "residual": True},
}  # fmt: skip
"""Settings of the networks that are compared; first weights suit the activation."""

CLAIMS = (
    Claim(
        "falls",
        "Under sigmoid the gradients of early layers are far smaller than those of late ones.",
        f"gradient of the second of {_DEPTH} layers against the last, minus equal",
        "powers of ten",
        "lower",
        1.0,
    ),
    Claim(
        "geometric",
        "They fall geometrically with depth: by one factor from layer to layer.",
        "R² of a straight line through the layers' gradients, on a logarithmic minus on a plain scale",
        "points of R² (of 100)",
        "higher",
        5.0,
    ),
    *(
        Claim(
            f"{name} flattens",
            f"{_NAMES[name][0].upper()}{_NAMES[name][1:]} flattens the curve.",
            f"gradient of the second layer against the last, {_NAMES[name]} minus plain sigmoid",
            "powers of ten",
            "higher",
            1.0,
        )
        for name in _REMEDIES
    ),
    *(
        Claim(
            f"{name} learns",
            f"{_NAMES[name][0].upper()}{_NAMES[name][1:]} makes the deep network learn.",
            f"training loss after {_EPOCHS} epochs, {_NAMES[name]} minus plain sigmoid",
            UNIT,
            "lower",
            5.0,
        )
        for name in _REMEDIES
    ),
)


def measure(
    bench: Bench, seeds: Sequence[int], depth: int = _DEPTH, networks: Mapping[str, Mapping[str, Any]] = NETWORKS
) -> Findings:
    """Compare the layers' gradients before the first step, and what the networks learn, on the user's data."""
    own = bench.on(bench.data.head(_ROWS))
    curves: dict[str, Floats] = {}
    losses: dict[str, Floats] = {}
    for name, settings in networks.items():
        bench.say(f"{depth} layers, {_NAMES[name]}")
        make = partial(bench.network, (_WIDTH,) * depth, **settings)
        same = next((other for other in losses if networks[other] == settings), None)
        if same is not None:  # equal settings need one training
            curves[name], losses[name] = curves[same], losses[same]
            continue
        curves[name] = np.stack([_gradients(own, make, seed) for seed in seeds])
        runs = own.train(
            make, seeds, lr=_RATE, epochs=_EPOCHS, batch_size=own.batch_size, watched={"train": own.data.train}
        )
        losses[name] = left(own, runs)
    ratio = {name: curve[:, 0] - curve[:, -1] for name, curve in curves.items()}
    plain = curves["sigmoid"]
    pairs = {
        "falls": (ratio["sigmoid"], np.zeros(len(seeds))),
        "geometric": (_straightness(plain), _straightness(10.0**plain)),
    }
    names = {"falls": ("sigmoid", "equal"), "geometric": ("logarithmic", "plain")}
    for name in _REMEDIES:
        pairs[f"{name} flattens"] = (ratio[name], ratio["sigmoid"])
        pairs[f"{name} learns"] = (losses[name], losses["sigmoid"])
        names[f"{name} flattens"] = names[f"{name} learns"] = (_NAMES[name], "sigmoid")
    sweep = Sweep(
        "How large are the gradients of each layer before the first step?",
        range(2, depth + 1),
        {_NAMES[name]: 10.0**curve for name, curve in curves.items()},
        "layer, from input to output",
        "gradient of its weights (root mean square)",
        log_y=True,
    )
    return Findings(pairs, names=names, sweeps=(sweep,), suggestion=_suggestion(losses))


def _gradients(bench: Bench, make: partial[MLPNetwork], seed: int) -> Floats:
    """Return the gradients of hidden layers 2 to the last, which are of one shape, as powers of ten."""
    rows, objective = bench.data.train, Objective().resolve(bench.data.task)
    with seeded(bench.seed, "lab network", seed):
        network = make().double()
    target = rows.y.double() if rows.y.is_floating_point() else rows.y
    loss = objective.loss(network(rows.x.double()), target).mean()
    # of a block with a skip connection the layer that starts at 0: the one before it has no gradient until that moves
    weights: list[Tensor] = [
        block.project.weight if isinstance(block, ResidualBlock) else block.linear.weight  # type: ignore[union-attr, misc]  # dense blocks
        for block in network.blocks
    ]
    found = torch.autograd.grad(loss, weights[1:])
    return np.array([float(g.square().mean().sqrt().clamp_min(1e-30).log10()) for g in found])


def _straightness(curves: Floats) -> Floats:
    """Return R² of a straight line through every curve (S, L), in points."""
    layers = np.arange(curves.shape[1])
    return np.array([100.0 * np.corrcoef(layers, curve)[0, 1] ** 2 for curve in curves])


def _suggestion(losses: Mapping[str, Floats]) -> dict[str, str]:
    """Return the activation of the best of the plain deep networks, if it surely beats ReLU, the usual one."""
    plain = {"tanh": "tanh", "leaky": "leaky_relu", "prelu": "prelu"}
    best = min(plain, key=lambda name: float(losses[name].mean()))
    gain = losses["relu"] - losses[best]
    sure = len(gain) > 1 and gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(len(gain)) > 0
    return {"activation": plain[best]} if sure else {}


def _advice(verdicts: Mapping[str, str]) -> str:
    working = [_NAMES[name] for name in _REMEDIES if verdicts[f"{name} learns"] == "supported"]
    if working:
        return f"Deep networks learn on this data with {', '.join(working)}; with plain sigmoid they do not."
    return "No remedy surely helped on this data: a shallower network is the simpler way."


ask(
    Question(
        12,
        "Vanishing gradients",
        "How do gradients fall with depth on this data, and what makes early layers learn again?",
        CLAIMS,
        measure,
        _advice,
    )
)
