"""Question 49, the batch size: time, memory, noise and generalisation, and what accumulation does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.seeds import seeded, torch_rng
from glia.engine.gradients import Autograd, RowLoss
from glia.lab.bench import Bench
from glia.lab.judging import drawn, seconds
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.runs import Runs
from glia.objectives import Objective

Floats = NDArray[np.float64]
Gradient = Callable[[nn.Module, RowLoss, Tensor, Tensor, int], Tensor]
_SIZES, _EPOCHS, _RATE, _HIDDEN = (16, 32, 64, 128, 512), 10, 2e-3, (64, 64)
_SMALL, _LARGE = _SIZES[0], _SIZES[-1]
_POINTS, _ROUNDING = "points of the score (of 100)", 1e-5

CLAIMS = (
    Claim("same epochs", f"Small batches generalise better after the same {_EPOCHS} epochs.",
          f"test score of batches of {_SMALL} minus of {_LARGE}", _POINTS, "higher", 0.5),
    Claim("same steps", "Small batches generalise better after the same number of steps.",
          f"test score of batches of {_SMALL} minus of {_LARGE}, same number of steps", _POINTS, "higher", 0.5),
    Claim("same rows, scaled rate", "A larger rate makes up for a larger batch.",
          f"test score of batches of {_LARGE} at a rate √({_LARGE}/{_SMALL}) times as high, minus of {_SMALL}", _POINTS,
          "no lower", 1.0),
    Claim("time", "Larger batches take less time per row.", f"batches of {_LARGE} minus of {_SMALL}",
          "milliseconds per 1,000 rows", "lower", 0.0),
    Claim("memory", "Larger batches need more memory.", f"kept for the backward pass, {_LARGE} rows minus {_SMALL}",
          "kilobytes", "higher", 1.0),
    Claim("noise", "The gradient's noise falls with the root of the batch size.",
          "measured exponent minus −0.5, without its sign, against 0.1", "exponent", "lower", 0.0),
    Claim("accumulation", "Gradients accumulated from pieces equal those of the whole batch.",
          f"relative difference, against rounding of {_ROUNDING:g}", "share of the gradient's length", "lower", 0.0),
    Claim("with batch norm", "So they do in a network with batch normalisation.",
          "relative difference, against 1 %", "share of the gradient's length", "lower", 0.0),
)  # fmt: skip


def accumulated(network: nn.Module, loss: RowLoss, x: Tensor, y: Tensor, piece: int) -> Tensor:
    """Return the gradient of a batch, taken by the engine from pieces of so many rows."""
    Autograd(network, loss).in_pieces((x, y, None), piece)
    return _flat(network)


def measure(
    bench: Bench, seeds: Sequence[int], *, pieces: Gradient = accumulated, sizes: Sequence[int] = _SIZES
) -> Findings:
    """Train with five sizes for equal epochs and for equal steps; weigh gradients by size.

    ``pieces`` (how gradients are accumulated) and ``sizes`` (five of them) are there for tests.
    """
    small = bench.on(bench.data.head(1500))
    data = small.data
    train = partial(small.train, partial(small.network, _HIDDEN), seeds)
    watched = {"valid": data.valid, "test": data.test}
    by_size: dict[int, Runs] = {}
    for size in sizes:
        bench.say(f"batches of {size}, same epochs")
        by_size[size] = train(epochs=_EPOCHS, batch_size=size, lr=_RATE, watched=watched)
    bench.say("same steps")
    steps = _EPOCHS * -(-len(data.train) // 128)
    few = {size: train(epochs=max(1, round(steps / -(-len(data.train) // size))), batch_size=size, lr=_RATE,
                       watched=watched) for size in (sizes[0], sizes[-1])}  # fmt: skip
    bench.say("scaled rate")
    rate = _RATE * float(np.sqrt(sizes[-1] / sizes[0]))
    scaled = train(epochs=_EPOCHS, batch_size=sizes[-1], lr=rate, watched=watched)
    bench.say("gradients")
    measured = np.array([_gradients(small, seed, pieces, sizes) for seed in seeds])
    times, memory, noises, errors = np.split(measured, [len(sizes) * i for i in (1, 2, 3)], axis=1)
    slope = np.array([np.polyfit(np.log(sizes), np.log(row), 1)[0] for row in noises])
    score = {size: small.points(runs, "test") for size, runs in by_size.items()}
    steady = [small.points(few[size], "test") for size in (sizes[0], sizes[-1])]
    count = len(seeds)
    pairs = {
        "same epochs": (score[sizes[0]], score[sizes[-1]]),
        "same steps": (steady[0], steady[1]),
        "same rows, scaled rate": (small.points(scaled, "test"), score[sizes[0]]),
        "time": (times[:, -1], times[:, 0]),
        "memory": (memory[:, -1], memory[:, 0]),
        "noise": (np.abs(slope + 0.5), np.full(count, 0.1)),
        "accumulation": (errors[:, 0], np.full(count, _ROUNDING)),
        "with batch norm": (errors[:, 1], np.full(count, 0.01)),
    }
    return Findings(pairs, _names(sizes), _sweeps(small, sizes, score, times, noises), _suggestion(small, by_size))


def _names(sizes: Sequence[int]) -> dict[str, tuple[str, str]]:
    ends = (f"batches of {sizes[0]}", f"batches of {sizes[-1]}")
    named = {"same epochs": ends, "same steps": ends, "same rows, scaled rate": (ends[1] + ", scaled rate", ends[0])}
    named |= {"time": ends[::-1], "memory": ends[::-1], "noise": ("off by", "allowed")}
    return named | dict.fromkeys(("accumulation", "with batch norm"), ("difference", "allowed"))


def _sweeps(
    bench: Bench, sizes: Sequence[int], score: Mapping[int, Floats], time: Floats, noises: Floats
) -> tuple[Sweep, ...]:
    scores = {"same epochs": np.stack([score[size] for size in sizes], axis=1)}
    rows = "rows per batch"
    return (
        Sweep("Which batch sizes score best after the same epochs?", sizes, scores, rows, f"{bench.score_name} (%)",
              log_x=True),
        Sweep("How long do 1,000 rows take?", sizes, {"forward and backward": time}, rows, "milliseconds", log_x=True,
              log_y=True),
        Sweep("How noisy is a batch's gradient?", sizes, {"noise": noises}, rows,
              "distance from the whole gradient, in its lengths", log_x=True, log_y=True),
    )  # fmt: skip


def _suggestion(bench: Bench, by_size: Mapping[int, Runs]) -> dict[str, Any]:
    """Return the largest size whose mean score on validation rows is not surely below the best one's."""
    scores = {size: bench.points(runs, "valid") for size, runs in by_size.items()}
    best = max(scores, key=lambda size: float(scores[size].mean()))
    fine = [size for size, found in scores.items() if _close(scores[best] - found)]
    return {"batch_size": max(fine)}


