"""Question 36, deep against classic learning: who wins on this data, with how many rows, at what cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glia.estimators.baselines import fit_baselines
from glia.lab.bench import Bench
from glia.lab.judging import drawn, points_of
from glia.lab.question import Claim, Findings, Question, Sweep, ask

Floats = NDArray[np.float64]
_SHARES, _ROWS, _STEPS, _HIDDEN = (0.125, 0.35, 1.0), 2000, 600, (64, 64)
_POINTS = "points of the score (of 100)"
_NAMES = ("constant", "linear", "nearest neighbours", "gradient boosting")

CLAIMS = (
    Claim("constant", "A network does better than always giving one answer.", "network minus constant", _POINTS,
          "higher", 1.0),
    Claim("linear", "A network does better than a linear (logistic) model.", "network minus linear model", _POINTS,
          "higher", 0.5),
    Claim("neighbours", "A network does better than nearest neighbours.", "network minus nearest neighbours", _POINTS,
          "higher", 0.5),
    Claim("boosting", "A network does better than gradient-boosted trees.", "network minus boosted trees", _POINTS,
          "higher", 0.5),
    Claim("rows", "Networks need many rows: they gain more from them than boosted trees do.",
          f"gain from {_SHARES[0]:.0%} of the rows to all, network minus boosted trees", _POINTS, "higher", 0.5),
    Claim("few rows", "With few rows a linear model is at least as good as a network.",
          f"network minus linear model, both with {_SHARES[0]:.0%} of the rows", _POINTS, "no higher", 0.5),
    Claim("cost", "A network takes longer to train than a linear model.", "network minus linear model, one core",
          "seconds", "higher", 0.0),
)  # fmt: skip


def measure(bench: Bench, seeds: Sequence[int], *, steps: int = _STEPS, shares: Sequence[float] = _SHARES) -> Findings:
    """Give a network and four classic models equally many rows; ``steps`` and ``shares`` are there for tests.

    The network gets equally many steps at all sizes and ends at its best epoch on the validation rows. Classic models
    see a table's own columns where there is a table, the network its prepared ones.
    """
    small = bench.on(bench.data.head(_ROWS))
    total = len(small.data.train)
    counts = [max(20, round(share * total)) for share in shares]
    scores: dict[str, list[Floats]] = {name: [] for name in ("network", *_NAMES)}
    spent: dict[str, Floats] = {}
    for count in counts:
        bench.say(f"{count} rows")
        figures = [_network(small, seed, count, steps) for seed in seeds]
        scores["network"].append(np.array([score for score, _ in figures]))
        classic = [_classic(small, seed, count) for seed in seeds]
        for name in _NAMES:
            scores[name].append(np.array([found.get(name, (np.nan, np.nan))[0] for found in classic]))
        spent = {
            "network": np.array([seconds for _, seconds in figures]),
            "linear": np.array([found.get("linear", (np.nan, np.nan))[1] for found in classic]),
        }
    by_rows = {name: np.stack(found, axis=1) for name, found in scores.items()}  # (S, sizes)
    gain = {name: table[:, -1] - table[:, 0] for name, table in by_rows.items()}
    full = {name: table[:, -1] for name, table in by_rows.items()}
    pairs = {
        "constant": (full["network"], full["constant"]),
        "linear": (full["network"], full["linear"]),
        "neighbours": (full["network"], full["nearest neighbours"]),
        "boosting": (full["network"], full["gradient boosting"]),
        "rows": (gain["network"], gain["gradient boosting"]),
        "few rows": (by_rows["network"][:, 0], by_rows["linear"][:, 0]),
        "cost": (spent["network"], spent["linear"]),
    }
    others = {"neighbours": "nearest neighbours", "boosting": "boosted trees", "rows": "boosted trees",
              "constant": "constant"}  # fmt: skip
    names = {claim.key: ("network", others.get(claim.key, "linear")) for claim in CLAIMS}
    sweep = Sweep("Who wins with how many rows?", counts, by_rows, "training rows", f"{small.score_name} (%)",
                  log_x=True)  # fmt: skip
    note = "The network is a small one with settings that nobody tuned, as the classic models are."
    return Findings(pairs, names, (sweep,), notes=(note,))


def _network(bench: Bench, seed: int, count: int, steps: int) -> tuple[float, float]:
    data = bench.data
    rows = data.train.take(_rows(bench, seed, count))
    epochs = max(4, round(steps / -(-count // 64)))
    # Not a population: rows are each seed's own, and the time must be that of one network.
    started = time.perf_counter()
    runs = bench.train(
        partial(bench.network, _HIDDEN, dropout=0.15), [seed], train=rows, valid=data.valid, epochs=epochs,
        patience=max(3, epochs // 4), lr=2e-3, optimizer="adamw", weight_decay=0.02, own_rows=False, watched={},
    )  # fmt: skip
    return float(points_of(bench, runs.networks, data.test)[0]), time.perf_counter() - started


def _rows(bench: Bench, seed: int, count: int) -> torch.Tensor:
    """Return the numbers of a seed's rows: four fifths of so many, drawn from all of them."""
    return drawn(bench, "classic rows", seed, len(bench.data.train), max(10, round(0.8 * count)))


def _classic(bench: Bench, seed: int, count: int) -> dict[str, tuple[float, float]]:
    """Return (score, seconds) of each model, fitted to the same rows."""
    data = bench.data
    index = _rows(bench, seed, count).numpy()
    train: Any
    test: Any
    if data.frames:
        train, test = data.frames["train"][index], data.frames["test"]
    else:
        train, test = data.train.x.numpy()[index], data.test.x.numpy()
    y, truth = data.train.y.numpy()[index], data.test.y.numpy()
    y, truth = (part[:, 0] if part.ndim == 2 and part.shape[1] == 1 else part for part in (y, truth))
    fitted = fit_baselines(data.task, train, y, test, random_state=bench.number("classic", seed) % 2**31)
    found = {}
    for model in fitted:
        name = "linear" if model.name == "logistic" else model.name
        found[name] = (_points(model.prediction, truth, data.task), model.seconds)
    return found


def _points(prediction: NDArray[Any], truth: NDArray[Any], task: str) -> float:
    if task != "regression":
        return 100.0 * float(np.mean(prediction == truth))
    left = float(np.sum((prediction - truth) ** 2))
    return max(-100.0, 100.0 * (1.0 - left / max(float(np.sum((truth - truth.mean(axis=0)) ** 2)), 1e-12)))


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["boosting"] == "refuted" or verdicts["linear"] == "refuted":
        return "A classic model is as good or better here: look at the table of baselines in the report of glia fit."
    if verdicts["boosting"] == "supported":
        return "A network is worth its time on this data."
    return "Network and boosted trees are close here; an ensemble of both is worth a try."


ask(Question(36, "Deep against classic learning", "Who wins on this data, with how many rows, and at what cost?",
             CLAIMS, measure, _advice))  # fmt: skip
