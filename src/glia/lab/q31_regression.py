"""Question 31, regression: bounded outputs, several targets, prediction intervals, and the linear rival."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from torch import Tensor, nn

from glia.core.seeds import numpy_rng, torch_rng
from glia.engine.rows import Rows
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.judging import drawn, outputs_of, with_parts
from glia.lab.made import made, waves
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.recast import as_values
from glia.lab.runs import score_of
from glia.nn.mlp import MLPNetwork
from glia.objectives import conformal_radius

Floats = NDArray[np.float64]
Radius = Callable[[Floats, float], float]
_EPOCHS, _HIDDEN, _RATE, _COVERAGES = 30, (32, 32), 3e-3, (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_R2, _PERCENT = "points of R² (of 100)", "% of the test rows"

CLAIMS = (
    Claim("curve", "A network follows a bent function that a linear model cannot follow.",
          "R² of the network minus of ridge regression", _R2, "higher", 5.0, "made"),
    Claim("beats linear", "A network predicts this target better than a linear model.",
          "R² of the network minus of ridge regression", _R2, "higher", 1.0),
    Claim("intervals cover", "Prediction intervals that are calibrated on other rows cover the stated 90 %.",
          "share of test rows in their interval minus 90", _PERCENT, "no lower", 2.0),
    Claim("intervals are not wide", "They are no wider than they must be: they do not cover much more.",
          "share of test rows in their interval minus 90", _PERCENT, "no higher", 2.0),
    Claim("training residuals", "Residuals of the training rows would not do: such intervals cover too little.",
          "share covered, calibrated on training rows minus on other rows", _PERCENT, "lower", 1.0),
    Claim("bounded", "A sigmoid at the output keeps predictions within the known range; a linear output leaves it.",
          "predictions out of the range, bounded minus linear output", _PERCENT, "lower", 0.5, "made"),
    Claim("bounded fits", "The bound costs nothing: predictions are as good as those of a linear output.",
          "R² with a bounded output minus with a linear one", _R2, "no lower", 2.0, "made"),
    Claim("several targets", "One network for three related targets is no worse than three networks.",
          "mean R² of one network minus of three", _R2, "no lower", 2.0, "made"),
)  # fmt: skip


class Bounded(nn.Module):
    """A network with a sigmoid output, stretched to a range."""

    def __init__(self, network: nn.Module, low: float, high: float) -> None:
        super().__init__()
        self.network, self.low, self.high = network, low, high

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D) to (B, 1) within [low, high]."""
        answer: Tensor = self.low + (self.high - self.low) * self.network(x)
        return answer


def measure(
    bench: Bench,
    seeds: Sequence[int],
    *,
    bent: LabData | None = None,
    radius: Radius = conformal_radius,
    range_: tuple[float, float] = (0.0, 1.0),
    related: bool = True,
) -> Findings:
    """Fit networks and ridge regression; ``bent``, ``radius``, ``range_`` and ``related`` are there for tests."""
    bench.say("a bent function")
    curve = _against_linear(bench.on(bent or waves(800, seed=bench.number("waves"))), seeds)[0]
    bench.say("this data")
    values = bench.on(as_values(bench.data.head(1500)))
    here, networks = _against_linear(values, seeds)
    bench.say("intervals")
    cover = np.array([_coverage(values, net, seed, radius) for net, seed in zip(networks, seeds, strict=True)])
    ninety = np.full(len(seeds), 90.0)
    at = _COVERAGES.index(0.9)
    bench.say("a bounded output, several targets")
    pairs = {
        "curve": curve,
        "beats linear": here,
        "intervals cover": (cover[:, 0, at], ninety),
        "intervals are not wide": (cover[:, 0, at], ninety),
        "training residuals": (cover[:, 1, at], cover[:, 0, at]),
    }
    pairs |= _bounded(bench.on(_shares(bench.number("shares"))), seeds, range_)
    pairs["several targets"] = _several(bench.on(_three(bench.number("three"), related)), seeds)
    names = {
        "curve": ("network", "ridge"), "beats linear": ("network", "ridge"),
        "intervals cover": ("covered", "stated"), "intervals are not wide": ("covered", "stated"),
        "training residuals": ("by training rows", "by other rows"), "bounded": ("sigmoid", "linear"),
        "bounded fits": ("sigmoid", "linear"), "several targets": ("one network", "three networks"),
    }  # fmt: skip
    lines = {"calibrated on other rows": cover[:, 0], "calibrated on training rows": cover[:, 1]}
    sweep = Sweep("Do intervals cover as many rows as they say?", [100 * c for c in _COVERAGES], lines,
                  "stated coverage (%)", "test rows covered (%)")  # fmt: skip
    task = bench.data.task
    notes = () if task == "regression" else ("The target holds classes: predicted is 1 for the commonest, 0 else.",)
    return Findings(pairs, names, (sweep,), notes=notes)


def _against_linear(bench: Bench, seeds: Sequence[int]) -> tuple[tuple[Floats, Floats], list[nn.Module]]:
    """Return R² of networks and of ridge regressions that learned from the same rows."""
    data = bench.data
    found, rivals = [], []
    for seed in seeds:
        index = drawn(bench, "values", seed, len(data.train), int(0.8 * len(data.train))).numpy()
        x, y = data.train.x.numpy()[index], data.train.y.numpy()[index, 0]
        rival = RidgeCV(np.geomspace(1e-2, 1e3, 11)).fit(x, y).predict(data.test.x.numpy())
        rivals.append(100.0 * score_of(torch.from_numpy(rival.reshape(-1, 1)), data.test.y, "regression"))
    runs = bench.train(
        partial(bench.network, _HIDDEN, dropout=0.1), seeds, epochs=_EPOCHS, lr=_RATE, watched={"test": data.test},
        valid=data.valid, patience=8,
    )  # fmt: skip
    found = [100.0 * score_of(outputs_of(net, data.test.x), data.test.y, "regression") for net in runs.networks]
    return (np.maximum(found, -100.0), np.array(rivals)), runs.networks


