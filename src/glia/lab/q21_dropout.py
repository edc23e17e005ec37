"""Question 21, dropout: a narrower gap, unchanged expectations, and the average of thinned networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.protocols import Task
from glia.core.seeds import numpy_rng, seeded
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.judging import outputs_of
from glia.lab.made import made
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.runs import Runs, score_of
from glia.nn.dropout import inverted, monte_carlo_samples

Floats = NDArray[np.float64]
_LEVELS, _EPOCHS, _HIDDEN, _MASKS = (0.0, 0.1, 0.3, 0.5), 20, (64, 64), 40
_POINTS = "points of the score (of 100)"

CLAIMS = (
    Claim("gap made", "Dropout narrows the gap between training and test score where a network learns noise by heart.",
          "gap with dropout 0.5 minus gap without", _POINTS, "lower", 1.0, "made"),
    Claim("gap", "Dropout narrows the gap between training and test score.", "gap with dropout 0.5 minus gap without",
          _POINTS, "lower", 0.5),
    Claim("better", "Dropout generalises better.", "test score with dropout 0.5 minus without", _POINTS, "higher", 0.5),
    Claim("expectation", "Division by 1 − p keeps a layer's expected activations as they are without dropout.",
          "deviation of their mean over masks, with minus without the division", "% of the activations", "lower", 20.0),
    Claim("one for many", "The whole network answers nearly what the average of its thinned networks answers.",
          "distance from that average, of the whole network minus of one thinned network",
          "points of probability (regression: hundredths of a standard deviation)", "lower", 1.0),
    Claim("as good", "The whole network is as good as the average of many thinned ones.",
          f"score of the whole network minus of the average of {_MASKS} thinned ones", _POINTS, "no lower", 0.5),
    Claim("thinned are worse", "One thinned network by itself is worse than the whole one.",
          "score of the whole network minus of one thinned network", _POINTS, "higher", 0.5),
)  # fmt: skip


def measure(
    bench: Bench, seeds: Sequence[int], *, rate: float = 0.5, noisy: LabData | None = None, divide: bool = True
) -> Findings:
    """Train at several rates, then compare a trained network with its thinned ones.

    ``rate``, ``noisy`` (the made data) and ``divide`` are there for tests.
    """
    bench.say("columns that are learned by heart")
    by_heart = bench.on(noisy or _noisy(bench.number("noise")))
    both = _sweep(by_heart, seeds, (0.0, rate))
    gaps = [by_heart.points(runs, "train") - by_heart.points(runs, "test") for runs in both]
    bench.say("dropout on this data")
    small = bench.on(bench.data.head(1000))
    levels = _sweep(small, seeds, (*_LEVELS[:-1], rate))
    scores = {part: np.stack([small.points(runs, part) for runs in levels], axis=1) for part in ("train", "test")}
    gap = scores["train"] - scores["test"]
    bench.say("thinned networks")
    figures = np.array([_thinned(small, net, seed) for net, seed in zip(levels[-1].networks, seeds, strict=True)])
    far_whole, far_one, whole, mean, one = figures.T
    kept = np.array([_kept(small, net, seed, rate) for net, seed in zip(levels[0].networks, seeds, strict=True)])
    pairs = {
        "gap made": (gaps[1], gaps[0]),
        "gap": (gap[:, -1], gap[:, 0]),
        "better": (scores["test"][:, -1], scores["test"][:, 0]),
        "expectation": (kept[:, 0] if divide else kept[:, 1], kept[:, 1]),
        "one for many": (far_whole, far_one),
        "as good": (whole, mean),
        "thinned are worse": (whole, one),
    }
    names = {
        "expectation": ("divided", "not divided"), "one for many": ("whole network", "one thinned"),
        "as good": ("whole network", "average of thinned"), "thinned are worse": ("whole network", "one thinned"),
    }  # fmt: skip
    sweep = Sweep("How does the rate of dropout move training and test score?", (*_LEVELS[:-1], rate),
                  {"training rows": scores["train"], "test rows": scores["test"]}, "dropout",
                  f"{small.score_name.removesuffix(' on test rows').removeprefix('test ')} (%)")  # fmt: skip
    return Findings(pairs, names, (sweep,), _suggestion(small, levels))


def _sweep(bench: Bench, seeds: Sequence[int], levels: Sequence[float]) -> list[Runs]:
    make = partial(bench.network, _HIDDEN, dropout=0.1)
    return bench.sweep(make, seeds, "dropout", levels, epochs=_EPOCHS, batch_size=32, lr=3e-3)


def _noisy(seed: int) -> LabData:
    """Return two classes by the sign of one column in 20, with a quarter of the labels flipped."""
    rng = numpy_rng(seed, "noisy")
    x = rng.normal(size=(1000, 20))
    y = (x[:, 0] > 0) ^ (rng.uniform(size=1000) < 0.25)
    return made("labels with noise", x, y.astype(float), "binary", shares=(0.2, 0.1))


def _suggestion(bench: Bench, levels: Sequence[Runs]) -> dict[str, float]:
    """Return the rate with the best mean score on validation rows, if that is surely better than none."""
    scores = np.stack([bench.points(runs, "valid") for runs in levels])  # (L, S)
    best = int(scores.mean(axis=1).argmax())
    gain = scores[best] - scores[0]
    sure = len(gain) > 1 and gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(len(gain))
    return {"dropout": (*_LEVELS,)[best]} if best and sure else {}


@torch.no_grad()
def _kept(bench: Bench, network: nn.Module, seed: int, rate: float) -> tuple[float, float]:
    """Return by how many percent the mean over masks misses the activations, with the division and without."""
    rows = bench.data.test.x[:200]
    blocks = network.eval().blocks
    if not isinstance(blocks, nn.ModuleList):
        raise TypeError("the network must have blocks")
    activations = blocks[0](rows).abs()
    layer = inverted(rate).train()
    with seeded(bench.seed, "lab", "masks", seed):
        mean = torch.stack([layer(activations) for _ in range(_MASKS)]).double().mean(0)
    total = max(float(activations.double().sum()), 1e-12)
    divided, plain = float(mean.sum()) / total, float(mean.sum()) * (1.0 - rate) / total
    return 100.0 * abs(divided - 1.0), 100.0 * abs(plain - 1.0)


def _thinned(bench: Bench, network: nn.Module, seed: int) -> list[float]:
    """Return distances from the thinned networks' average, of the whole and of one thinned, and three scores."""
    rows, task = bench.data.test, bench.data.task
    samples = _answers(monte_carlo_samples(network, rows.x, _MASKS, random_state=bench.number("thin", seed)), task)
    whole, mean = _answers(outputs_of(network, rows.x), task), samples[1:].mean(0)  # one is kept apart
    far = [100.0 * float((answer - mean).abs().mean()) for answer in (whole, samples[0])]
    return [*far, *(100.0 * _score(answer, rows.y, task) for answer in (whole, mean, samples[0]))]


def _answers(output: Tensor, task: Task) -> Tensor:
    """Return probabilities, or values in regression."""
    if task == "binary":
        return torch.sigmoid(output)
    return torch.softmax(output, dim=-1) if task == "multiclass" else output


def _score(answer: Tensor, y: Tensor, task: Task) -> float:
    return score_of(answer - 0.5 if task == "binary" else answer, y, task)


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["better"] == "supported":
        return "Dropout pays on this data: glia fit --dropout 0.5, or what the figure shows as best."
    if verdicts["gap"] == "supported":
        return "Dropout narrows the gap here without a surely better test score: a low rate is enough."
    return "Nothing here speaks for strong dropout on this data."


ask(Question(21, "Dropout", "Does dropout generalise better here, and is it the average of thinned networks?", CLAIMS,
             measure, _advice))  # fmt: skip
