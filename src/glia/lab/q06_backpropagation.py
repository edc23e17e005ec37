"""Question 6, backpropagation: its gradients against differences, and what a step along them does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glia.core.seeds import seeded, torch_rng
from glia.lab.bench import Bench
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.nn.mlp import MLPNetwork
from glia.objectives import Objective

Floats = NDArray[np.float64]
Gradient = Callable[[Callable[[], Tensor], MLPNetwork], list[Tensor]]

_WIDTHS, _ROWS, _CHECKED, _STEPS, _RATE = (16, 16), 64, 24, 40, 0.1
_SIZES, _BEST, _LIMIT, _MOST = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-10), 4, 1e-6, 10.0

CLAIMS = (
    Claim(
        "differences",
        "Backpropagated gradients equal central differences.",
        f"largest relative difference over parameters of every layer, minus {_LIMIT:g}",
        "powers of ten",
        "lower",
    ),
    Claim(
        "downhill",
        "Against the gradient the loss falls faster than in any random direction.",
        "change of the loss by a small step, against the gradient minus the best of ten random directions",
        "% of the loss",
        "lower",
        0.01,
    ),
    Claim(
        "loss falls",
        "Forward, loss, backward, update, and again: the loss falls.",
        f"training loss after {_STEPS} steps minus before",
        "% of the loss before",
        "lower",
        1.0,
    ),
)


def backpropagated(loss: Callable[[], Tensor], network: MLPNetwork) -> list[Tensor]:
    """Return the gradients of all parameters by one backward pass."""
    return list(torch.autograd.grad(loss(), list(network.parameters())))


def measure(bench: Bench, seeds: Sequence[int], gradient: Gradient = backpropagated) -> Findings:
    """Compare gradients with differences of eight step sizes; step by hand along gradients and elsewhere."""
    central, forward = np.empty((len(seeds), len(_SIZES))), np.empty((len(seeds), len(_SIZES)))
    falls, losses = np.empty((len(seeds), 2)), np.empty((len(seeds), _STEPS + 1))
    for i, seed in enumerate(seeds):
        bench.say(f"seed {seed}")
        network, loss = _at(bench, seed)
        central[i], forward[i] = _errors(network, loss, gradient, torch_rng(bench.number("q06 which", seed)))
        falls[i] = _falls(network, loss, gradient, torch_rng(bench.number("q06 where", seed)))
        losses[i] = _descend(network, loss, gradient)
    whole = np.full(len(seeds), 100.0)
    course = 100.0 * np.fmin(losses / losses[:, :1], _MOST)
    check = Sweep(
        "How far are differences from the backpropagated gradients?",
        _SIZES,
        {"central differences": 10.0**central, "forward differences": 10.0**forward},
        "step of the difference",
        "largest relative difference",
        log_x=True,
        log_y=True,
    )
    steps = Sweep(
        "Does the loss fall, step by step?",
        range(_STEPS + 1),
        {"against the gradient": course},
        "steps",
        "training loss (% of the first)",
    )
    return Findings(
        {
            "differences": (central[:, _BEST], np.full(len(seeds), np.log10(_LIMIT))),
            "downhill": (falls[:, 0], falls[:, 1]),
            "loss falls": (course[:, -1], whole),
        },
        names={
            "differences": ("difference", "limit"),
            "downhill": ("gradient", "random"),
            "loss falls": ("after", "before"),
        },
        sweeps=(check, steps),
        notes=("Gradients are checked in float64 with tanh: differences across a kink of ReLU would mislead.",),
    )


def _at(bench: Bench, seed: int) -> tuple[MLPNetwork, Callable[[], Tensor]]:
    """Return a network in float64 and its loss on some rows of the seed's own."""
    data = bench.data
    rows = data.train.take(torch.randperm(len(data.train), generator=torch_rng(bench.number("q06", seed)))[:_ROWS])
    with seeded(bench.number("q06 network", seed)):
        network = bench.network(_WIDTHS, activation="tanh").double()
    objective = Objective().resolve(data.task)
    target = rows.y.double() if rows.y.is_floating_point() else rows.y
    inputs = rows.x.double()

    def loss() -> Tensor:
        return objective.loss(network(inputs), target).mean()

    return network, loss


@torch.no_grad()
def _errors(
    network: MLPNetwork, loss: Callable[[], Tensor], gradient: Gradient, draw: torch.Generator
) -> tuple[Floats, Floats]:
    """Return the largest relative errors of central and forward differences for every size, as powers of ten."""
    with torch.enable_grad():
        found = gradient(loss, network)
    checked: list[tuple[Tensor, int, float]] = []
    for p, g in zip(network.parameters(), found, strict=True):
        chosen = torch.randint(p.numel(), (max(1, _CHECKED // len(found)),), generator=draw).tolist()
        checked += [(p.view(-1), k, float(g.reshape(-1)[k])) for k in chosen]
    scale = max(float(g.abs().max()) for g in found) + 1e-12
    here = float(loss())
    central, forward = np.zeros(len(_SIZES)), np.zeros(len(_SIZES))
    for flat, k, slope in checked:
        at = float(flat[k])
        for j, size in enumerate(_SIZES):
            flat[k] = at + size
            above = float(loss())
            flat[k] = at - size
            below = float(loss())
            central[j] = max(central[j], abs((above - below) / (2 * size) - slope) / scale)
            forward[j] = max(forward[j], abs((above - here) / size - slope) / scale)
        flat[k] = at
    return np.log10(central + 1e-18), np.log10(forward + 1e-18)


@torch.no_grad()
def _falls(
    network: MLPNetwork, loss: Callable[[], Tensor], gradient: Gradient, draw: torch.Generator, length: float = 0.01
) -> tuple[float, float]:
    """Return the changes of the loss, in %, by steps of one length: against the gradient, best random direction."""
    with torch.enable_grad():
        found = gradient(loss, network)
    before, parameters = float(loss()), list(network.parameters())
    ways = [[-g for g in found]]
    ways += [[torch.randn(p.shape, generator=draw, dtype=p.dtype) for p in parameters] for _ in range(10)]
    changes = []
    for way in ways:
        norm = float(torch.sqrt(sum((part**2).sum() for part in way) + torch.zeros(()))) + 1e-12
        for sign in (1.0, -1.0):
            for p, part in zip(parameters, way, strict=True):
                p.add_(part, alpha=sign * length / norm)
            if sign > 0:
                changes.append(100.0 * (float(loss()) - before) / before)
    return changes[0], min(changes[1:])


@torch.no_grad()
def _descend(network: MLPNetwork, loss: Callable[[], Tensor], gradient: Gradient) -> Floats:
    """Take plain gradient steps; return the loss before the first and after each."""
    course = [float(loss())]
    for _ in range(_STEPS):
        with torch.enable_grad():
            found = gradient(loss, network)
        for p, g in zip(network.parameters(), found, strict=True):
            p.add_(g, alpha=-_RATE)
        course.append(float(loss()))
    return np.array(course)


ask(
    Question(
        6,
        "Backpropagation",
        "Are backpropagated gradients right, and does a step against them lower the loss?",
        CLAIMS,
        measure,
    )
)
