"""Question 23, what is hard about deep networks: training them, their cost, and how to make them smaller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.seeds import seeded
from glia.lab.bench import Bench
from glia.lab.judging import points_of, seconds
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.nn import count_parameters
from glia.objectives import Objective

Floats = NDArray[np.float64]
_DEPTHS, _WIDTH, _EPOCHS, _RATE = (1, 4, 8, 16), 32, 8, 3e-3
_DEEP, _SHALLOW = _DEPTHS[-1], 2
_POINTS = "points of the score (of 100)"
_PRUNED, _RANK = 0.5, 8

CLAIMS = (
    Claim("depth hurts", f"A plain network of {_DEEP} hidden layers fits even its training rows worse than a shallow "
          "one.", f"training score of {_DEEP} layers minus {_SHALLOW}", _POINTS, "lower", 1.0),
    Claim("skip connections", "Skip connections make the deep network trainable again.",
          f"training score of {_DEEP} layers with minus without", _POINTS, "higher", 1.0),
    Claim("normalisation", "Batch normalisation makes the deep network trainable again.",
          f"training score of {_DEEP} layers with minus without", _POINTS, "higher", 1.0),
    Claim("cost", "An epoch costs more with more layers.", f"seconds per 1,000 rows, {_DEEP} layers minus {_SHALLOW}",
          "seconds", "higher", 0.002),
    Claim("sharing", "Layers that share their weights cost no accuracy, with a fraction of the parameters.",
          "test score of 4 layers sharing one set of weights minus of 4 with their own", _POINTS, "no lower", 1.0),
    Claim("pruning", f"{_PRUNED:.0%} of a trained network's weights, the smallest, can be removed at no cost.",
          "test score after removal minus before", _POINTS, "no lower", 1.0),
    Claim("low rank", f"A trained layer can be replaced by a product of rank {_RANK} at no cost.",
          "test score with the product minus with the layer", _POINTS, "no lower", 1.0),
    Claim("which to prune", "It matters which weights are removed: the smallest are worth less than random ones.",
          "test score without the smallest minus without as many random weights", _POINTS, "higher", 0.5),
)  # fmt: skip


class Shared(nn.Module):
    """A network whose hidden layers after the first are one and the same, run ``depth`` − 1 times.

    **Shape**: (B, in_features) → (B, out_features).
    """

    def __init__(self, in_features: int, out_features: int, width: int, depth: int) -> None:
        super().__init__()
        self.first, self.again = nn.Linear(in_features, width), nn.Linear(width, width)
        self.output, self.depth = nn.Linear(width, out_features), depth

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_features) to (B, out_features)."""
        x = torch.relu(self.first(x))
        for _ in range(self.depth - 1):
            x = torch.relu(self.again(x))
        answer: Tensor = self.output(x)
        return answer


@torch.no_grad()
def prune_(network: nn.Module, share: float, order: torch.Generator | None = None) -> nn.Module:
    """Set a share of the weights of each linear layer but the last to 0: the smallest, or random ones with ``order``.

    The network is changed and returned.
    """
    for layer in _hidden(network):
        size = layer.weight.abs() if order is None else torch.rand(layer.weight.shape, generator=order)
        smallest = size.flatten().argsort()[: round(share * size.numel())]
        layer.weight.view(-1)[smallest] = 0.0
    return network


@torch.no_grad()
def lower_rank_(network: nn.Module, rank: int) -> nn.Module:
    """Replace the weight of each linear layer but the last by its best approximation of this rank (Eckart–Young)."""
    for layer in _hidden(network):
        u, s, v = torch.linalg.svd(layer.weight.double(), full_matrices=False)
        layer.weight.copy_((u[:, :rank] * s[:rank]) @ v[:rank])
    return network


def _hidden(network: nn.Module) -> list[nn.Linear]:
    return [module for module in network.modules() if isinstance(module, nn.Linear)][:-1]


