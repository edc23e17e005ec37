"""Question 35, interpretability: whether explanations name what a network leans on, and whether rules speak for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.seeds import numpy_rng, seeded
from glia.engine.rows import Rows
from glia.estimators.wrap import WrappedModule
from glia.explain import (
    AttributionResult,
    gradient_importance,
    input_x_gradient,
    integrated_gradients,
    lrp,
    permutation_importance,
    rules,
    saliency,
    surrogate_tree,
)
from glia.explain.activation_maximisation import activation_maximisation
from glia.explain.checks.ranks import rank_correlation
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.judging import loss_of, outputs_of
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.runs import score_of

Floats = NDArray[np.float64]
Explain = Callable[[WrappedModule, Tensor, Tensor], AttributionResult]
"""(network as a predictor, rows, the row that removed columns take their values from) → shares."""
_EPOCHS, _HIDDEN, _RATE, _ROWS, _EXPLAINED = 10, (32, 32), 3e-3, 1500, 300
_COMPARED = 100
_SHARES, _ORDERS, _SECOND, _LEVEL, _QUARTER = (0.1, 0.2, 0.3, 0.5), 6, 100_000, 90.0, 0.25
_POINTS = "points of the score (of 100)"
_REMOVED = "fall of the score without 10 to 50 % of the columns, the top-ranked minus random ones"


class LabPredictor(WrappedModule):
    """A network of the lab in the form that explanations take: rows are prepared already, columns keep their groups.

    Parameters
    ----------
    network : nn.Module
        As ``bench.network`` builds them.
    data : LabData
        What it was trained on.
    frame, rows : polars.DataFrame and Tensor, optional
        Raw rows and what they were prepared to: the one frame besides tensors that it takes.
    """

    def __init__(
        self, network: nn.Module, data: LabData, frame: pl.DataFrame | None = None, rows: Tensor | None = None
    ) -> None:
        groups = data.layout.groups() or {f"x{i}": (i,) for i in range(data.layout.in_features)}
        super().__init__(network, data.task, list(groups), None, None)
        self.layout_, self.groups, self._frame, self._rows = data.layout, groups, frame, rows
        holds = torch.zeros(len(groups), data.layout.in_features, dtype=torch.bool)
        for column, where in enumerate(groups.values()):
            holds[column, list(where)] = True
        self.holds = holds  # (C, D): positions of each column

    def prepare(self, X: Any) -> Tensor:
        """Return prepared rows as they are, and those that belong to the frame for that frame."""
        if self._rows is not None and X is self._frame:
            return self._rows
        if not isinstance(X, Tensor):
            raise InputError("the lab's networks take prepared rows", type(X).__name__, "hand in a tensor")
        return X


def answer_shares(predictor: WrappedModule, found: AttributionResult, x: Tensor) -> Floats:
    """Return the shares (N, C) in the output that a network answers with: of several, the largest of each row."""
    if not found.several:
        return found.values
    which = outputs_of(predictor.network_, x).argmax(1).numpy()
    return np.asarray(np.take_along_axis(found.values, which[:, None, None], axis=2)[..., 0])


LOCAL: dict[str, Explain] = {
    "saliency": lambda predictor, x, _: saliency(predictor, x),
    "input × gradient": lambda predictor, x, _: input_x_gradient(predictor, x),
    "integrated gradients": lambda predictor, x, fill: integrated_gradients(
        predictor, x, baseline=fill, tolerance=0.02, max_steps=32, precise=False
    ),
    "LRP": lambda predictor, x, _: lrp(predictor, x),
}
"""Methods that rank the columns of each row."""
GLOBAL = ("permutation importance", "gradient importance")
"""Methods that rank columns for all rows alike."""


def _removal_claim(name: str, words: str) -> Claim:
    return Claim(name, f"{words} hurts the prediction more than removing random ones.", _REMOVED, _POINTS, "higher",
                 0.5)  # fmt: skip


CLAIMS = (
    _removal_claim("saliency", "Removing the columns with the steepest gradients (saliency)"),
    _removal_claim("input × gradient", "Removing the columns with the largest input × gradient"),
    _removal_claim("integrated gradients", "Removing the columns with the largest integrated gradients"),
    _removal_claim("LRP", "Removing the columns with the most relevance (LRP)"),
    _removal_claim("permutation importance", "Removing the columns with the largest permutation importance"),
    _removal_claim("gradient importance", "Removing the columns with the largest gradient importance"),
    Claim("insertion", "A few columns, top-ranked by integrated gradients, predict better than as many random ones.",
          "score with 10 to 50 % of the columns, the top-ranked minus random ones", _POINTS, "higher", 0.5),
    Claim("activations", "The units whose activations vary most matter most.",
          "fall of the score with a quarter of the last hidden units held at their mean, the most varied minus random",
          _POINTS, "higher", 0.2),
    Claim("maximisation", "Activation maximisation finds inputs that an output likes better than any row.",
          "output at the found input, between what each column has, minus at the best of the training rows",
          "standard deviations of the output", "higher", 0.5),
    Claim("randomised", "Explanations speak of what was learned: those of a random network differ from the network's.",
          "rank correlation of columns with a random network, minus that with another one trained on the same",
          "points of rank correlation (of 100)", "lower", 5.0),
    Claim("tree", f"A tree of at most 5 questions says what the network says for {_LEVEL:.0f} % of unseen rows.",
          f"fidelity of a surrogate tree (R² of values) minus {_LEVEL:.0f}", "points of fidelity (of 100)", "no lower",
          0.5),
    Claim("rules", f"At most ten short rules say what the network says for {_LEVEL:.0f} % of unseen rows.",
          f"fidelity of extracted rules (of low, middle or high for values) minus {_LEVEL:.0f}",
          "points of fidelity (of 100)", "no lower", 0.5),
)  # fmt: skip


def measure(
    bench: Bench, seeds: Sequence[int], *, local: Mapping[str, Explain] | None = None, rows: int = _ROWS,
    explained: int = _EXPLAINED, epochs: int = _EPOCHS,
) -> Findings:  # fmt: skip
    """Train networks, rank their columns in six ways, and take columns and units away; the settings are for tests."""
    small = bench.on(bench.data.head(rows))
    data, ways = small.data, {**LOCAL, **(local or {})}
    bench.say("training")
    make = partial(small.network, _HIDDEN)
    runs = small.train(make, [*seeds, *(seed + _SECOND for seed in seeds)], watched={}, epochs=epochs, lr=_RATE,
                       batch_size=small.batch_size)  # fmt: skip
    test = data.test.take(torch.arange(min(explained, len(data.test))))
    fill = data.train.x.mean(0, keepdim=True)
    counts = _counts(LabPredictor(runs.networks[0], data))
    found: dict[str, list[tuple[float, float]]] = {claim.key: [] for claim in CLAIMS}
    curves: dict[str, list[Floats]] = {name: [] for name in (*ways, *GLOBAL, "random columns")}
    for place, seed in enumerate(seeds):
        bench.say(f"explaining, seed {seed + 1}")
        one, other = runs.networks[place], runs.networks[place + len(seeds)]
        if runs.failed[place] or runs.failed[place + len(seeds)]:
            _nothing(found, curves, len(counts))
            continue
        with seeded(bench.seed, "lab random network", seed):
            blank = make().eval()
        values = _shares(LabPredictor(one, data), ways, test.x, fill)
        some = test.x[:_COMPARED]
        others = [_shares(LabPredictor(net, data), ways, some, fill) for net in (blank, other)]
        found["randomised"].append(_alike(LabPredictor(one, data), values, others, some, fill))
        _removals(small, one, values, test, fill, counts, seed, found, curves)
        found["activations"].append(_units(small, one, test, seed))
        found["maximisation"].append(_maximised(LabPredictor(one, data), data.train.x))
        predictor, raw = _readable(one, data)
        number = bench.number("fidelity", seed) % 2**31
        found["tree"].append((_fidelity(partial(surrogate_tree, random_state=number), predictor, raw), _LEVEL))
        found["rules"].append((_fidelity(partial(rules, random_state=number), predictor, raw), _LEVEL))
    pairs = {key: (np.array([a for a, _ in each]), np.array([b for _, b in each])) for key, each in found.items()}
    width = LabPredictor(runs.networks[0], data).holds.shape[0]
    sweep = Sweep(
        "How fast does the score fall while top-ranked columns are removed?", [100.0 * k / width for k in counts],
        {name: np.stack(table) for name, table in curves.items()}, "columns removed (%)", f"{small.score_name} (%)",
    )  # fmt: skip
    note = "A removed column takes its mean over the training rows; rows may become unlike any that exist."
    return Findings(pairs, _names(), (sweep,), notes=(note,))


def _names() -> dict[str, tuple[str, str]]:
    names = dict.fromkeys((*LOCAL, *GLOBAL, "insertion"), ("top-ranked", "random"))
    names |= dict.fromkeys(("tree", "rules"), ("fidelity", f"{_LEVEL:.0f}"))
    names |= {"activations": ("most varied", "random"), "maximisation": ("found input", "best row")}
    return names | {"randomised": ("random network", "another trained one")}


def _nothing(found: dict[str, list[tuple[float, float]]], curves: dict[str, list[Floats]], counts: int) -> None:
    for pair in found.values():
        pair.append((math.nan, math.nan))
    for curve in curves.values():
        curve.append(np.full(counts, math.nan))


def _counts(predictor: LabPredictor) -> list[int]:
    """Return how many columns are removed; up to half of them, and at least one."""
    width = len(predictor.holds)
    return [max(1, round(share * width)) for share in _SHARES]


def _shares(predictor: LabPredictor, ways: Mapping[str, Explain], x: Tensor, fill: Tensor) -> dict[str, Floats]:
    """Return the size of every column's share for every row, (N, C), by method."""
    return {name: np.abs(answer_shares(predictor, way(predictor, x, fill), x)) for name, way in ways.items()}


