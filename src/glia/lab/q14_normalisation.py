"""Question 14, normalisation: whether scaled inputs converge faster and allow a larger learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng
from glia.data.preparation import Preparation
from glia.engine.rows import Rows
from glia.lab.bench import Bench
from glia.lab.data import PARTS, LabData
from glia.lab.guessing import UNIT, course, left
from glia.lab.made import made
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.runs import Runs

Floats = NDArray[np.float64]
How = Literal["none", "zscore", "minmax", "robust", "quantile"]
_ROWS, _HIDDEN, _EPOCHS, _RATE, _LARGE = 800, (32, 32), 12, 3e-3, 0.05
_HOW: dict[How, str] = {
    "none": "raw", "zscore": "z-score", "minmax": "min-max", "robust": "robust", "quantile": "quantile",
}  # fmt: skip
_SCALINGS: tuple[How, ...] = ("zscore", "minmax", "robust", "quantile")
_NORMS = ("none", "batch", "layer", "group", "rms")

CLAIMS = (
    Claim(
        "made faster",
        "Scaled inputs (z-score) converge faster than raw ones whose units differ a thousandfold.",
        "epochs to the best training loss that raw inputs reach, scaled minus raw",
        "epochs",
        "lower",
        1.0,
        on="made",
    ),
    Claim(
        "made larger rate",
        "Scaled inputs allow a larger learning rate.",
        f"training loss by SGD at a rate of {_LARGE:g}, scaled minus raw",
        UNIT,
        "lower",
        5.0,
        on="made",
    ),
    *(
        Claim(
            f"{how} faster",
            f"On your data inputs under {_HOW[how]} scaling converge faster than raw ones.",
            f"epochs to the best training loss that raw inputs reach, {_HOW[how]} minus raw",
            "epochs",
            "lower",
            1.0,
        )
        for how in _SCALINGS
    ),
    Claim(
        "larger rate",
        "On your data scaled inputs (z-score) allow a larger learning rate.",
        f"training loss by SGD at a rate of {_LARGE:g}, scaled minus raw",
        UNIT,
        "lower",
        5.0,
    ),
)


def uneven(seed: int, rows: int = 800, largest: float = 1000.0) -> LabData:
    """Return two classes told by five inputs whose units differ: from 1 to ``largest``."""
    rng = numpy_rng(seed, "uneven")
    x = rng.normal(size=(rows, 5))
    label = (np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] > 0).astype(float)
    return made("inputs of different units", x * np.geomspace(1.0, largest, 5)[::-1], label, "binary")


def rescaled(data: LabData, how: How) -> LabData:
    """Return data whose numeric inputs are scaled in another way; made data count as raw."""
    raw = [data.frames[part] if data.frames else data.part(part).x.double().numpy() for part in PARTS]
    rows = [len(data.part(part)) for part in PARTS]
    preparation = Preparation(scale=how, encode="onehot").fit(raw[0][: rows[0]])
    parts = [
        Rows(torch.from_numpy(np.ascontiguousarray(preparation.transform(x[:count]))), data.part(part).y)
        for part, x, count in zip(PARTS, raw, rows, strict=True)
    ]
    return replace(data, layout=preparation.layout_, train=parts[0], valid=parts[1], test=parts[2])


def measure(bench: Bench, seeds: Sequence[int], raw: LabData | None = None) -> Findings:
    """Train on raw and on scaled inputs at a usual rate and at a large one; compare norms between layers."""
    own = {how: bench.on(rescaled(bench.data.head(_ROWS), how)) for how in _HOW}
    there = raw or uneven(bench.number("q14") % 2**31)
    both = {how: bench.on(rescaled(there, how)) for how in (_SCALINGS[0], "none")}
    bench.say("inputs of different units")
    made_epochs = epochs_to_raw({how: usual(one, seeds) for how, one in both.items()})
    runs: dict[How, Runs] = {}
    for how, one in own.items():
        bench.say(f"your data, {_HOW[how]} inputs")
        runs[how] = usual(one, seeds)
    epochs = epochs_to_raw(runs)
    bench.say(f"a rate of {_LARGE:g}")
    pairs = {
        "made faster": (made_epochs["zscore"], made_epochs["none"]),
        "made larger rate": (large(both["zscore"], seeds), large(both["none"], seeds)),
    }
    pairs |= {f"{how} faster": (epochs[how], epochs["none"]) for how in _SCALINGS}
    pairs["larger rate"] = (large(own["zscore"], seeds), large(own["none"], seeds))
    bench.say("norms between layers")
    normed = {norm: usual(own["robust"], seeds, norm) for norm in _NORMS}
    numbers = range(1, _EPOCHS + 1)
    sweeps = (
        Sweep(
            "How fast does the loss fall under each scaling of the inputs?",
            numbers,
            {_HOW[how]: np.fmin(course(own[how], one), 150.0) for how, one in runs.items()},
            "epochs",
            f"training loss ({UNIT}; 150 stands for all above)",
        ),
        Sweep(
            "How fast does it fall under each norm between layers?",
            numbers,
            {norm: np.fmin(course(own["robust"], one), 150.0) for norm, one in normed.items()},
            "epochs",
            f"training loss ({UNIT}; 150 stands for all above)",
        ),
    )
    names = dict.fromkeys(pairs, ("scaled", "raw"))
    return Findings(pairs, names=names, sweeps=sweeps, suggestion=_suggestion(runs))


def usual(bench: Bench, seeds: Sequence[int], norm: str = "none") -> Runs:
    """Train by Adam at a usual rate."""
    watched = {"train": bench.data.train, "valid": bench.data.valid}
    make = partial(bench.network, _HIDDEN, norm=norm)
    return bench.train(make, seeds, lr=_RATE, epochs=_EPOCHS, batch_size=bench.batch_size, watched=watched)


def large(bench: Bench, seeds: Sequence[int]) -> Floats:
    """Return the training loss that SGD ends with at a large rate, as % of guessing's, (S,)."""
    runs = bench.train(
        partial(bench.network, _HIDDEN), seeds, lr=_LARGE, epochs=_EPOCHS, optimizer="sgd",
        batch_size=bench.batch_size, watched={"train": bench.data.train},
    )  # fmt: skip
    return left(bench, runs)


def epochs_to_raw(runs: Mapping[How, Runs]) -> dict[How, Floats]:
    """Return the epochs that each scaling needs to the best training loss of raw inputs, (S,)."""
    goal = runs["none"].best("train")
    return {how: one.epochs_to(goal, "train") for how, one in runs.items()}


def _suggestion(runs: Mapping[How, Runs]) -> dict[str, str]:
    """Return the scaling of the least validation loss, averaged over seeds."""
    least = {how: float(np.mean(runs[how].best("valid"))) for how in _SCALINGS}
    return {"scale": min(least, key=lambda how: (least[how], how))}


def _advice(verdicts: Mapping[str, str]) -> str:
    faster = [_HOW[how] for how in _SCALINGS if verdicts[f"{how} faster"] == "supported"]
    if faster:
        return f"Scale this data's inputs, as glia fit does: {', '.join(faster)} converged faster than raw inputs."
    return "Scaling the inputs did not surely pay on this data; it does no harm."


ask(
    Question(
        14,
        "Normalisation",
        "Do scaled inputs converge faster on this data, and allow a larger learning rate?",
        CLAIMS,
        measure,
        _advice,
    )
)
