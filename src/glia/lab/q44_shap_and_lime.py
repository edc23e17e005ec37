"""Question 44, SHAP and LIME: what adds up, what is found, what is stable, and which axioms hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

from glia.core.seeds import numpy_rng
from glia.explain import AttributionResult, lime, shap
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.judging import drawn
from glia.lab.made import made
from glia.lab.q35_interpretability import LabPredictor, answer_shares
from glia.lab.question import Claim, Findings, Question, Sweep, ask

Floats = NDArray[np.float64]
Explain = Callable[..., AttributionResult]
_EPOCHS, _HIDDEN, _RATE, _ROWS, _EXPLAINED, _BACK = 12, (32, 32), 3e-3, 1500, 10, 12
_PLANTED, _COLUMNS, _MADE_ROWS = (1, 4, 6), 10, 700
_BUDGETS, _FEW, _MANY = (40, 80, 160, 320, 640), 40, 400
_KNOWN = 100
_NIL, _PERCENT = 0.01, "% of the mean size of shares"

CLAIMS = (
    Claim("sums", "Shapley values add up to the prediction.",
          "largest gap between the answer and the mean answer plus all shares, minus what rounding may do",
          "% of the spread of answers", "lower"),
    Claim("LIME sums", "LIME's shares do not add up to the prediction.",
          "largest gap between the answer and its explanation, LIME minus Shapley values", "% of the spread of answers",
          "higher", 1.0),
    Claim("SHAP finds", "Shapley values find the columns that were planted.",
          "planted columns among as many top-ranked ones, minus among random ones", "points (of 100)", "higher", 10.0,
          on="made"),
    Claim("LIME finds", "LIME finds the columns that were planted.",
          "planted columns among as many top-ranked ones, minus among random ones", "points (of 100)", "higher", 10.0,
          on="made"),
    Claim("agree", "On your data LIME ranks the columns as Shapley values do.",
          "rank correlation of columns between the two, minus that with a random order",
          "points of rank correlation (of 100)", "higher", 20.0),
    Claim("kernel", "KernelSHAP comes closer to the exact values the more coalitions it asks for.",
          f"error with {_BUDGETS[-1]} coalitions minus with {_BUDGETS[0]}", _PERCENT, "lower", 1.0, on="made"),
    Claim("permutation", "Values from random orders come closer to the exact ones the more orders are walked.",
          f"error with {_BUDGETS[-1]} coalitions minus with {_BUDGETS[0]}", _PERCENT, "lower", 1.0, on="made"),
    Claim("LIME repeats", "LIME gives another answer when it is asked again, more so than sampled Shapley values.",
          "difference between two repeats at equally many answers of the network, LIME minus Shapley values", _PERCENT,
          "higher", 1.0),
    Claim("LIME samples", "More neighbours make LIME's answers steadier.",
          f"difference between two repeats with {_MANY} neighbours minus with {_FEW}", _PERCENT, "lower", 1.0,
          on="made"),
    Claim("symmetry", "Columns that a network treats alike get equal Shapley values.",
          "difference of two such columns minus what rounding may do", _PERCENT, "lower", on="made"),
    Claim("dummy", "A column that a network ignores gets a Shapley value of 0.",
          "size of its share minus what rounding may do", _PERCENT, "lower", on="made"),
    Claim("LIME dummy", "LIME gives shares to columns that a network ignores.",
          f"size of such a share with {_FEW} neighbours, minus that of its Shapley value", _PERCENT, "higher", 0.1,
          on="made"),
)  # fmt: skip


def planted(seed: int = 0, where: Sequence[int] = _PLANTED, rows: int = _MADE_ROWS) -> LabData:
    """Return ten columns of which three matter: one alone, and two by their product."""
    rng = numpy_rng(seed, "planted columns")
    x = rng.normal(size=(rows, _COLUMNS))
    alone, left, right = (x[:, i] for i in where)
    y = np.tanh(1.5 * alone) + alone + left * right + 0.5 * left + 0.1 * rng.normal(size=rows)
    return made("three columns of ten", x, y, "regression")


def measure(
    bench: Bench, seeds: Sequence[int], *, shapley: Explain = shap, local: Explain = lime,
    where: Sequence[int] = _PLANTED, hidden: Sequence[int] = _HIDDEN, tied: bool = True, epochs: int = _EPOCHS,
) -> Findings:  # fmt: skip
    """Explain networks on the user's and on made data; all settings are for tests.

    ``shapley`` and ``local`` are the two explanations, ``where`` is where columns are planted (they are looked for
    where they always are), ``tied`` is whether symmetric and ignored columns are so indeed.
    """
    bench.say("training")
    yours = bench.on(bench.data.head(_ROWS))
    made_ = bench.on(planted(bench.number("planted") % 2**31, where))
    runs = [one.train(partial(one.network, tuple(hidden)), seeds, watched={}, epochs=times * epochs, lr=_RATE,
                      batch_size=one.batch_size) for one, times in ((yours, 1), (made_, 3))]  # fmt: skip
    found: dict[str, list[tuple[float, float]]] = {claim.key: [] for claim in CLAIMS}
    curves: dict[str, list[Floats]] = {"kernel": [], "permutation": []}
    for place, seed in enumerate(seeds):
        bench.say(f"explaining, seed {seed + 1}")
        own, other = (part.networks[place] for part in runs)
        here = dict.fromkeys(found, (math.nan, math.nan))  # of a network that diverged nothing can be explained
        errors = dict.fromkeys(curves, np.full(len(_BUDGETS), math.nan))
        if not runs[0].failed[place]:
            here |= _on_yours(yours, own, seed, shapley, local)
        if not runs[1].failed[place]:
            exact = _exact(made_, other, seed, shapley)
            here |= _on_made(made_, other, seed, exact, local) | _axioms(made_, other, seed, shapley, local, tied)
            errors = _converging(made_, other, seed, exact)
            here |= {name: (float(curve[-1]), float(curve[0])) for name, curve in errors.items()}
        for name, curve in errors.items():
            curves[name].append(curve)
        for key, pair in here.items():
            found[key].append(pair)
    pairs = {key: (np.array([a for a, _ in each]), np.array([b for _, b in each])) for key, each in found.items()}
    lines = {name: np.stack(table) for name, table in curves.items()}
    sweep = Sweep("How many coalitions are enough for Shapley values of ten columns?", _BUDGETS,
                  {"KernelSHAP": lines["kernel"], "random orders": lines["permutation"]},
                  "coalitions per background row", f"error ({_PERCENT})", log_x=True)  # fmt: skip
    note = f"Shapley values stand against {_BACK} background rows at most; with others they would be other values."
    return Findings(pairs, _names(), (sweep,), notes=(note,))


def _names() -> dict[str, tuple[str, str]]:
    names = dict.fromkeys(("LIME sums", "LIME repeats", "LIME dummy"), ("LIME", "Shapley values"))
    names |= dict.fromkeys(("sums", "symmetry", "dummy"), ("gap", "rounding"))
    names |= dict.fromkeys(("SHAP finds", "LIME finds", "agree"), ("ranked", "random"))
    names |= dict.fromkeys(("kernel", "permutation"), ("many coalitions", "few"))
    return names | {"LIME samples": ("many neighbours", "few")}


def _on_yours(
    bench: Bench, network: nn.Module, seed: int, shapley: Explain, local: Explain
) -> dict[str, tuple[float, float]]:
    predictor, data = LabPredictor(network, bench.data), bench.data
    width = len(predictor.holds)
    x = data.test.x[drawn(bench, "explained", seed, len(data.test), _EXPLAINED)]
    backs = max(2, min(_BACK, 2000 // width))
    back = data.train.x[drawn(bench, "background", seed, len(data.train), backs)]
    numbers = [bench.number("explaining", seed, i) % 2**31 for i in (0, 1)]
    one, two = (shapley(predictor, x, background=back, method="permutation", evaluations=backs * 4 * width,
                        random_state=number) for number in numbers)  # fmt: skip
    spent = max(_FEW, round(one.evaluations / len(x)))
    # LIME's background is the same in both: only its neighbours are to differ.
    near, again = (local(predictor, x, background=data.train.x[:_KNOWN], samples=max(10, spent // 2), repeats=2,
                         random_state=number) for number in numbers)  # fmt: skip
    with torch.no_grad():
        full, mean = predictor.forward(x).double().numpy(), predictor.forward(back).double().mean(0).numpy()
        spread = float(predictor.forward(data.test.x).double().std(0).mean())
    whole = np.squeeze(mean, 0) if len(mean) == 1 else mean
    full = full[:, 0] if full.shape[1] == 1 else full
    gap = 100.0 * float(np.abs(full - whole - one.values.sum(axis=1)).max()) / max(spread, 1e-12)
    base = 0.0 if near.base is None else near.base
    lime_gap = 100.0 * float(np.abs(full - base - near.values.sum(axis=1)).max()) / max(spread, 1e-12)
    sizes = [np.abs(answer_shares(predictor, found, x)) for found in (one, near)]
    order = numpy_rng(bench.number("random order", seed)).random((20, width))
    return {
        "sums": (gap, _NIL),
        "LIME sums": (lime_gap, gap),
        "agree": (_rank(*(part.mean(axis=0) for part in sizes)),
                  float(np.mean([_rank(sizes[0].mean(axis=0), other) for other in order]))),
        "LIME repeats": (_apart(near.values, again.values), _apart(one.values, two.values)),
    }  # fmt: skip


def _exact(bench: Bench, network: nn.Module, seed: int, shapley: Explain) -> Floats:
    predictor, x, back = _rows(bench, network, seed)
    return shapley(predictor, x, background=back, method="exact").values


def _on_made(
    bench: Bench, network: nn.Module, seed: int, exact: Floats, local: Explain
) -> dict[str, tuple[float, float]]:
    predictor, x, _ = _rows(bench, network, seed)
    numbers = [bench.number("made", seed, i) % 2**31 for i in (0, 1)]
    many = [local(predictor, x, background=bench.data.train.x[:_KNOWN], samples=_MANY, repeats=2, random_state=n)
            for n in numbers]  # fmt: skip
    few = [local(predictor, x, background=bench.data.train.x[:_KNOWN], samples=_FEW, repeats=2, random_state=n)
           for n in numbers]  # fmt: skip
    chance = 100.0 * len(_PLANTED) / _COLUMNS
    return {
        "SHAP finds": (_hits(exact), chance),
        "LIME finds": (_hits(many[0].values), chance),
        "LIME samples": (_apart(*(one.values for one in many)), _apart(*(one.values for one in few))),
    }


def _rows(bench: Bench, network: nn.Module, seed: int) -> tuple[LabPredictor, Tensor, Tensor]:
    data = bench.data
    x = data.test.x[drawn(bench, "explained", seed, len(data.test), _EXPLAINED)]
    back = data.train.x[drawn(bench, "background", seed, len(data.train), _BACK)]
    return LabPredictor(network, data), x, back


def _converging(bench: Bench, network: nn.Module, seed: int, exact: Floats) -> dict[str, Floats]:
    """Return errors (of 100 of the exact values' mean size) by the number of coalitions, (L,), of both estimates."""
    predictor, x, back = _rows(bench, network, seed)
    size = max(float(np.abs(exact).mean()), 1e-12)

    def error(method: str, coalitions: int) -> float:
        found = shap(predictor, x, background=back, method=method, evaluations=coalitions * len(back),
                     random_state=bench.number(method, seed, coalitions) % 2**31)  # fmt: skip
        return 100.0 * float(np.sqrt(np.mean((found.values - exact) ** 2))) / size

    return {name: np.array([error(name, count) for count in _BUDGETS]) for name in ("kernel", "permutation")}


def _axioms(
    bench: Bench, network: nn.Module, seed: int, shapley: Explain, local: Explain, tied: bool
) -> dict[str, tuple[float, float]]:
    """Check a copy of the network whose first two columns are treated alike and whose third is ignored.

    Of every background row there is one more with the first two columns exchanged, and rows have equal values in both:
    only then does each of them add the same to every coalition.
    """
    predictor, x, back = _rows(bench, Axiomatic(network, tied), seed)
    x = x.clone()
    x[:, 1] = x[:, 0]
    swapped = back.clone()
    swapped[:, [0, 1]] = back[:, [1, 0]]
    exact = shapley(predictor, x, background=torch.cat([back, swapped]), method="exact").values
    near = local(predictor, x, background=bench.data.train.x[:_KNOWN], samples=_FEW, repeats=2,
                 random_state=bench.number("axioms", seed) % 2**31).values  # fmt: skip
    size, size_near = (max(float(np.abs(values).mean()), 1e-12) / 100.0 for values in (exact, near))
    ignored = float(np.abs(exact[:, 2]).max()) / size
    return {
        "symmetry": (float(np.abs(exact[:, 0] - exact[:, 1]).max()) / size, _NIL),
        "dummy": (ignored, _NIL),
        "LIME dummy": (float(np.abs(near[:, 2]).mean()) / size_near, ignored),
    }


class Axiomatic(nn.Module):
    """A network that sees, where it is tied, the sum of its first two columns in their places and not its third."""

    def __init__(self, network: nn.Module, tied: bool) -> None:
        super().__init__()
        self.network, self.tied = network, tied

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, O) for rows (B, D)."""
        if self.tied:
            both = x[:, :1] + x[:, 1:2]
            x = torch.cat([both, both, torch.zeros_like(both), x[:, 3:]], dim=1)
        answer: Tensor = self.network(x)
        return answer


def _hits(values: Floats) -> float:
    """Return how many of the planted columns are among as many top-ranked ones, of 100."""
    top = np.argsort(-np.abs(values).mean(axis=0), kind="stable")[: len(_PLANTED)]
    return 100.0 * len(set(top.tolist()) & set(_PLANTED)) / len(_PLANTED)


def _apart(one: Floats, other: Floats) -> float:
    """Return the mean difference of two explanations, of 100 of their mean size."""
    return 100.0 * float(np.abs(one - other).mean()) / max(float((np.abs(one) + np.abs(other)).mean()) / 2, 1e-12)


def _rank(a: Floats, b: Floats) -> float:
    """Return Spearman's correlation, of 100; 0 where there is no order."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    found: Any = spearmanr(a, b)
    return 100.0 * float(found.statistic)


def _advice(verdicts: Mapping[str, str]) -> str:
    said = (
        "SHAP and LIME agree on which columns matter here."
        if verdicts["agree"] == "supported"
        else "SHAP and LIME need not agree here: read one with the other beside it."
    )
    if verdicts["LIME repeats"] == "supported":
        return f"{said} LIME gives another answer each time: ask for more samples, or take glia explain --method shap."
    return said


ask(Question(44, "SHAP and LIME", "Do explanations by SHAP and LIME add up, find what matters, and stay the same?",
             CLAIMS, measure, _advice))  # fmt: skip