def _alike(
    predictor: LabPredictor, own: Mapping[str, Floats], others: Sequence[Mapping[str, Floats]], x: Tensor, fill: Tensor
) -> tuple[float, float]:
    """Return rank correlations (of 100) with two other networks, means over methods and rows.

    Partial ones, given how far columns are from their mean: values that are multiplied by the input share that pattern
    whatever the network is.
    """
    moved = ((x - fill).abs() @ predictor.holds.T.float()).double().numpy()
    first, second = (
        [float(rank_correlation(own[name][: len(x)], one[name], moved).mean()) for name in own] for one in others
    )
    return 100.0 * float(np.mean(first)), 100.0 * float(np.mean(second))


def _removals(
    bench: Bench, network: nn.Module, values: Mapping[str, Floats], test: Rows, fill: Tensor, counts: Sequence[int],
    seed: int, found: dict[str, list[tuple[float, float]]], curves: dict[str, list[Floats]],
) -> None:  # fmt: skip
    """Add the pairs and the curves of one network's rankings."""
    predictor = LabPredictor(network, bench.data)
    width, rng = len(predictor.holds), numpy_rng(bench.number("random columns", seed))
    shape = (len(test), width)
    ranked = dict(values)
    for name, sizes in zip(GLOBAL, (_permuted(bench, predictor, seed), _sloped(bench, predictor, seed)), strict=True):
        ranked[name] = np.broadcast_to(sizes, shape)
    drawn = [rng.random(shape) for _ in range(_ORDERS)]
    score = partial(_score, bench, predictor, test, fill)
    whole = score(np.ones(shape), width)
    out = np.mean([[score(one, k, out=True) for k in counts] for one in drawn], axis=0)
    curves["random columns"].append(out)
    for name, sizes in ranked.items():
        curve = np.array([score(sizes, k, out=True) for k in counts])
        curves[name].append(curve)
        found[name].append((whole - float(curve.mean()), whole - float(out.mean())))
    into = [score(ranked["integrated gradients"], k) for k in counts]
    randomly = np.mean([[score(one, k) for k in counts] for one in drawn])
    found["insertion"].append((float(np.mean(into)), float(randomly)))