def _close(lead: Floats) -> bool:
    error = float(lead.std(ddof=1)) / np.sqrt(len(lead)) if len(lead) > 1 else 0.0
    return float(lead.mean()) <= max(2 * error, 0.1)


def _gradients(bench: Bench, seed: int, pieces: Gradient, sizes: Sequence[int]) -> list[float]:
    """Return, of a network that has not learned yet: times, memory and noise by size, and accumulation's errors."""
    data = bench.data
    loss = Objective("auto").resolve(data.task, weighted=False).loss
    with seeded(bench.seed, "lab network", seed):
        plain, normed = bench.network(_HIDDEN).train(), bench.network(_HIDDEN, norm="batch").train()
    whole = _gradient(plain, loss, data.train.x, data.train.y)
    times, memory, noise = [], [], []
    for size in sizes:
        index = drawn(bench, "batch", seed, len(data.train), size)
        x, y = data.train.x[index], data.train.y[index]
        times.append(1e6 * seconds(partial(_repeat, plain, loss, x, y, 512)) / (max(1, 512 // len(x)) * len(x)))
        memory.append(_kept(plain, loss, x, y) / 1024)
        # With replacement: batches that hold much of all rows would be less noisy for that reason alone.
        draws = torch.randint(len(data.train), (24, size), generator=torch_rng(bench.seed, "lab", "noise", seed, size))
        far = [_gradient(plain, loss, data.train.x[i], data.train.y[i]) - whole for i in draws]
        noise.append(float(torch.stack(far).square().sum(1).mean().sqrt() / whole.norm().clamp_min(1e-12)))
    x, y = data.train.x[:128], data.train.y[:128]
    errors = []
    for network in (plain, normed):
        exact = _gradient(network, loss, x, y)
        errors.append(float((pieces(network, loss, x, y, 48) - exact).norm() / exact.norm().clamp_min(1e-12)))
    return [*times, *memory, *noise, *errors]


def _flat(network: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def _gradient(network: nn.Module, loss: RowLoss, x: Tensor, y: Tensor) -> Tensor:
    Autograd(network, loss)(x, y, None)
    return _flat(network)


def _repeat(network: nn.Module, loss: RowLoss, x: Tensor, y: Tensor, rows: int) -> None:
    for _ in range(max(1, rows // len(x))):
        Autograd(network, loss)(x, y, None)


def _kept(network: nn.Module, loss: RowLoss, x: Tensor, y: Tensor) -> float:
    """Return the bytes that the forward pass keeps for the backward pass, other than weights."""
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = max(found.get(storage.data_ptr(), 0), tensor.numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss(network(x), y).mean()
    return float(sum(found.values()))


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["same epochs"] == "supported" and verdicts["same steps"] != "supported":
        return "Small batches score better here because they take more steps: with more epochs large ones catch up."
    if verdicts["same epochs"] == "supported":
        return "Small batches score better on this data; take the suggested size."
    return "The batch size hardly matters to the score here: take the largest that is not worse, it is the quickest."


ask(Question(49, "Batch size", "What does the batch size change: time, memory, noise, the score?", CLAIMS, measure,
             _advice))  # fmt: skip
