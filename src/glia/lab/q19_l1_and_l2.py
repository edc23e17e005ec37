"""Question 19, L1 and L2: exact zeros and selection on one side, small weights without zeros on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.seeds import numpy_rng
from glia.lab.bench import Bench
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.objectives.penalties import prox_l1_

Floats = NDArray[np.float64]
_LEVELS, _EPOCHS, _L1, _L2 = (1e-3, 1e-2, 3e-2, 3e-1), 12, 1e-1, 1e-2
_USED, _NOISE = 5, 15
_WEIGHTS = "% of the weights"

CLAIMS = (
    Claim("L1 zeros", "L1 makes weights exactly zero, L2 does not.", "share of weights that are 0, L1 minus L2",
          _WEIGHTS, "higher", 5.0),
    Claim("L2 no zeros", "L2 leaves hardly any weight at exactly zero.", "share of weights that are 0, L2 minus none",
          _WEIGHTS, "no higher", 0.1),
    Claim("L2 shrinks", "L2 makes weights smaller.", "length of all weights with L2 minus without, of 100 without",
          "%", "lower", 5.0),
    Claim("selects", "L1 selects: it cuts off columns that say nothing and keeps those that do.",
          "share of columns cut off, of those that say nothing minus of those that do", "% of the columns", "higher",
          20.0, "made"),
    Claim("L2 keeps all", "L2 cuts no column off, whether it says something or not.",
          "share of useless columns cut off with L2 minus without", "% of the columns", "no higher", 1.0, "made"),
    Claim("L2 spreads", "Of two columns that say the same L2 uses both alike, where L1 prefers one.",
          "unevenness of the two weights, L2 minus L1", "% of their sum", "lower", 10.0, "made"),
    Claim("elastic net", "Both penalties together keep such twins more evenly than L1 alone.",
          "unevenness of the two weights, elastic net minus L1", "% of their sum", "lower", 10.0, "made"),
    Claim("proximal step", "It takes the proximal step: the subgradient of |w| only makes weights hover near zero.",
          "share of weights that are 0, proximal step minus subgradient", _WEIGHTS, "higher", 20.0, "made"),
    Claim("no cost", "The zeros are free: at this strength L1 costs no accuracy.",
          f"score with minus without L1 = {_L1}", "points of the score (of 100)", "no lower", 1.0),
)  # fmt: skip


def measure(
    bench: Bench, seeds: Sequence[int], *, l1: float = _L1, l2: float = _L2, useful_noise: bool = False
) -> Findings:
    """Train under each penalty, and fit linear models to made columns.

    Strengths are for tests, and ``useful_noise``, which makes the columns useful that are to say nothing.
    """
    small = bench.on(bench.data.head(1500))
    make = partial(small.network, (32,))
    watched = {"test": small.data.test}
    bench.say("penalties on this data")
    options = {"epochs": _EPOCHS, "lr": 3e-3, "watched": watched}
    plain, ridge = small.sweep(make, seeds, "l2", (0.0, l2), **options)
    lassos = small.sweep(make, seeds, "l1", (*_LEVELS, l1), **options)
    zeros = [np.array([_zeros(net) for net in runs.networks]) for runs in (plain, ridge, lassos[-1])]
    lengths = [np.array([_length(net) for net in runs.networks]) for runs in (plain, ridge)]
    pairs = {
        "L1 zeros": (zeros[2], zeros[1]),
        "L2 no zeros": (zeros[1], zeros[0]),
        "L2 shrinks": (100.0 * lengths[1] / lengths[0], np.full(len(seeds), 100.0)),
        "no cost": (small.points(lassos[-1], "test"), small.points(plain, "test")),
    }
    bench.say("columns that say nothing, and twins")
    made_figures = np.array([_selection(bench.number("columns", seed), l1, l2, useful_noise) for seed in seeds])
    cut_noise, cut_useful, cut_l2, cut_none, apart_l1, apart_l2, apart_both, prox, sub = made_figures.T
    pairs |= {
        "selects": (cut_noise, cut_useful), "L2 keeps all": (cut_l2, cut_none), "L2 spreads": (apart_l2, apart_l1),
        "elastic net": (apart_both, apart_l1), "proximal step": (prox, sub),
    }  # fmt: skip
    names = {
        "L1 zeros": ("L1", "L2"), "L2 no zeros": ("L2", "none"), "L2 shrinks": ("L2", "none"),
        "selects": ("say nothing", "say something"), "L2 keeps all": ("L2", "none"), "L2 spreads": ("L2", "L1"),
        "elastic net": ("elastic net", "L1"), "proximal step": ("proximal", "subgradient"), "no cost": ("L1", "none"),
    }  # fmt: skip
    lines = {
        "weights that are 0": np.stack([[_zeros(net) for net in runs.networks] for runs in lassos[:-1]], axis=1),
        small.score_name: np.stack([small.points(runs, "test") for runs in lassos[:-1]], axis=1),
    }
    sweep = Sweep("How many weights does L1 cut, and what does it cost?", _LEVELS, lines, "strength of L1", "%",
                  log_x=True)  # fmt: skip
    return Findings(pairs, names, (sweep,))


def _matrices(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters() if p.ndim == 2])


def _zeros(network: nn.Module) -> float:
    return 100.0 * float((_matrices(network) == 0).double().mean())


def _length(network: nn.Module) -> float:
    return float(_matrices(network).double().norm())


def _selection(seed: int, l1: float, l2: float, useful_noise: bool) -> list[float]:
    """Return figures of linear models by proximal gradient descent on made columns of one seed, in percent."""
    rng = numpy_rng(seed, "columns")
    x = rng.normal(size=(400, _USED + _NOISE))
    weight = rng.choice([-1.0, 1.0], _USED + _NOISE) * rng.uniform(0.5, 1.5, _USED + _NOISE)
    if not useful_noise:
        weight[_USED:] = 0.0
    y = x @ weight + 0.5 * rng.normal(size=400)
    strength = 2 * l1  # one linear layer in full batches bears more than a network in small ones
    lasso, ridge, none = (_fit(x, y, *how) for how in ((strength, 0.0), (0.0, 20 * l2), (0.0, 0.0)))
    by_subgradient = _fit(x, y, strength, 0.0, proximal=False)
    common = rng.normal(size=(400, 1))
    twins = np.hstack([common + 0.05 * rng.normal(size=(400, 2)), rng.normal(size=(400, 3))])
    told = 2 * common[:, 0] + 0.5 * rng.normal(size=400)
    apart = [_apart(_fit(twins, told, *how)) for how in ((strength, 0.0), (0.0, 20 * l2), (strength, 20 * l2))]
    cut = [100.0 * float(np.mean(w == 0)) for w in (lasso[_USED:], lasso[:_USED], ridge[_USED:], none[_USED:])]
    shares = [100.0 * float(np.mean(w == 0)) for w in (lasso, by_subgradient)]
    return [*cut, *apart, *shares]


def _fit(x: Floats, y: Floats, l1: float, l2: float, *, proximal: bool = True) -> Floats:
    """Minimise ½·mean squared error + l1·|w|₁ + ½·l2·|w|², by 800 steps from random first weights."""
    rows, target = torch.from_numpy(x), torch.from_numpy(y)
    w = 0.5 * torch.from_numpy(numpy_rng(len(y), "start").normal(size=x.shape[1]))
    step = 1.0 / (float(torch.linalg.matrix_norm(rows, 2)) ** 2 / len(y) + l2)
    for _ in range(800):
        slope = rows.T @ (rows @ w - target) / len(y) + l2 * w
        w -= step * (slope if proximal else slope + l1 * torch.sign(w))
        if proximal:
            prox_l1_([w], step * l1)
    return np.asarray(w.numpy())


def _apart(weight: Floats) -> float:
    """Return how unevenly the first two weights are used: 0 % alike, 100 % only one."""
    one, other = np.abs(weight[:2])
    return float(100.0 * abs(one - other) / max(one + other, 1e-12))


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["L1 zeros"] == "supported" and verdicts["no cost"] == "supported":
        return f"Many weights can go at no cost on this data: try glia fit --l1 {_L1}."
    return "Take --l1 for a sparse network and --weight-decay where only overfitting is the matter."


ask(Question(19, "L1 and L2", "Do L1 and L2 do to the weights what is said of them, and at what cost?", CLAIMS,
             measure, _advice))  # fmt: skip
