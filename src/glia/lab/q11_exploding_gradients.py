"""Question 11, exploding gradients: too large first weights, and what clipping, He and batch normalisation save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng, seeded
from glia.engine.optimizer_settings import Optimizer
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.guessing import UNIT, left
from glia.lab.made import made
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.nn.mlp import MLPNetwork
from glia.nn.parts import Part
from glia.objectives import Objective

Floats = NDArray[np.float64]
_DEPTH, _WIDTH, _LARGE, _RATE, _EPOCHS, _ROWS = 10, 32, 1.5, 0.05, 12, 512
_SCALES = (1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class Remedy:
    """What is done against explosion: to the network, to the gradients, or to the first weights."""

    name: str
    norm: str = "none"
    clip: Mapping[str, float] | None = None
    scale: float | None = None


REMEDIES = {
    "clip norm": Remedy("clipping the gradients' norm to 1", clip={"clip_norm": 1.0}),
    "clip value": Remedy("clipping each gradient to ±0.1", clip={"clip_value": 0.1}),
    "he": Remedy("first weights of the right size (He)", scale=1.0),
    "batch norm": Remedy("batch normalisation", norm="batch"),
}
_NONE = Remedy("none")

_PLACES: tuple[tuple[Literal["made", "yours"], str], ...] = (("made", ""), ("yours", " on your data"))

CLAIMS = (
    Claim(
        "explodes",
        "Too large first weights make the gradients of a deep network explode.",
        f"gradient norm before the first step, first weights {_LARGE:g} times He's minus He's ({_DEPTH} layers)",
        "powers of ten",
        "higher",
        1.0,
    ),
    Claim(
        "fails",
        "Such a network does not learn.",
        f"training loss after {_EPOCHS} epochs of SGD, first weights {_LARGE:g} times He's minus He's",
        UNIT,
        "higher",
        5.0,
    ),
    *(
        Claim(
            f"{on} {key}",
            f"{one.name[0].upper()}{one.name[1:]} restores training{where}.",
            f"training loss from too large first weights, with minus without {one.name}",
            UNIT,
            "lower",
            5.0,
            on=on,
        )
        for on, where in _PLACES
        for key, one in REMEDIES.items()
    ),
)


def wide(seed: int, rows: int = 500, features: int = 32) -> LabData:
    """Return two classes told by many inputs together."""
    rng = numpy_rng(seed, "wide")
    x = rng.normal(size=(rows, features))
    return made("many inputs", x, (x @ rng.choice([-1.0, 1.0], features) > 0).astype(float), "binary")


def measure(bench: Bench, seeds: Sequence[int], large: float = _LARGE, rows: LabData | None = None) -> Findings:
    """Train deep networks from first weights of several sizes, with each remedy and without."""
    own = bench.on(bench.data.head(_ROWS))
    norms = np.stack([gradient_norms(own, seeds, scale) for scale in (large, 1.0)])
    scores: dict[str, Floats] = {}
    for key, remedy in {"none": _NONE, **REMEDIES}.items():
        bench.say(f"your data, {remedy.name}")
        scales = [scale if scale != _LARGE else large for scale in _SCALES]
        if key == "he":
            continue
        each = {scale: trained(own, seeds, scale, remedy) for scale in dict.fromkeys(scales)}  # equal ones once
        scores[key] = np.stack([each[scale] for scale in scales], axis=1)
    at = _SCALES.index(_LARGE)
    pairs = {
        "explodes": (norms[0], norms[1]),
        "fails": (scores["none"][:, at], scores["none"][:, 0]),
        "yours he": (scores["none"][:, 0], scores["none"][:, at]),
    }
    for key in (name for name in scores if name != "none"):
        pairs[f"yours {key}"] = (scores[key][:, at], scores["none"][:, at])
    if rows is own.data:  # all of it has been trained already
        pairs |= {f"made {key}": pairs[f"yours {key}"] for key in REMEDIES}
    else:
        there = bench.on(rows or wide(bench.number("q11") % 2**31))
        bench.say("made data")
        without = trained(there, seeds, large, _NONE)
        pairs |= {f"made {key}": (trained(there, seeds, large, remedy), without) for key, remedy in REMEDIES.items()}
    names = {f"{on} {key}": ("with", "without") for on in ("made", "yours") for key in REMEDIES}
    names |= {"explodes": ("too large", "He"), "fails": ("too large", "He")}
    sweep = Sweep(
        "From which first weights does a deep network still learn?",
        _SCALES,
        {"no remedy" if key == "none" else REMEDIES[key].name: table for key, table in scores.items()},
        "size of the first weights (times He's)",
        f"training loss ({UNIT})",
    )
    return Findings({claim.key: pairs[claim.key] for claim in CLAIMS}, names=names, sweeps=(sweep,))


def gradient_norms(bench: Bench, seeds: Sequence[int], scale: float) -> Floats:
    """Return the norm of all gradients before the first step, as a power of ten, (S,)."""
    objective, rows, found = Objective().resolve(bench.data.task), bench.data.train, []
    for seed in seeds:
        with seeded(bench.seed, "lab network", seed):
            network = _network(bench, scale, "none")
        loss = objective.loss(network(rows.x), rows.y).mean()
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        found.append(float(torch.stack([g.double().square().sum() for g in gradients]).sum().sqrt().log10()))
    return np.array(found)


def trained(bench: Bench, seeds: Sequence[int], scale: float, remedy: Remedy) -> Floats:
    """Return the last training loss of deep networks, as % of guessing's, at most 100."""
    size = scale if remedy.scale is None else remedy.scale
    clip: dict[str, Any] = dict(remedy.clip or {})
    runs = bench.train(
        partial(_network, bench, size, remedy.norm), seeds, lr=_RATE, epochs=_EPOCHS,
        optimizer=Optimizer("sgd", **clip), batch_size=bench.batch_size, watched={"train": bench.data.train},
    )  # fmt: skip
    return left(bench, runs)


def _network(bench: Bench, scale: float, norm: str) -> MLPNetwork:
    return bench.network((_WIDTH,) * _DEPTH, norm=norm, init=Part("normal", std=scale * float(np.sqrt(2.0 / _WIDTH))))


def _advice(verdicts: Mapping[str, str]) -> str:
    working = [REMEDIES[key].name for key in REMEDIES if verdicts[f"yours {key}"] == "supported"]
    if working:
        return f"If a deep network's loss explodes on this data, what helps is {', or '.join(working)}."
    return "No remedy surely helped on this data; first weights of the right size, which glia fit sets, need none."


ask(
    Question(
        11,
        "Exploding gradients",
        "When do gradients explode, and which remedies restore training?",
        CLAIMS,
        measure,
        _advice,
    )
)
