"""Question 10, optimizers: which reaches a loss in fewest steps, and what adaptive rates do for rare features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng
from glia.engine.optimizers import default_lr
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.made import made
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.runs import Runs

Floats = NDArray[np.float64]
_EPOCHS, _GOAL, _ROWS, _HIDDEN, _TIMES = 12, 7, 512, (32,), (1.0, 3.0, 10.0)
_NAMES = {
    "sgd": "SGD", "momentum": "momentum", "nesterov": "Nesterov", "adagrad": "AdaGrad", "adadelta": "AdaDelta",
    "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW", "lion": "Lion", "muon": "Muon",
    "schedule_free": "schedule-free",
}  # fmt: skip
_FASTER = (
    ("momentum", "sgd"), ("adagrad", "sgd"), ("adam", "sgd"), ("lion", "adam"), ("muon", "adam"),
    ("schedule_free", "adam"),
)  # fmt: skip
_SPARSE = ("adagrad", "adam")

CLAIMS = (
    *(
        Claim(
            f"{one} and {other}",
            f"{_NAMES[one]} needs fewer steps than {_NAMES[other]} to the same training loss.",
            f"each at the best of three rates, {_NAMES[one]} minus {_NAMES[other]}",
            "steps",
            "lower",
            4.0,
        )
        for one, other in _FASTER
    ),
    *(
        Claim(
            f"{one} on rare features",
            f"Rates that adapt to each weight help where features are rare: {_NAMES[one]} learns more than SGD.",
            f"sparse inputs of very different frequency, each at the best of three rates, {_NAMES[one]} minus SGD",
            "points of accuracy (of 100)",
            "higher",
            1.0,
            on="made",
        )
        for one in _SPARSE
    ),
)


def sparse(seed: int, features: int = 120, rows: int = 1600) -> LabData:
    """Return two classes told by features that are 0 or 1, from common to rare; the rarer, the more each says."""
    rng = numpy_rng(seed, "sparse")
    frequency = np.geomspace(0.5, 0.01, features)
    x = (rng.uniform(size=(rows, features)) < frequency).astype(float)
    weight = rng.choice([-1.0, 1.0], features) / np.sqrt(frequency)
    side = (x - frequency) @ weight
    return made("rare features", x, (side > np.median(side)).astype(float), "binary")


def measure(
    bench: Bench,
    seeds: Sequence[int],
    *,
    optimizers: Mapping[str, str] | None = None,
    rare: LabData | None = None,
) -> Findings:
    """Train with eleven optimizers at three rates each on the user's data, and with some on sparse data.

    ``optimizers`` says which registered rule stands for each name of the contrast, if not the one so called.
    """
    rules = dict(zip(_NAMES, _NAMES, strict=True)) | dict(optimizers or {})
    own = bench.on(bench.data.head(_ROWS))
    steps_per_epoch = -(-min(_ROWS, len(own.data.train)) // own.batch_size)
    found: dict[str, list[Runs]] = {}
    for name, rule in rules.items():
        bench.say(_NAMES[name])
        found[name] = at_rates(own, seeds, rule, _HIDDEN, _EPOCHS)
    goal = np.fmin.reduce([runs.loss["train"][:, _GOAL - 1] for runs in found["sgd"]])
    steps = {
        name: steps_per_epoch * np.min([r.epochs_to(goal, "train") for r in runs], 0) for name, runs in found.items()
    }
    pairs = {f"{one} and {other}": (steps[one], steps[other]) for one, other in _FASTER}
    names = {f"{one} and {other}": (_NAMES[one], _NAMES[other]) for one, other in _FASTER}
    there = bench.on(rare or sparse(bench.number("q10") % 2**31))
    bench.say("rare features")
    scores = {name: best_score(there, seeds, rules[name]) for name in ("sgd", *_SPARSE)}
    for one in _SPARSE:
        pairs[f"{one} on rare features"] = (scores[one], scores["sgd"])
        names[f"{one} on rare features"] = (_NAMES[one], "SGD")
    sweep = Sweep(
        "How fast does the training loss fall under each optimizer?",
        range(1, _EPOCHS + 1),
        {_NAMES[name]: _best_course(runs) for name, runs in found.items()},
        f"epochs (of {steps_per_epoch} steps)",
        "training loss at the best of three rates",
    )
    return Findings(pairs, names=names, sweeps=(sweep,), suggestion=_suggestion(found, steps))


def at_rates(bench: Bench, seeds: Sequence[int], rule: str, hidden: tuple[int, ...], epochs: int) -> list[Runs]:
    """Train at the rule's usual rate, three times and ten times of it."""
    rates = [default_lr(rule) * times for times in _TIMES]
    make = partial(bench.network, hidden)
    watched = {"train": bench.data.train, "valid": bench.data.valid}
    if rule == "schedule_free":  # whose averages go by the rate: members of one population must share it
        return [
            bench.train(
                make, seeds, lr=rate, epochs=epochs, optimizer=rule, batch_size=bench.batch_size, watched=watched
            )
            for rate in rates
        ]
    return bench.sweep(
        make, seeds, "lr", rates, epochs=epochs, optimizer=rule, batch_size=bench.batch_size, watched=watched
    )


def best_score(bench: Bench, seeds: Sequence[int], rule: str) -> Floats:
    """Return the validation score of linear networks after few epochs, at each seed's best rate, (S,)."""
    return np.asarray(np.max([bench.points(runs, "valid") for runs in at_rates(bench, seeds, rule, (), 4)], axis=0))


def _best_course(runs: Sequence[Runs]) -> Floats:
    """Return the training loss by epoch of each seed's best rate, (S, E)."""
    courses = np.stack([one.loss["train"] for one in runs])  # (R, S, E)
    last = np.where(np.isfinite(courses[:, :, -1]), courses[:, :, -1], np.inf)
    return np.asarray(courses[last.argmin(axis=0), np.arange(courses.shape[1])])


def _suggestion(found: Mapping[str, Sequence[Runs]], steps: Mapping[str, Floats]) -> dict[str, str | float]:
    """Return Adam, or what surely takes fewer steps, at the rate of the least validation loss."""
    gain = {name: steps["adam"] - own for name, own in steps.items()}
    sure = [name for name, own in gain.items() if len(own) > 1 and own.mean() > 3 * own.std(ddof=1) / np.sqrt(len(own))]
    name = max(sure, key=lambda key: (float(gain[key].mean()), key), default="adam")
    least = [float(np.mean(runs.best("valid"))) for runs in found[name]]
    return {"optimizer": name, "lr": float(f"{default_lr(name) * _TIMES[int(np.argmin(least))]:.6g}")}


def _advice(verdicts: Mapping[str, str]) -> str:
    faster = [_NAMES[one] for one, other in _FASTER if other == "adam" and verdicts[f"{one} and adam"] == "supported"]
    if faster:
        return f"{' and '.join(faster)} took fewer steps than Adam on this data: try glia fit --optimizer."
    if verdicts["adam and sgd"] == "refuted":
        return "At its best rate plain SGD is as fast as Adam on this data."
    return "Nothing here is surely faster than Adam on this data: keep it."


ask(
    Question(
        10,
        "Optimizers",
        "Which optimizer reaches the same loss in fewest steps on this data?",
        CLAIMS,
        measure,
        _advice,
    )
)
