"""Question 16, batch normalisation: faster, safer at high rates, less sensitive to the first weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from glia.lab.bench import Bench
from glia.lab.question import Claim, Findings, Question, Sweep, ask

_EPOCHS, _RATES, _HIDDEN, _LARGE = 12, (1e-3, 3e-3, 1e-2, 3e-2, 1e-1), (64, 64, 64), 5.0
_POINTS = "points of the score (of 100)"

CLAIMS = (
    Claim(
        "faster",
        "Batch normalisation needs fewer epochs to the validation loss that the network without it ends with.",
        "with minus without batch normalisation",
        "epochs",
        "lower",
        1.0,
    ),
    Claim(
        "larger rates",
        "Batch normalisation tolerates a larger learning rate.",
        f"score at a rate of {_RATES[-1]}, with minus without",
        _POINTS,
        "higher",
        0.5,
    ),
    Claim(
        "initialisation",
        "With batch normalisation the result depends less on the scale of the first weights.",
        f"loss of score when first weights are {_LARGE:g} times as large, with minus without",
        _POINTS,
        "lower",
        0.5,
    ),
    Claim(
        "regularises",
        "Batch normalisation narrows the gap between training and test score.",
        "gap with minus gap without",
        _POINTS,
        "lower",
        0.5,
    ),
)


def measure(bench: Bench, seeds: Sequence[int]) -> Findings:
    """Train with and without, at five rates, and from first weights five times as large."""
    runs, scores, falls, gaps = {}, {}, {}, {}
    for norm in ("batch", "none"):
        bench.say(f"five rates, norm {norm}")
        make = partial(bench.network, _HIDDEN, norm=norm)
        levels = bench.sweep(make, seeds, "lr", _RATES, epochs=_EPOCHS)
        runs[norm] = levels[0]
        scores[norm] = np.stack([bench.points(level, "test") for level in levels], axis=1)
        gaps[norm] = bench.points(levels[0], "train") - scores[norm][:, 0]
        bench.say(f"large first weights, norm {norm}")
        large = bench.train(partial(_enlarged, make), seeds, lr=_RATES[0], epochs=_EPOCHS)
        falls[norm] = scores[norm][:, 0] - bench.points(large, "test")
    goal = runs["none"].loss["valid"][:, -1]
    measured: dict[str, dict[str, NDArray[np.float64]]] = {
        "faster": {norm: found.epochs_to(goal) for norm, found in runs.items()},
        "larger rates": {norm: found[:, -1] for norm, found in scores.items()},
        "initialisation": falls,
        "regularises": gaps,
    }
    sweep = Sweep(
        "Which learning rates work with and without batch normalisation?",
        _RATES,
        {"with": scores["batch"], "without": scores["none"]},
        "learning rate",
        f"{bench.score_name} (%)",
        log_x=True,
    )
    return Findings({key: (both["batch"], both["none"]) for key, both in measured.items()}, sweeps=(sweep,))


@torch.no_grad()
def _enlarged(make: Callable[[], nn.Module]) -> nn.Module:
    network = make()
    for module in network.modules():
        if isinstance(module, nn.Linear):
            module.weight.mul_(_LARGE)
    return network


def _advice(verdicts: Mapping[str, str]) -> str:
    if "supported" in (verdicts["faster"], verdicts["larger rates"]):
        return "Batch normalisation pays on this data: try glia fit --norm batch."
    return "Nothing here speaks for batch normalisation on this data: glia fit --norm none is the simpler network."


ask(
    Question(
        16,
        "Batch normalisation",
        "Does batch normalisation make training faster and more robust on this data?",
        CLAIMS,
        measure,
        _advice,
    )
)
