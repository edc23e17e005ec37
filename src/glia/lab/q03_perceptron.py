"""Question 3, the perceptron: finitely many mistakes where a plane parts the classes, no end where none does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.recast import arrays, as_classes
from glia.nn.perceptron_multiclass import multiclass_perceptron_rule
from glia.nn.perceptron_rule import PerceptronFit, mistake_bound, perceptron_rule

Floats = NDArray[np.float64]
Learn = Callable[..., PerceptronFit]

_PASSES, _YOURS, _ROWS, _MARGINS = 300, 40, 800, (0.4, 0.2, 0.1, 0.05)
_POINTS = "points of accuracy (of 100)"

CLAIMS = (
    Claim(
        "bound",
        "Where a plane parts the classes, the perceptron makes at most (R/margin)² mistakes.",
        "mistakes until it settles, minus the bound",
        "% of the bound",
        "no higher",
        on="made",
    ),
    Claim(
        "settles",
        "Where a plane parts the classes, the perceptron settles after finitely many passes.",
        f"passes until one is faultless, minus the {_PASSES} that it was given",
        "passes",
        "lower",
        1.0,
        on="made",
    ),
    Claim(
        "exclusive or",
        "On exclusive or, which no line parts, the perceptron never settles.",
        f"mistakes in the last of {_PASSES} passes, minus none",
        "mistakes in a hundred rows",
        "higher",
        1.0,
        on="made",
    ),
    Claim(
        "yours not parted",
        "Real classes are not parted by a plane: on your rows the perceptron does not settle.",
        f"mistakes in the last of {_YOURS} passes, minus none",
        "mistakes in a hundred rows",
        "higher",
        0.5,
    ),
    Claim(
        "yours best kept",
        "Where it does not settle, keeping the best weights of all passes (the pocket) beats keeping the last.",
        "test accuracy of the best weights minus that of the last",
        _POINTS,
        "higher",
        0.5,
    ),
)


def parted(rows: int, margin: float, seed: int, features: int = 5) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Return rows that a plane parts with a margin, their classes 0 and 1, and the plane with its bias last."""
    rng = numpy_rng(seed, "parted")
    plane = rng.normal(size=features)
    plane /= np.linalg.norm(plane)
    x = rng.normal(size=(rows, features))
    side = np.where(x @ plane > 0, 1.0, -1.0)
    x += side[:, None] * margin * plane
    return x, (side > 0).astype(np.int64), np.append(plane, 0.0)


def corners(rows: int, seed: int, noise: float = 0.1) -> tuple[Floats, NDArray[np.int64]]:
    """Return rows around the four corners of a square, as many at each, with the classes of exclusive or."""
    rng = numpy_rng(seed, "corners")
    corner = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[np.arange(rows) % 4]
    return corner * 2.0 - 1 + noise * rng.normal(size=(rows, 2)), (corner[:, 0] ^ corner[:, 1]).astype(np.int64)


def measure(bench: Bench, seeds: Sequence[int]) -> Findings:
    """Let the rule learn rows of four margins, exclusive or, and the user's rows."""
    bench.say("rows that a plane parts")
    shares, passes = parted_figures(bench, seeds)
    bench.say("exclusive or")
    never = [last_mistakes(*corners(200, bench.number("q03", seed)), seed) for seed in seeds]
    bench.say("your rows")
    wrong, best, last = yours(as_classes(bench.data), bench, seeds)
    zero, all_of = np.zeros(len(seeds)), np.full(len(seeds), 100.0)
    sweep = Sweep(
        "How much of its bound does the perceptron use?",
        _MARGINS,
        {"mistakes": shares, "bound": np.full_like(shares, 100.0)},
        "margin, in units of the inputs' spread",
        "mistakes (% of the bound)",
        log_x=True,
    )
    return Findings(
        {
            "bound": (shares.max(axis=1), all_of),
            "settles": (passes.max(axis=1), np.full(len(seeds), float(_PASSES))),
            "exclusive or": (np.array(never), zero),
            "yours not parted": (wrong, zero),
            "yours best kept": (best, last),
        },
        names={
            "bound": ("mistakes", "bound"),
            "settles": ("needed", "given"),
            "exclusive or": ("last pass", "none"),
            "yours not parted": ("last pass", "none"),
            "yours best kept": ("best weights", "last weights"),
        },
        sweeps=(sweep,),
    )


def parted_figures(bench: Bench, seeds: Sequence[int], learn: Learn = perceptron_rule) -> tuple[Floats, Floats]:
    """Return mistakes as % of the bound, and passes, for every seed and margin: both (S, margins)."""
    shares, passes = np.empty((len(seeds), len(_MARGINS))), np.empty((len(seeds), len(_MARGINS)))
    for i, seed in enumerate(seeds):
        for j, margin in enumerate(_MARGINS):
            x, y, plane = parted(200, margin, bench.number("q03", seed))
            fit = learn(x, y, max_epochs=_PASSES, random_state=seed)
            shares[i, j] = 100.0 * fit.mistakes / mistake_bound(x, y, plane)
            passes[i, j] = fit.epochs
    return shares, passes


def last_mistakes(x: Floats, y: NDArray[np.int64], seed: int, passes: int = _PASSES) -> float:
    """Return the mistakes of the last pass, in a hundred rows; 0 where the rule settled before."""
    fit = perceptron_rule(x, y, max_epochs=passes, random_state=seed)
    return 100.0 * fit.mistakes_per_epoch[-1] / len(x)


def yours(data: LabData, bench: Bench, seeds: Sequence[int]) -> tuple[Floats, Floats, Floats]:
    """Return, for every seed, mistakes of the last pass (of 100 rows), and test accuracy of best and last weights."""
    x, y = arrays(data.train)
    test_x, test_y = arrays(data.test)
    classes = max(int(y.max()), int(test_y.max()), 1) + 1
    found = []
    for seed in seeds:
        mine = numpy_rng(bench.number("q03 rows", seed)).permutation(len(x))[: min(_ROWS, max(1, int(0.8 * len(x))))]
        kept = []
        for keep_best in (True, False):
            fit = multiclass_perceptron_rule(
                x[mine], y[mine], classes, max_epochs=_YOURS, random_state=seed, keep_best=keep_best
            )
            kept.append(100.0 * float(np.mean((test_x @ fit.weights.T + fit.bias).argmax(axis=1) == test_y)))
        found.append((100.0 * fit.mistakes_per_epoch[-1] / len(mine), *kept))
    wrong, best, last = np.array(found).T
    return wrong, best, last


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["yours not parted"] == "refuted":
        return "A plane parts your classes: a perceptron, or any linear model, is enough."
    if verdicts["yours not parted"] == "undecided":
        return "Whether a plane parts your classes takes more seeds; glia fit ends in any case."
    kept = "keep its best weights, not its last, and " if verdicts["yours best kept"] == "supported" else ""
    return f"No plane parts your classes, so that the perceptron has no end: {kept}prefer glia fit."


ask(
    Question(
        3,
        "Perceptron",
        "Does the perceptron settle within its bound, and does it settle on this data?",
        CLAIMS,
        measure,
        _advice,
    )
)
