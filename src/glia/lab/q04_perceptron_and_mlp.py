"""Question 4, perceptron and multilayer perceptron: what hidden layers and their width are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.made import made, rings, waves
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.recast import arrays
from glia.nn.perceptron_multiclass import multiclass_perceptron_rule

Floats = NDArray[np.float64]
_WIDTHS, _EPOCHS = (2, 4, 8, 16, 32, 64), 60
_POINTS, _HIDDEN = "points of the score (of 100)", "with hidden layers minus without"

CLAIMS = (
    Claim(
        "binary",
        "Hidden layers turn failure into success where no line parts two classes.",
        f"two rings, {_HIDDEN}",
        "points of accuracy (of 100)",
        "higher",
        10.0,
        on="made",
    ),
    Claim(
        "multi-class",
        "The same holds for several classes.",
        f"four rings of four classes, {_HIDDEN}",
        "points of accuracy (of 100)",
        "higher",
        10.0,
        on="made",
    ),
    Claim(
        "regression",
        "The same holds in regression.",
        f"a smooth function, {_HIDDEN}",
        "points of R² (of 100)",
        "higher",
        10.0,
        on="made",
    ),
    Claim(
        "wider",
        "The wider the hidden layer, the better it approximates a continuous function.",
        f"least training error reached, {_WIDTHS[-1]} hidden units minus {_WIDTHS[0]}",
        "% of the function's spread",
        "lower",
        2.0,
        on="made",
    ),
    Claim(
        "yours",
        "On your data a multilayer perceptron scores higher than a perceptron (in regression, than a linear unit).",
        "multilayer perceptron minus perceptron",
        _POINTS,
        "higher",
        0.5,
    ),
    Claim(
        "yours wider",
        "On your data a wide hidden layer scores higher than a narrow one.",
        f"{_WIDTHS[-1]} hidden units minus {_WIDTHS[1]}",
        _POINTS,
        "higher",
        0.5,
    ),
)


@dataclass(frozen=True)
class Tasks:
    """The made data, one for each task, and the function that is approximated."""

    binary: LabData
    multiclass: LabData
    regression: LabData
    smooth: LabData


def usual_tasks(seed: int) -> Tasks:
    """Return rings, more rings, and a smooth function with and without noise."""
    return Tasks(rings(600, seed), many_rings(seed), waves(600, seed), waves(600, seed, noise=0.0))


def many_rings(seed: int, classes: int = 4, rows: int = 800) -> LabData:
    """Return classes one around the other."""
    rng = numpy_rng(seed, "many rings")
    label = np.arange(rows) % classes
    angle = rng.uniform(0, 2 * np.pi, rows)
    radius = 0.5 * (1.0 + label) + 0.06 * rng.normal(size=rows)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return made("four rings", x, label.astype(float), "multiclass")


def measure(bench: Bench, seeds: Sequence[int], tasks: Tasks | None = None) -> Findings:
    """Train with and without hidden layers on three made tasks, at six widths, and on the user's data."""
    tasks = tasks or usual_tasks(bench.number("q04") % 2**31)
    pairs: dict[str, tuple[Floats, Floats]] = {}
    for key, data in (("binary", tasks.binary), ("multi-class", tasks.multiclass), ("regression", tasks.regression)):
        bench.say(f"{data.name}, with and without hidden layers")
        there = bench.on(data)
        pairs[key] = (_score(there, seeds, (32, 32), 30, 0.01), _score(there, seeds, (), 30, 0.03))
    bench.say("six widths")
    errors = np.stack([approximation(bench.on(tasks.smooth), seeds, width) for width in _WIDTHS], axis=1)
    pairs["wider"] = (errors[:, -1], errors[:, 0])
    bench.say("your data")
    wide, narrow = (_score(bench, seeds, (width,), 15, 3e-3) for width in (_WIDTHS[-1], _WIDTHS[1]))
    pairs["yours"] = (wide, perceptron(bench, seeds))
    pairs["yours wider"] = (wide, narrow)
    sweep = Sweep(
        "How well do hidden layers of different widths approximate a smooth function?",
        _WIDTHS,
        {"least training error": errors},
        "hidden units",
        "root mean squared error (% of the function's spread)",
        log_x=True,
        log_y=True,
    )
    names = {
        "wider": (f"{_WIDTHS[-1]} units", f"{_WIDTHS[0]} units"),
        "yours": ("multilayer perceptron", "perceptron"),
        "yours wider": (f"{_WIDTHS[-1]} units", f"{_WIDTHS[1]} units"),
    }
    for key in ("binary", "multi-class", "regression"):
        names[key] = ("hidden layers", "none")
    return Findings(pairs, names=names, sweeps=(sweep,))


def approximation(bench: Bench, seeds: Sequence[int], width: int) -> Floats:
    """Return the least root mean squared error on training rows, in % of the target's spread."""
    watched = {"train": bench.data.train}
    make = partial(bench.network, (width,), activation="tanh")
    runs = bench.train(make, seeds, epochs=_EPOCHS, lr=0.03, batch_size=32, watched=watched, own_rows=False)
    return 100.0 * np.sqrt(runs.best("train"))


def perceptron(bench: Bench, seeds: Sequence[int]) -> Floats:
    """Return the test accuracy of perceptrons learned by the perceptron's rule (pocket); R² of a linear unit."""
    data = bench.data
    if data.task == "regression":
        return _score(bench, seeds, (), 15, 0.03)
    (x, y), (test_x, test_y) = arrays(data.train), arrays(data.test)
    classes = max(data.outputs, 2)
    found = []
    for seed in seeds:
        mine = numpy_rng(bench.number("q04 rows", seed)).permutation(len(x))[: max(1, int(0.8 * len(x)))]
        fit = multiclass_perceptron_rule(x[mine], y[mine], classes, max_epochs=15, keep_best=True, random_state=seed)
        found.append(100.0 * float(np.mean((test_x @ fit.weights.T + fit.bias).argmax(axis=1) == test_y)))
    return np.array(found)


def _score(bench: Bench, seeds: Sequence[int], hidden: tuple[int, ...], epochs: int, lr: float) -> Floats:
    options: dict[str, Any] = {"epochs": epochs, "lr": lr, "batch_size": bench.batch_size}
    return bench.points(bench.train(partial(bench.network, hidden), seeds, **options), "test")


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["yours"] == "refuted":
        return "A perceptron does about as well on this data: a linear model is enough."
    if verdicts["yours"] == "undecided":
        return "Whether hidden layers pay on this data takes more seeds, or more rows."
    if verdicts["yours wider"] == "refuted":
        return f"Hidden layers pay on this data, but width hardly: {_WIDTHS[1]} units do about as well."
    return "Hidden layers pay on this data: keep those that glia fit sets."


ask(
    Question(
        4,
        "Perceptron and MLP",
        "What do hidden layers, and their width, make possible?",
        CLAIMS,
        measure,
        _advice,
    )
)
