"""Question 8, loss functions: the loss that is minimised decides what is predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.made import made
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.recast import as_values
from glia.objectives.losses import Loss, losses
from glia.objectives.regression_losses import Quantile

Floats = NDArray[np.float64]
_HALVINGS, _REACH, _ROWS, _LEVELS, _SPREADS = 36, 20.0, 400, (0.1, 0.25, 0.5, 0.75, 0.9), "% of the target's spread"

CLAIMS = (
    Claim(
        "mean",
        "Squared error makes a prediction the mean, not the median.",
        "skewed values, distance of the best constant to the mean minus to the median",
        _SPREADS,
        "lower",
        1.0,
        on="made",
    ),
    Claim(
        "median",
        "Absolute error makes it the median, not the mean.",
        "skewed values, distance of the best constant to the median minus to the mean",
        _SPREADS,
        "lower",
        1.0,
        on="made",
    ),
    Claim(
        "quantile",
        "The pinball loss of a level makes it that quantile.",
        "distance to the 90 % quantile, of the constant of the pinball loss at 0.9 minus of that of absolute error",
        _SPREADS,
        "lower",
        1.0,
        on="made",
    ),
    Claim(
        "share",
        "Cross-entropy makes it the share of the class.",
        "distance of the best constant probability to the share, minus the distance of one half",
        "points of probability (of 100)",
        "lower",
        1.0,
        on="made",
    ),
    Claim(
        "network mean and median",
        "Networks do so row by row: squared error learns the conditional mean, absolute error the median.",
        "error towards the conditional median, learned by absolute minus by squared error",
        _SPREADS,
        "lower",
        1.0,
        on="made",
    ),
    Claim(
        "yours",
        "On your target squared and absolute error ask for different predictions (of classes: of 1 for the commonest).",
        "distance of the best constants of the two losses, minus none",
        _SPREADS,
        "higher",
        1.0,
    ),
)


def skewed(seed: int, rows: int = _ROWS) -> Floats:
    """Return values with a long tail to the right, whose mean lies above their median."""
    return np.exp(numpy_rng(seed, "skewed").normal(size=rows))


def fan(seed: int, rows: int = 1200) -> tuple[LabData, Floats]:
    """Return a regression with skewed noise, and the conditional medians of its test rows, standardised as they are."""
    rng = numpy_rng(seed, "fan")
    x = rng.uniform(-1, 1, (rows, 1))
    centre = np.sin(3 * x[:, 0])
    y = centre + 1.5 * rng.exponential(size=rows)
    data = made("skewed noise", x, y, "regression")
    first = len(data.train)
    medians = centre[-len(data.test) :] + 1.5 * np.log(2.0)
    medians = (medians - y[:first].mean()) / y[:first].std()
    return data, medians


def measure(bench: Bench, seeds: Sequence[int], draw: Callable[[int], Floats] = skewed) -> Findings:
    """Minimise losses over a constant, on made values (``draw``) and the user's target, and over networks."""
    found = {key: np.empty((len(seeds), 2)) for key in ("mean", "median", "quantile", "share", "yours")}
    levels = np.empty((2, len(seeds), len(_LEVELS)))
    own = as_values(bench.data).train.y.numpy()[:, 0].astype(np.float64)
    for i, seed in enumerate(seeds):
        bench.say(f"constants, seed {seed}")
        at = bench.number("q08", seed)
        y = draw(at)
        spread, mean, median = float(y.std()), float(y.mean()), float(np.median(y))
        by_mse, by_mae = (best_constant(losses.get(name)(), y) for name in ("mse", "mae"))
        found["mean"][i] = 100.0 * np.abs([by_mse - mean, by_mse - median]) / spread
        found["median"][i] = 100.0 * np.abs([by_mae - median, by_mae - mean]) / spread
        by_level = [best_constant(Quantile(levels=(level,)), y) for level in _LEVELS]
        levels[:, i] = np.array(by_level), np.quantile(y, _LEVELS)
        found["quantile"][i] = 100.0 * np.abs([by_level[-1] - levels[1, i, -1], by_mae - levels[1, i, -1]]) / spread
        label = (numpy_rng(at, "label").uniform(size=_ROWS) < 0.2).astype(np.float64)
        chance = 1.0 / (1.0 + np.exp(-best_constant(losses.get("binary_cross_entropy")(), label)))
        found["share"][i] = 100.0 * np.abs([chance - label.mean(), 0.5 - label.mean()])
        mine = numpy_rng(at, "rows").choice(own, min(len(own), 4 * _ROWS))
        apart = best_constant(losses.get("mse")(), mine) - best_constant(losses.get("mae")(), mine)
        # in the direction of all rows: distances of resampled rows would be above 0 by chance alone
        side = float(np.sign(round(own.mean() - np.median(own), 9)))
        found["yours"][i] = 100.0 * side * apart / max(float(own.std()), 1e-9), 0.0
    bench.say("networks")
    pairs = {key: (table[:, 0], table[:, 1]) for key, table in found.items()}
    pairs["network mean and median"] = conditional(bench, seeds)
    sweep = Sweep(
        "Does the pinball loss of each level end at that quantile?",
        _LEVELS,
        {"best constant": levels[0], "quantile": levels[1]},
        "level",
        "value (skewed, median 1)",
    )
    names = {
        "mean": ("to the mean", "to the median"),
        "median": ("to the median", "to the mean"),
        "quantile": ("pinball", "absolute error"),
        "share": ("cross-entropy", "one half"),
        "network mean and median": ("absolute error", "squared error"),
        "yours": ("apart", "none"),
    }
    return Findings(pairs, names=names, sweeps=(sweep,))


def best_constant(loss: Loss, y: Floats) -> float:
    """Return the one output that has the least mean loss, by halving where the gradient changes its sign."""
    target = torch.from_numpy(y)[:, None]
    output = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    low, high = -1.1 * float(np.abs(y).max()) - _REACH, 1.1 * float(np.abs(y).max()) + _REACH
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        with torch.no_grad():
            output.fill_(middle)
        slope = float(torch.autograd.grad(loss(output.expand(len(target), 1), target).mean(), output)[0])
        low, high = (low, middle) if slope > 0 else (middle, high)
    return (low + high) / 2


def conditional(bench: Bench, seeds: Sequence[int], names: tuple[str, str] = ("mae", "mse")) -> tuple[Floats, Floats]:
    """Return the errors towards the conditional median of networks that learned by two losses."""
    data, medians = fan(bench.number("q08 fan") % 2**31)
    there, found = bench.on(data), []
    for name in names:
        make = partial(there.network, (32,), activation="tanh")
        runs = there.train(make, seeds, epochs=20, lr=0.01, loss=name, watched={"train": data.train})
        with torch.no_grad():
            outputs = np.stack([network(data.test.x).numpy()[:, 0] for network in runs.networks])
        found.append(100.0 * np.sqrt(((outputs - medians) ** 2).mean(axis=1)))
    return found[0], found[1]


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["yours"] == "supported":
        return "Choose the loss by what you want of a number: glia fit --loss mse for the mean, mae for the median."
    if verdicts["yours"] == "refuted":
        return "Mean and median of your target agree: squared and absolute error ask for the same."
    return "Whether mean and median of your target differ takes more seeds."


ask(
    Question(
        8,
        "Loss functions",
        "What does the loss that is minimised make of a prediction?",
        CLAIMS,
        measure,
        _advice,
    )
)