def _score(
    bench: Bench, predictor: LabPredictor, test: Rows, fill: Tensor, sizes: Floats, count: int, *, out: bool = False
) -> float:
    """Return the score (of 100) with the top ``count`` columns of each row kept, or with these taken out."""
    top = np.zeros(sizes.shape, dtype=bool)
    np.put_along_axis(top, np.argsort(-sizes, axis=1, kind="stable")[:, :count], True, axis=1)
    kept = torch.from_numpy(~top if out else top).float() @ predictor.holds.float() > 0.5
    return _points(bench, outputs_of(predictor.network_, torch.where(kept, test.x, fill)), test.y)


def _points(bench: Bench, output: Tensor, y: Tensor) -> float:
    return max(-100.0, 100.0 * score_of(output, y, bench.data.task))


def _permuted(bench: Bench, predictor: LabPredictor, seed: int) -> Floats:
    """Return how much the loss on validation rows rises when a column is shuffled, (C,).

    What is shuffled are row numbers: a column's positions are then those of the row with its number.
    """
    rows = bench.data.valid.take(torch.arange(min(_EXPLAINED, len(bench.data.valid))))
    names = list(predictor.feature_names)
    frame = pl.DataFrame({name: np.arange(len(rows)) for name in names})

    def predict(asked: pl.DataFrame) -> NDArray[Any]:
        mixed = torch.empty(asked.height, rows.x.shape[1])
        for name, where in predictor.groups.items():
            mixed[:, list(where)] = rows.x[torch.from_numpy(asked.get_column(name).to_numpy().copy())][:, list(where)]
        return outputs_of(predictor.network_, mixed).numpy()

    def loss(numbers: NDArray[Any], output: NDArray[Any]) -> float:
        return loss_of(torch.from_numpy(output), rows.take(torch.from_numpy(numbers)), bench.data.task)

    found = permutation_importance(
        predict, frame, np.arange(len(rows)), score=loss, greater_is_better=False, repeats=3,
        random_state=bench.number("permuted", seed) % 2**31,
    )  # fmt: skip
    sizes = {one.name: one.importance for one in found.columns}
    return np.array([sizes[name] for name in names])


