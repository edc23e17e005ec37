"""Question 9, kinds of losses: which bear outliers, and whether margin and cross-entropy decide alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.seeds import torch_rng
from glia.engine.rows import Rows
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.made import line, made
from glia.lab.q03_perceptron import parted
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.recast import as_two_classes, as_values

Floats = NDArray[np.float64]
_SHARES, _SIZE, _LOSSES = (0.0, 0.05, 0.1, 0.2), 10.0, ("mse", "huber", "mae")
_SPREADS = "% of the target's spread"
_RISE = f"rise of the test error by {_SHARES[2]:.0%} wild training targets"

CLAIMS = (
    Claim(
        "absolute error",
        "Absolute error bears outliers better than squared error.",
        f"{_RISE}, absolute minus squared error",
        _SPREADS,
        "lower",
        1.0,
        on="made",
    ),
    Claim(
        "Huber",
        "So does the Huber loss.",
        f"{_RISE}, Huber minus squared error",
        _SPREADS,
        "lower",
        1.0,
        on="made",
    ),
    Claim(
        "yours absolute error",
        "On your data too absolute error bears outliers better (classes are taken as values 0 and 1).",
        f"{_RISE}, absolute minus squared error",
        _SPREADS,
        "lower",
        1.0,
    ),
    Claim(
        "yours Huber",
        "On your data too the Huber loss bears outliers better.",
        f"{_RISE}, Huber minus squared error",
        _SPREADS,
        "lower",
        1.0,
    ),
    Claim(
        "hinge",
        "Hinge loss and cross-entropy decide alike where a plane parts the classes.",
        "test rows that networks of both losses decide alike, minus all",
        "% of the rows",
        "no lower",
        3.0,
        on="made",
    ),
    Claim(
        "yours hinge",
        "They decide alike on your data too (of several classes: the commonest or not; of values: above the median).",
        "test rows that networks of both losses decide alike, minus all",
        "% of the rows",
        "no lower",
        3.0,
    ),
)


def separable(seed: int) -> LabData:
    """Return two classes that a plane parts with a wide margin."""
    x, y, _ = parted(600, 0.5, seed)
    return made("parted classes", x, y.astype(float), "binary")


def measure(
    bench: Bench,
    seeds: Sequence[int],
    *,
    size: float = _SIZE,
    plain: LabData | None = None,
    classes: LabData | None = None,
) -> Findings:
    """Spoil training targets and compare losses; compare the decisions of two losses.

    ``size`` is how wild the outliers are, in spreads of the target; ``plain`` and ``classes`` stand in for made data.
    """
    seed = bench.number("q09") % 2**31
    made_errors = errors(bench.on(plain or line(600, seed=seed)), seeds, size)
    own_errors = errors(bench.on(as_values(bench.data)), seeds, size)
    pairs: dict[str, tuple[Floats, Floats]] = {}
    names: dict[str, tuple[str, str]] = {}
    for prefix, found in (("", made_errors), ("yours ", own_errors)):
        rise = {loss: table[:, 2] - table[:, 0] for loss, table in found.items()}
        pairs[f"{prefix}absolute error"] = (rise["mae"], rise["mse"])
        pairs[f"{prefix}Huber"] = (rise["huber"], rise["mse"])
        names[f"{prefix}absolute error"] = ("absolute error", "squared error")
        names[f"{prefix}Huber"] = ("Huber", "squared error")
    bench.say("hinge and cross-entropy")
    all_of = np.full(len(seeds), 100.0)
    pairs["hinge"] = (agreement(bench.on(classes or separable(seed)), seeds), all_of)
    pairs["yours hinge"] = (agreement(bench.on(as_two_classes(bench.data)), seeds), all_of)
    names |= {"hinge": ("alike", "all"), "yours hinge": ("alike", "all")}
    labels = {"mse": "squared error", "huber": "Huber", "mae": "absolute error"}
    sweeps = tuple(
        Sweep(
            f"How much do wild training targets spoil {whose}?",
            [100.0 * share for share in _SHARES],
            {labels[loss]: table for loss, table in found.items()},
            "wild training targets (% of the rows)",
            "root mean squared test error (% of the target's spread)",
        )
        for whose, found in (("a linear function", made_errors), ("what is learned on your data", own_errors))
    )
    return Findings(pairs, names=names, sweeps=sweeps)


def errors(bench: Bench, seeds: Sequence[int], size: float = _SIZE) -> dict[str, Floats]:
    """Return, for every loss, the test error by seed and share of outliers, (S, shares)."""
    found = {}
    test = bench.data.test
    spread = float(test.y.std().clamp_min(1e-6))
    for loss in _LOSSES:
        columns = []
        for share in _SHARES:
            bench.say(f"{share:.0%} outliers, {loss}")
            runs = bench.train(
                partial(bench.network, (32,)), seeds, train=spoilt(bench, share, size), epochs=10, lr=5e-3, loss=loss,
                batch_size=bench.batch_size, watched={},
            )  # fmt: skip
            with torch.no_grad():
                gaps = [float((network(test.x) - test.y).square().mean().sqrt()) for network in runs.networks]
            columns.append(np.where(runs.failed, np.nan, 100.0 * np.array(gaps) / spread))
        found[loss] = np.stack(columns, axis=1)
    return found


def spoilt(bench: Bench, share: float, size: float) -> Rows:
    """Return the training rows with some targets thrown far off to one side."""
    rows = bench.data.train
    chosen = torch.randperm(len(rows), generator=torch_rng(bench.number("q09 which")))[: round(share * len(rows))]
    y = rows.y.clone()
    y[chosen] += size * rows.y.std()
    return replace(rows, y=y)


def agreement(bench: Bench, seeds: Sequence[int]) -> Floats:
    """Return the share of test rows, in %, that networks of hinge loss and of cross-entropy decide alike, (S,)."""
    decided = []
    for loss in ("hinge", "binary_cross_entropy"):
        runs = bench.train(
            partial(bench.network, (32,)), seeds, epochs=12, lr=5e-3, loss=loss, batch_size=bench.batch_size, watched={}
        )
        with torch.no_grad():
            decided.append(np.stack([network(bench.data.test.x).numpy()[:, 0] > 0 for network in runs.networks]))
    return np.asarray(100.0 * (decided[0] == decided[1]).mean(axis=1))


def _advice(verdicts: Mapping[str, str]) -> str:
    robust = [name for name in ("Huber", "absolute error") if verdicts[f"yours {name}"] == "supported"]
    flag = {"Huber": "huber", "absolute error": "mae"}
    if robust:
        return f"If numbers to predict may be wild, choose glia fit --loss {flag[robust[0]]}, which bears them."
    return "Nothing here speaks for another loss than the usual one on this data."


ask(
    Question(
        9,
        "Kinds of losses",
        "Which losses bear outliers, and does the choice of the loss change decisions?",
        CLAIMS,
        measure,
        _advice,
    )
)