def measure(
    bench: Bench,
    seeds: Sequence[int],
    *,
    deep: int = _DEEP,
    pruned: float = _PRUNED,
    rank: int = _RANK,
    activation: str = "relu",
) -> Findings:
    """Train at four depths and with remedies, then make trained networks smaller; the settings are for tests."""
    small = bench.on(bench.data.head(1200))
    data = small.data
    options: dict[str, Any] = {"epochs": _EPOCHS, "lr": _RATE, "watched": {"train": data.train, "test": data.test}}

    def make(depth: int, **settings: object) -> Callable[[], nn.Module]:
        return partial(small.network, (_WIDTH,) * depth, activation=activation, **settings)

    plain = {}
    for depth in sorted({*_DEPTHS[:-1], _SHALLOW, deep}):
        bench.say(f"{depth} hidden layers")
        plain[depth] = small.train(make(depth), seeds, **options)
    bench.say("skip connections and normalisation")
    skipped = small.train(make(deep // 2, residual=True), seeds, **options)  # a block has two layers
    normed = small.train(make(deep, norm="batch"), seeds, **options)
    bench.say("shared weights, pruning, low rank")
    inputs = data.layout.in_features
    shared = small.train(lambda: Shared(inputs, small.outputs, _WIDTH, 4), seeds, **options)
    score = {depth: (small.points(runs, "train"), small.points(runs, "test")) for depth, runs in plain.items()}
    pairs = {
        "depth hurts": (score[deep][0], score[_SHALLOW][0]),
        "skip connections": (small.points(skipped, "train"), score[deep][0]),
        "normalisation": (small.points(normed, "train"), score[deep][0]),
        "cost": tuple(np.array([_cost(small, make(d), seed) for seed in seeds]) for d in (deep, _SHALLOW)),
        "sharing": (small.points(shared, "test"), score[4][1]),
    }
    pairs |= _smaller(small, plain[_SHALLOW].networks, seeds, pruned, rank)
    names = {
        "depth hurts": (f"{deep} layers", f"{_SHALLOW} layers"), "cost": (f"{deep} layers", f"{_SHALLOW} layers"),
        "sharing": ("shared", "own weights"), "pruning": ("pruned", "whole"), "low rank": ("product", "layer"),
        "which to prune": ("without the smallest", "without random ones"),
    }  # fmt: skip
    depths = sorted(plain)
    lines = {part: np.stack([score[d][i] for d in depths], axis=1) for i, part in enumerate(("training", "test"))}
    sweep = Sweep("How does a plain network fare as layers are added?", depths, lines, "hidden layers",
                  f"{small.score_name.removesuffix(' on test rows').removeprefix('test ')} (%)")  # fmt: skip
    sizes = [count_parameters(network) for network in (plain[4].networks[0], shared.networks[0])]
    note = f"Four layers with weights of their own have {sizes[0]:,} parameters, four that share them {sizes[1]:,}."
    return Findings(pairs, names, (sweep,), notes=(note,))  # type: ignore[arg-type]  # tuples of two


def _smaller(
    bench: Bench, networks: Sequence[nn.Module], seeds: Sequence[int], pruned: float, rank: int
) -> dict[str, tuple[Floats, Floats]]:
    test = bench.data.test
    states = [{name: value.clone() for name, value in network.state_dict().items()} for network in networks]

    def after(change: Callable[[nn.Module, int], nn.Module]) -> Floats:
        found = points_of(bench, [change(net, seed) for net, seed in zip(networks, seeds, strict=True)], test)
        for network, state in zip(networks, states, strict=True):
            network.load_state_dict(state)
        return found

    whole = points_of(bench, networks, test)
    small = after(lambda net, seed: prune_(net, pruned))
    order = torch.Generator()
    random = after(lambda net, seed: prune_(net, pruned, order.manual_seed(bench.number("prune", seed))))
    low = after(lambda net, seed: lower_rank_(net, rank))
    return {"pruning": (small, whole), "which to prune": (small, random), "low rank": (low, whole)}


def _cost(bench: Bench, make: Callable[[], nn.Module], seed: int) -> float:
    """Return the seconds of forward and backward per 1,000 rows, in batches of 64."""
    with seeded(bench.seed, "lab network", seed):
        network = make()
    rows = bench.data.train
    size = min(64, len(rows))
    loss = Objective("auto").resolve(bench.data.task, weighted=False).loss
    parts = [(rows.x[:size], rows.y[:size])] * 8

    def work() -> None:
        for x, y in parts:
            network.zero_grad()
            loss(network(x), y).mean().backward()  # type: ignore[no-untyped-call]  # torch's own lacks types

    return seconds(work) * 1000.0 / sum(len(x) for x, _ in parts)


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["depth hurts"] == "supported":
        return "Depth by itself hurts on this data: two hidden layers, or a residual network, are the better start."
    return "This data bears deep networks; whether they are worth their time is another question (42)."


ask(Question(23, "Deep networks' difficulties", "What does depth cost on this data, and which remedies help?", CLAIMS,
             measure, _advice))  # fmt: skip
