"""Question 50, limitations: hunger for rows, noise, shift, forgetting, and what helps against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor, nn

from glia.core.seeds import seeded, torch_rng
from glia.engine.optimizers import make_optimizer
from glia.engine.rows import Rows
from glia.lab.bench import Bench
from glia.lab.judging import drawn, points_of, seconds
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.objectives import Objective

Floats = NDArray[np.float64]
_EPOCHS, _HIDDEN, _RATE, _NOISE = 12, (32, 32), 3e-3, (0.0, 0.25, 0.5, 1.0, 2.0)
_SHARES, _KEPT, _ANCHOR = (0.1, 0.3, 1.0), 0.1, 200.0
_POINTS = "points of the score (of 100)"

CLAIMS = (
    Claim("hungry", "Networks need many rows: with a tenth of them the score is lower.",
          "score from a tenth of the rows minus from all", _POINTS, "lower", 1.0),
    Claim("noise", "Networks are sensitive to noise in the inputs.",
          "score with noise of half a standard deviation minus without", _POINTS, "lower", 1.0),
    Claim("noise like linear", "Noise harms a network more than a linear model.",
          "fall of the score under noise, network minus linear model", _POINTS, "higher", 0.5),
    Claim("shift", "Networks do not carry over to rows of another kind.",
          "score on rows above the middle of a column, learned below it minus learned from all", _POINTS, "lower", 1.0),
    Claim("forgets", "A network that learns a second task forgets the first.",
          "score on the first task after the second minus before", _POINTS, "lower", 2.0),
    Claim("rehearsal", f"Rehearsing {_KEPT:.0%} of the first task's rows saves some of it.",
          "score on the first task after the second, with rehearsal minus without", _POINTS, "higher", 1.0),
    Claim("consolidation", "Holding on to important weights (elastic weight consolidation) saves some of it.",
          "score on the first task after the second, with minus without", _POINTS, "higher", 1.0),
    Claim("consolidation costs", "That costs nothing on the second task.",
          "score on the second task with consolidation minus without", _POINTS, "no lower", 1.0),
    Claim("resources", "A network takes more time than a linear model.", "network minus linear model, one core",
          "seconds", "higher", 0.0),
)  # fmt: skip


def measure(
    bench: Bench, seeds: Sequence[int], *, second: str = "turned", noise: float = 0.5, share: float = _SHARES[0],
    kept: float = _KEPT, anchor: float = _ANCHOR, rows: int = 1500,
) -> Findings:  # fmt: skip
    """Train on parts, under noise, under a shift, and on one task after another; the settings are for tests.

    ``second`` is the second task: ``"turned"``, with columns in another order and some with their sign turned, or
    ``"same"``, the first once more.
    """
    small = bench.on(bench.data.head(rows))
    data = small.data
    make = partial(small.network, _HIDDEN)
    options = {"epochs": _EPOCHS, "lr": _RATE}
    bench.say("few rows")
    count = len(data.train)
    levels = sorted({max(10, round(part * count)) for part in (share, *_SHARES[1:])})
    by_rows = []
    for level in levels:
        part = data.train.take(torch.arange(level))
        runs = small.train(make, seeds, train=part, watched={"test": data.test}, batch_size=min(64, level),
                           epochs=min(60, round(_EPOCHS * count / level)), lr=_RATE)  # fmt: skip
        by_rows.append(small.points(runs, "test"))
    networks = runs.networks
    bench.say("noise and shift")
    linear = [_linear(small, seed) for seed in seeds]
    noisy = np.array([[_under_noise(small, net, seed, sd) for sd in (*_NOISE, noise)]
                      for net, seed in zip(networks, seeds, strict=True)])  # fmt: skip
    rival = np.array([[_under_noise(small, net, seed, sd) for sd in (0.0, noise)]
                      for net, seed in zip(linear, seeds, strict=True)])  # fmt: skip
    shifted = _shift(small, seeds, options)
    bench.say("one task after another")
    tasks = np.array([_two_tasks(small, seed, second, kept, anchor) for seed in seeds])
    before, after, rehearsed, held, second_plain, second_held = tasks.T
    spent = np.array([_time(small, seed) for seed in seeds])
    pairs = {
        "hungry": (by_rows[levels.index(max(10, round(share * count)))], by_rows[-1]),
        "noise": (noisy[:, -1], noisy[:, 0]),
        "noise like linear": (noisy[:, 0] - noisy[:, -1], rival[:, 0] - rival[:, 1]),
        "shift": shifted,
        "forgets": (after, before),
        "rehearsal": (rehearsed, after),
        "consolidation": (held, after),
        "consolidation costs": (second_held, second_plain),
        "resources": (spent[:, 0], spent[:, 1]),
    }
    names = {
        "hungry": ("a tenth", "all rows"), "noise": ("with noise", "without"),
        "noise like linear": ("network", "linear"), "shift": ("learned below", "learned from all"),
        "forgets": ("after the second task", "before"), "rehearsal": ("rehearsal", "none"),
        "consolidation": ("consolidation", "none"), "consolidation costs": ("consolidation", "none"),
        "resources": ("network", "linear"),
    }  # fmt: skip
    sweeps = (
        Sweep("How does the score depend on the number of rows?", levels, {"network": np.stack(by_rows, axis=1)},
              "training rows", f"{small.score_name} (%)", log_x=True),
        Sweep("How much noise in the inputs does a network bear?", _NOISE, {"network": noisy[:, :-1]},
              "noise in standard deviations of the columns", f"{small.score_name} (%)"),
    )  # fmt: skip
    notes = (
        "The second task is the first with its columns in another order and some of them turned around: what the "
        "network knows of the columns is then wrong.",
        "How far a network can be explained is measured by question 35, robustness to attacks by question 41.",
    )
    return Findings(pairs, names, sweeps, notes=notes)


def _under_noise(bench: Bench, network: nn.Module, seed: int, sd: float) -> float:
    rows = bench.data.test
    noise = torch.randn(rows.x.shape, generator=torch_rng(bench.seed, "lab", "input noise", seed))
    spread = bench.data.train.x.std(0, correction=0)
    return float(points_of(bench, [network], Rows(rows.x + sd * spread * noise, rows.y))[0])


def _linear(bench: Bench, seed: int) -> nn.Module:
    """Return a ridge or logistic regression, fitted to four fifths of the rows, as a network of one layer."""
    data = bench.data
    index = drawn(bench, "linear", seed, len(data.train), int(0.8 * len(data.train))).numpy()
    x, y = data.train.x.numpy()[index], data.train.y.numpy()[index]
    layer = nn.Linear(x.shape[1], bench.outputs)
    if data.task == "regression":
        found = Ridge(alpha=1.0).fit(x, y)
        weight, bias = found.coef_.reshape(bench.outputs, -1), np.atleast_1d(found.intercept_)
    else:
        found = LogisticRegression(max_iter=300).fit(x, y)
        weight, bias = np.zeros((bench.outputs, x.shape[1])), np.full(bench.outputs, -1e3)
        places = [0] if data.task == "binary" else found.classes_.astype(int)
        if data.task == "multiclass" and len(found.classes_) == 2:  # of three or more only two were drawn
            weight[places], bias[places] = [-found.coef_[0], found.coef_[0]], [-found.intercept_[0], *found.intercept_]
        else:
            weight[places], bias[places] = found.coef_, found.intercept_
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.asarray(weight)))
        layer.bias.copy_(torch.from_numpy(np.asarray(bias)))
    return layer


def _shift(bench: Bench, seeds: Sequence[int], options: Mapping[str, float]) -> tuple[Floats, Floats]:
    """Return scores on rows above the middle of the column that varies most with the target, by what was learned.

    Both learn from equally many rows.
    """
    data = bench.data
    y = data.train.y.reshape(len(data.train), -1)[:, 0].double()
    x = data.train.x.double()
    told = ((x - x.mean(0)) * (y - y.mean())[:, None]).mean(0).abs() / x.std(0, correction=0).clamp_min(1e-9)
    wide = torch.tensor([column.unique().numel() >= 10 for column in x.T])  # a column of 0 and 1 has no upper half
    column = int(torch.where(wide, told, told - told.max() - 1).argmax())
    middle = data.train.x[:, column].median()
    below = (data.train.x[:, column] <= middle).nonzero()[:, 0]
    both = torch.randperm(len(data.train), generator=torch_rng(bench.seed, "lab", "both"))[: len(below)]
    upper = data.test.take((data.test.x[:, column] > middle).nonzero()[:, 0])
    if not len(upper) or len(below) == len(data.train):
        nothing = np.full(len(seeds), np.nan)
        return nothing, nothing
    make = partial(bench.network, _HIDDEN)
    epochs, lr = int(2 * options["epochs"]), options["lr"]
    found = [
        bench.train(make, seeds, train=data.train.take(rows), watched={}, epochs=epochs, lr=lr)
        for rows in (below, both)
    ]
    return points_of(bench, found[0].networks, upper), points_of(bench, found[1].networks, upper)


def _two_tasks(bench: Bench, seed: int, second: str, kept: float, anchor: float) -> list[float]:
    """Return scores: first task before and after the second, after with rehearsal, with consolidation, then second.

    Consolidation adds ½·strength·Σ F·(w − w₁)², F being the mean squared slope of the first task's loss in each weight
    (Kirkpatrick et al., arXiv 1612.00796, equation 3), scaled to a mean of 1 over the weights.
    """
    data = bench.data
    index = drawn(bench, "tasks", seed, len(data.train), int(0.8 * len(data.train)))
    first = data.train.take(index)
    turn = _turn(bench, seed, data.train.x.shape[1]) if second == "turned" else (lambda x: x)
    other, other_test = (replace(rows, x=turn(rows.x)) for rows in (first, data.test))
    with seeded(bench.seed, "lab network", seed):
        network = bench.network(_HIDDEN)
    _learn(bench, network, first, seed)
    before = points_of(bench, [network], data.test)[0]
    start = [p.detach().clone() for p in network.parameters()]
    importance = _importance(bench, network, first)
    few = first.take(torch.arange(max(1, round(kept * len(first)))))
    again = max(1, round(0.5 * len(other) / len(few))) if kept else 0  # half as many rows of the old as of the new
    mixed = Rows(torch.cat([other.x, *[few.x] * again]), torch.cat([other.y, *[few.y] * again]))
    scores = []
    for rows, strength in ((other, 0.0), (mixed, 0.0), (other, anchor)):
        with torch.no_grad():
            for p, value in zip(network.parameters(), start, strict=True):
                p.copy_(value)
        _learn(bench, network, rows, seed, [(f, value) for f, value in zip(importance, start, strict=True)], strength)
        scores.append([points_of(bench, [network], test)[0] for test in (data.test, other_test)])
    (after, plain), (rehearsed, _), (held, held_second) = scores
    return [float(v) for v in (before, after, rehearsed, held, plain, held_second)]


def _turn(bench: Bench, seed: int, columns: int) -> partial[Tensor]:
    rng = torch_rng(bench.seed, "lab", "second task", seed)
    order = torch.randperm(columns, generator=rng)
    sign = 1.0 - 2.0 * (torch.rand(columns, generator=rng) < 0.5).float()
    if columns == 1:
        sign = -torch.ones(1)
    return partial(_turned, order=order, sign=sign)


def _turned(x: Tensor, order: Tensor, sign: Tensor) -> Tensor:
    return x[:, order] * sign


def _learn(
    bench: Bench,
    network: nn.Module,
    rows: Rows,
    seed: int,
    anchors: Sequence[tuple[Tensor, Tensor]] = (),
    strength: float = 0.0,
) -> None:
    loss = Objective("auto").resolve(bench.data.task, weighted=False).loss
    rule = make_optimizer("adam", network, _RATE)
    parameters = list(network.parameters())
    network.train()
    for epoch in range(8):
        for x, y, _ in rows.epoch(64, bench.number("order", seed), epoch):
            network.zero_grad(set_to_none=True)
            loss(network(x), y).mean().backward()  # type: ignore[no-untyped-call]  # torch's own lacks types
            if strength:
                with torch.no_grad():
                    for p, (importance, start) in zip(parameters, anchors, strict=True):
                        if p.grad is not None:
                            p.grad += strength * importance * (p - start)
            rule.step()


def _importance(bench: Bench, network: nn.Module, rows: Rows) -> list[Tensor]:
    """Return the mean squared slopes of batches of 4 rows, with a mean of 1 over all weights."""
    loss = Objective("auto").resolve(bench.data.task, weighted=False).loss
    total = [torch.zeros_like(p) for p in network.parameters()]
    for x, y, _ in rows.take(torch.arange(min(200, len(rows)))).batches(4):
        network.zero_grad(set_to_none=True)
        loss(network(x), y).mean().backward()  # type: ignore[no-untyped-call]  # torch's own lacks types
        for sum_, p in zip(total, network.parameters(), strict=True):
            if p.grad is not None:
                sum_ += p.grad.square()
    mean = sum(float(one.sum()) for one in total) / sum(one.numel() for one in total)
    return [one / max(mean, 1e-12) for one in total]


def _time(bench: Bench, seed: int) -> tuple[float, float]:
    with seeded(bench.seed, "lab network", seed):
        network = bench.network(_HIDDEN)
    first = bench.data.train
    return seconds(lambda: _learn(bench, network, first, seed), 1), seconds(lambda: _linear(bench, seed), 1)


def _advice(verdicts: Mapping[str, str]) -> str:
    words = []
    if verdicts["shift"] == "supported":
        words.append("watch for new rows that differ from those learned from")
    if verdicts["forgets"] == "supported":
        words.append("keep old rows and mix them in when you train on")
    if verdicts["hungry"] == "supported":
        words.append("collect more rows")
    return ("On this data: " + "; ".join(words) + ".") if words else "None of the usual limits shows on this data."


ask(Question(50, "Limitations", "Where do networks fall short on this data, and what helps against it?", CLAIMS,
             measure, _advice))  # fmt: skip
