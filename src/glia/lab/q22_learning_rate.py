"""Question 22, the learning rate: too high, too low, and whether a range test finds one that works."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from glia.core.seeds import seeded
from glia.engine.range_test import range_test
from glia.engine.schedules import as_schedule
from glia.lab.bench import Bench
from glia.lab.judging import constant_loss
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.runs import Runs
from glia.objectives import Objective

Floats = NDArray[np.float64]
Find = Callable[[Bench, int], float]
_RATES, _EPOCHS, _HIDDEN = (1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 1e-1, 1.0), 10, (64, 64)
_RULE, _LEARNED = "adamw", "% of what the best rate learns in the same time"
_POINTS = "points of the score (of 100)"

CLAIMS = (
    Claim("too high", f"Too high a rate keeps a network from learning: at {_RATES[-1]:g} hardly anything is learned.",
          "fall of the training loss at the highest rate minus at the best", _LEARNED, "lower", 20.0),
    Claim("too low", f"Too low a rate crawls: at {_RATES[0]:g} little is learned in the same time.",
          "fall of the training loss at the lowest rate minus at the best", _LEARNED, "lower", 20.0),
    Claim("range test", "The range test finds a rate that works about as well as the best one.",
          "score at the rate that the test suggests minus at the rate that is best for validation rows", _POINTS,
          "no lower", 1.0),
    Claim("decay", "A rate that falls by half a cosine ends better than a constant one.",
          "score with cosine decay minus constant, both at the suggested rate", _POINTS, "higher", 0.3),
    Claim("warm-up", "A warm-up makes a high rate bearable.",
          "score with warm-up minus without, at ten times the suggested rate", _POINTS, "higher", 0.5),
    Claim("one cycle", "One cycle of rates learns more than a constant rate in the same epochs.",
          "fall of the training loss, one cycle minus constant, both peaking at three times the suggested rate",
          _LEARNED, "higher", 1.0),
)  # fmt: skip


def suggest(bench: Bench, seed: int) -> float:
    """Return what the range test says for one seed's network."""
    with seeded(bench.seed, "lab network", seed):
        network = bench.network(_HIDDEN)
    loss = Objective("auto").resolve(bench.data.task, weighted=False).loss
    rows = bench.data.train
    found = range_test(
        network, loss, rows.x, rows.y, optimizer=_RULE, steps=80, low=1e-6, high=3.0, batch_size=64,
        random_state=bench.number("range test", seed),
    )  # fmt: skip
    return found.suggestion


def measure(bench: Bench, seeds: Sequence[int], *, find: Find = suggest, rates: Sequence[float] = _RATES) -> Findings:
    """Train at seven rates, at the suggested one, and under schedules; ``find`` and ``rates`` are for tests."""
    small = bench.on(bench.data.head(1500))
    train = partial(small.train, partial(small.network, _HIDDEN), seeds, optimizer=_RULE, epochs=_EPOCHS)
    bench.say(f"{len(rates)} rates")
    levels = small.sweep(partial(small.network, _HIDDEN), seeds, "lr", rates, optimizer=_RULE, epochs=_EPOCHS)
    learned = np.stack([_fall(small, runs) for runs in levels], axis=1)  # (S, L)
    scores = np.stack([small.points(runs, "test") for runs in levels], axis=1)
    most = np.where(learned.max(axis=1) > 0.01, learned.max(axis=1), math.nan)  # nothing to be learned: no figure
    share = 100.0 * learned / most[:, None]
    full = np.where(np.isfinite(most), 100.0, math.nan)
    bench.say("range test")
    rate = np.array([find(small, seed) for seed in seeds])
    flat = train(lr=rate.tolist())
    bench.say("schedules")
    cosine = train(lr=rate.tolist(), schedule=as_schedule("cosine"))
    hot = [train(lr=(10 * rate).tolist(), schedule=as_schedule(name)) for name in ("warmup", "constant")]
    peak = [train(lr=(3 * rate).tolist(), schedule=as_schedule(name)) for name in ("one_cycle", "constant")]
    points = {name: small.points(runs, "test") for name, runs in (("flat", flat), ("cosine", cosine))}
    cycle = [100.0 * _fall(small, runs) / most for runs in peak]
    pairs = {
        "too high": (share[:, -1], full),
        "too low": (share[:, 0], full),
        # Of each seed the rate that is best for the validation rows, not for the test rows: luck would look like skill.
        "range test": (points["flat"], _chosen(small, levels, scores)),
        "decay": (points["cosine"], points["flat"]),
        "warm-up": (small.points(hot[0], "test"), small.points(hot[1], "test")),
        "one cycle": (cycle[0], cycle[1]),
    }
    names = {
        "too high": (f"rate {rates[-1]:g}", "best rate"), "too low": (f"rate {rates[0]:g}", "best rate"),
        "range test": ("range test's rate", "best rate"), "decay": ("cosine", "constant"),
        "warm-up": ("warm-up", "none"), "one cycle": ("one cycle", "constant"),
    }  # fmt: skip
    sweep = Sweep("Which learning rates work on this data?", rates, {"constant rate": scores},
                  f"learning rate of {_RULE}", f"{small.score_name} (%)", log_x=True)  # fmt: skip
    typical = float(np.exp(np.mean(np.log(rate))))
    note = f"The range test suggests {rate.min():.2g} to {rate.max():.2g}, by seed."
    return Findings(pairs, names, (sweep,), {"lr": float(f"{typical:.2g}")}, (note,))


def _fall(bench: Bench, runs: Runs) -> Floats:
    """Return the share of the constant answer's training loss that is gone at the end, (S,), 0 to 1."""
    constant = constant_loss(bench.data.train, bench.data.task)
    last = runs.loss["train"][:, -1]
    fall = (constant - np.where(np.isfinite(last) & ~runs.failed, last, np.inf)) / max(constant, 1e-12)
    return np.asarray(np.clip(fall, 0.0, 1.0))


def _chosen(bench: Bench, levels: Sequence[Runs], scores: Floats) -> Floats:
    valid = np.stack([bench.points(runs, "valid") for runs in levels], axis=1)
    return np.asarray(scores[np.arange(len(scores)), valid.argmax(axis=1)])


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["range test"] == "refuted":
        return "The range test's rate is not good on this data: take a rate from the middle of the figure's plateau."
    extra = " Let it fall: --schedule cosine." if verdicts["decay"] == "supported" else ""
    return "The suggested rate is a workable start: glia fit --settings with the suggestion." + extra


ask(Question(22, "Learning rate", "Which learning rates work on this data, and is there a quick way to find one?",
             CLAIMS, measure, _advice))  # fmt: skip