def _sloped(bench: Bench, predictor: LabPredictor, seed: int) -> Floats:
    """Return gradient importance, (C,)."""
    x = bench.data.valid.x[:_EXPLAINED]
    if len(x) < 2:
        return np.zeros(len(predictor.holds))
    found = gradient_importance(predictor, x, random_state=bench.number("sloped", seed) % 2**31)
    sizes = dict(zip(found.names, found.values, strict=True))
    return np.array([sizes[name] for name in predictor.feature_names])


@torch.no_grad()
def _units(bench: Bench, network: Any, test: Rows, seed: int) -> tuple[float, float]:
    """Return the falls of the score with the most varied units, and with random ones, held at their means."""
    hidden: list[Tensor] = []
    handle = network.output.register_forward_pre_hook(lambda _, given: hidden.append(given[0]))
    outputs_of(network, bench.data.train.x)
    output = outputs_of(network, test.x)
    handle.remove()
    seen, now = hidden
    whole, mean = _points(bench, output, test.y), seen.mean(0)
    count = max(1, round(_QUARTER * seen.shape[1]))

    def fall(units: Tensor) -> float:
        held = now.clone()
        held[:, units] = mean[units]
        return whole - _points(bench, network.output(held), test.y)

    rng = numpy_rng(bench.number("random units", seed))
    randomly = [fall(torch.from_numpy(rng.permutation(seen.shape[1])[:count])) for _ in range(4 * _ORDERS)]
    return fall(seen.std(0).argsort(descending=True)[:count]), float(np.mean(randomly))


def _maximised(predictor: LabPredictor, x: Tensor) -> tuple[float, float]:
    """Return the first output at the input it likes best and at the row it likes best, in its standard deviations."""
    found = activation_maximisation(predictor, x, within="box", starts=2, steps=40)
    with torch.no_grad():
        spread = max(float(predictor.forward(x)[:, 0].std()), 1e-12)
    return float(found.values[0]) / spread, found.best_value / spread


def _readable(network: nn.Module, data: LabData) -> tuple[LabPredictor, Any]:
    """Return a predictor of rows as people read them, where the data have such, and those rows."""
    x = torch.cat([data.train.x, data.valid.x, data.test.x])
    if not data.frames:
        return LabPredictor(network, data), x
    frame = pl.concat([data.frames["train"][: len(data.train)], data.frames["valid"], data.frames["test"]])
    return LabPredictor(network, data, frame, x), frame


def _fidelity(explain: Callable[..., Any], predictor: LabPredictor, rows: Any) -> float:
    """Return the fidelity (of 100, at least −100); NaN where the network gives one answer for all or rows are few."""
    try:
        return max(-100.0, 100.0 * float(explain(predictor, rows).fidelity.value))
    except InputError:
        return math.nan


def _advice(verdicts: Mapping[str, str]) -> str:
    good = [name for name in (*LOCAL, *GLOBAL) if verdicts[name] == "supported"]
    said = (
        f"Rankings that name what your network leans on: {', '.join(good)}."
        if good
        else "No ranking of columns did better than chance here: do not read importance off this network."
    )
    simple = [name for name, key in (("rules", "rules"), ("surrogate_tree", "tree")) if verdicts[key] == "supported"]
    if simple:
        return f"{said} Its answers fit into a few lines: see glia.explain.{simple[0]}."
    return f"{said} Rules and trees of this size are too coarse to stand for the network."


ask(Question(35, "Interpretability", "Do explanations name what the network leans on, and do rules speak for it?",
             CLAIMS, measure, _advice))  # fmt: skip
