"""Question 15, activations: dead units at high rates, and what each activation lets a network learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from glia.lab.bench import Bench
from glia.lab.guessing import UNIT, course, left
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.nn.mlp import MLPNetwork
from glia.nn.trace import trace

Floats = NDArray[np.float64]
_RATES, _HIDDEN, _EPOCHS, _ROWS, _SHARE = (1e-3, 1e-2, 3e-2, 1e-1), (32, 32), 12, 800, "% of the hidden units"
_NAMES = {
    "step": "step", "linear": "linear", "sigmoid": "sigmoid", "tanh": "tanh", "relu": "ReLU",
    "leaky_relu": "leaky ReLU", "prelu": "PReLU", "elu": "ELU", "gelu": "GELU", "silu": "SiLU", "softmax": "softmax",
}  # fmt: skip
_HINGED = ("relu", "leaky_relu", "prelu", "elu")

CLAIMS = (
    Claim(
        "ReLU dies",
        "At a high learning rate ReLU units die: no training row switches them on any more.",
        f"units that no row switches on, ReLU at a rate of {_RATES[-1]:g} minus at {_RATES[0]:g}",
        _SHARE,
        "higher",
        1.0,
    ),
    Claim(
        "leaky",
        "Fewer units of leaky ReLU than of ReLU are dead at a high learning rate.",
        f"units that no row switches on, at a rate of {_RATES[-1]:g}, leaky ReLU minus ReLU",
        _SHARE,
        "lower",
        1.0,
    ),
    Claim(
        "leaky learns",
        "At a high learning rate leaky ReLU learns more than ReLU.",
        f"training loss at a rate of {_RATES[-1]:g}, leaky ReLU minus ReLU",
        UNIT,
        "lower",
        2.0,
    ),
    Claim(
        "ReLU and sigmoid",
        "ReLU learns faster than sigmoid.",
        f"training loss after {_EPOCHS} epochs at a rate of {_RATES[0]:g}, ReLU minus sigmoid",
        UNIT,
        "lower",
        2.0,
    ),
    Claim(
        "ReLU and linear",
        "Hidden layers need a non-linear activation: ReLU learns more than a linear one.",
        f"training loss after {_EPOCHS} epochs at a rate of {_RATES[1]:g}, ReLU minus linear",
        UNIT,
        "lower",
        2.0,
    ),
    Claim(
        "step",
        "Hidden layers of steps, whose gradient is 0, cannot be learned: they end behind sigmoid.",
        f"training loss after {_EPOCHS} epochs at a rate of {_RATES[1]:g}, step minus sigmoid",
        UNIT,
        "higher",
        2.0,
    ),
)


def measure(bench: Bench, seeds: Sequence[int], leaky: str = "leaky_relu", steps: str = "step") -> Findings:
    """Train with eleven activations at several rates on the user's data.

    ``leaky`` and ``steps`` name the activations that stand for leaky ReLU and for the step.
    """
    own = bench.on(bench.data.head(_ROWS))
    dead, losses, courses = {}, {}, {}
    for name in _NAMES:
        bench.say(_NAMES[name])
        rule = {"leaky_relu": leaky, "step": steps}.get(name, name)
        runs = own.sweep(
            partial(own.network, _HIDDEN, activation=rule), seeds, "lr", _RATES, epochs=_EPOCHS,
            batch_size=own.batch_size, watched={"train": own.data.train},
        )  # fmt: skip
        losses[name] = np.stack([left(own, level) for level in runs], axis=1)
        courses[name] = course(own, runs[1])
        if name in _HINGED:
            dead[name] = np.stack([dead_units(own, level.networks) for level in runs], axis=1)
    sweeps = (
        Sweep(
            "How many units does a high learning rate kill?",
            _RATES,
            {_NAMES[name]: table for name, table in dead.items()},
            "learning rate",
            f"units that no row switches on ({_SHARE})",
            log_x=True,
        ),
        Sweep(
            "How fast does a network learn with each activation?",
            range(1, _EPOCHS + 1),
            {_NAMES[name]: table for name, table in courses.items()},
            f"epochs at a rate of {_RATES[1]:g}",
            f"training loss ({UNIT})",
        ),
    )
    pairs = {
        "ReLU dies": (dead["relu"][:, -1], dead["relu"][:, 0]),
        "leaky": (dead["leaky_relu"][:, -1], dead["relu"][:, -1]),
        "leaky learns": (losses["leaky_relu"][:, -1], losses["relu"][:, -1]),
        "ReLU and sigmoid": (losses["relu"][:, 0], losses["sigmoid"][:, 0]),
        "ReLU and linear": (losses["relu"][:, 1], losses["linear"][:, 1]),
        "step": (losses["step"][:, 1], losses["sigmoid"][:, 1]),
    }
    names = {
        "ReLU dies": ("high rate", "low rate"),
        "leaky": ("leaky ReLU", "ReLU"),
        "leaky learns": ("leaky ReLU", "ReLU"),
        "ReLU and sigmoid": ("ReLU", "sigmoid"),
        "ReLU and linear": ("ReLU", "linear"),
        "step": ("step", "sigmoid"),
    }
    return Findings(pairs, names=names, sweeps=sweeps)


def dead_units(bench: Bench, networks: Sequence[nn.Module]) -> Floats:
    """Return the share of hidden units, in %, whose pre-activation is above 0 for no training row, (S,)."""
    shares = []
    for network in networks:
        if not isinstance(network, MLPNetwork) or any(not torch.isfinite(p).all() for p in network.parameters()):
            shares.append(np.nan)
            continue
        found = [
            layer.pre_activation for layer in trace(network, bench.data.train.x).layers if "activation" in layer.name
        ]
        off = [~(np.asarray(pre, dtype=np.float64) > 0).any(axis=0) for pre in found if pre is not None]
        shares.append(100.0 * float(np.concatenate(off).mean()))
    return np.array(shares)


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["leaky"] == "supported":
        return "At high rates prefer leaky ReLU (glia fit --activation leaky_relu), or lower the rate."
    return "Nothing here speaks against ReLU on this data at usual rates."


ask(
    Question(
        15,
        "Activations",
        "Which activations let a network learn on this data, and do units die at high rates?",
        CLAIMS,
        measure,
        _advice,
    )
)