def _coverage(bench: Bench, network: nn.Module, seed: int, radius: Radius) -> Floats:
    """Return the share covered (2, L): calibrated on held-out and on training rows, at every stated coverage.

    Which of the rows that no network has learned from calibrate and which are covered is each seed's own draw: luck
    of one division would look like a property of the intervals.
    """
    data = bench.data
    held = [data.valid, data.test]
    x, y = torch.cat([rows.x for rows in held]), torch.cat([rows.y for rows in held])
    residual = (y - outputs_of(network, x))[:, 0].double().numpy()
    order = drawn(bench, "intervals", seed, len(x), len(x)).numpy()
    calibrate, judge = residual[order[: len(x) // 2]], np.abs(residual[order[len(x) // 2 :]])
    learned = (data.train.y - outputs_of(network, data.train.x))[:, 0].double().numpy()
    return np.array([[100.0 * np.mean(judge <= radius(part, c)) for c in _COVERAGES] for part in (calibrate, learned)])


def _shares(seed: int) -> LabData:
    """Return a share between 0 and 1 that comes close to both ends, as ``replace`` leaves it: not standardised."""
    rng = numpy_rng(seed, "shares")
    x = rng.normal(size=(700, 3))
    y = 1 / (1 + np.exp(-4 * x[:, 0] * x[:, 1] - 2 * x[:, 2]))
    data = made("shares", x, y, "regression")
    first, second = len(data.train), len(data.train) + len(data.valid)
    raw = torch.from_numpy(y.astype(np.float32)).reshape(-1, 1)
    parts = dict(zip(("train", "valid", "test"), torch.tensor_split(raw, [first, second]), strict=True))
    return with_parts(data, {part: Rows(data.part(part).x, values) for part, values in parts.items()})


def _bounded(bench: Bench, seeds: Sequence[int], range_: tuple[float, float]) -> dict[str, tuple[Floats, Floats]]:
    makes: tuple[Callable[[], nn.Module], ...] = (
        lambda: Bounded(bench.network(_HIDDEN, output="sigmoid"), *range_),
        lambda: bench.network(_HIDDEN),
    )
    out, scores = [], []
    for make in makes:
        runs = bench.train(make, seeds, epochs=_EPOCHS, lr=_RATE, watched={"test": bench.data.test})
        answers = [outputs_of(net, bench.data.test.x) for net in runs.networks]
        out.append(np.array([100.0 * float(((a < 0) | (a > 1)).double().mean()) for a in answers]))
        scores.append(bench.points(runs, "test"))
    return {"bounded": (out[0], out[1]), "bounded fits": (scores[0], scores[1])}


def _three(seed: int, related: bool) -> LabData:
    """Return rows with three targets: of one bent function each, or of wild functions that share nothing."""
    data = waves(700, seed=seed)
    noise = torch_rng(seed, "three")

    def targets(rows: Rows) -> Rows:
        one, extra = rows.y, 0.1 * torch.randn(len(rows), 2, generator=noise)
        if related:
            more = torch.cat([one.square() - 0.5, 0.5 * one + rows.x[:, :1]], dim=1) + extra
        else:
            more = torch.cat([300 * torch.sin(4 * rows.x[:, :1]), 300 * torch.cos(5 * rows.x[:, 1:])], dim=1)
        return Rows(rows.x, torch.cat([one, more], dim=1))

    return replace(with_parts(data, {p: targets(data.part(p)) for p in ("train", "valid", "test")}), outputs=3)


def _several(bench: Bench, seeds: Sequence[int]) -> tuple[Floats, Floats]:
    data = bench.data

    def single(target: int) -> LabData:
        rows = {part: data.part(part) for part in ("train", "valid", "test")}
        parts = {part: Rows(r.x, r.y[:, target : target + 1]) for part, r in rows.items()}
        return replace(with_parts(data, parts), outputs=1)

    def r2(networks: Sequence[nn.Module], test: Rows) -> Floats:
        """Return the mean over the targets of R², (S,)."""
        outputs = [outputs_of(net, test.x) for net in networks]
        each = [[score_of(out[:, t], test.y[:, t], "regression") for t in range(test.y.shape[1])] for out in outputs]
        return np.asarray(np.maximum(100.0 * np.array(each), -100.0).mean(axis=1))

    options: dict[str, Any] = {"epochs": _EPOCHS, "lr": _RATE}
    inputs = data.layout.in_features
    together = bench.train(partial(MLPNetwork, inputs, 3, _HIDDEN), seeds, watched={"test": data.test}, **options)
    alone = []
    for target in range(3):
        part = bench.on(single(target))
        runs = part.train(partial(MLPNetwork, inputs, 1, _HIDDEN), seeds, watched={"test": part.data.test}, **options)
        alone.append(r2(runs.networks, part.data.test))
    return r2(together.networks, data.test), np.mean(alone, axis=0)


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["beats linear"] == "refuted":
        return "A linear model does as well on this target: glia fit --network linear is simpler to explain."
    return "glia predict gives intervals with every value; they are calibrated on rows that were held out."


ask(Question(31, "Regression", "How well does a network predict quantities, and do its intervals mean what they say?",
             CLAIMS, measure, _advice))  # fmt: skip
