"""Question 33, transfer: what a network that knows another task gains when labels are few, and how to tune it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.seeds import numpy_rng, seeded
from glia.engine.rows import Rows
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.judging import points_of
from glia.lab.layer_rates import Stacked, joined, tune
from glia.lab.made_shapes import digits, shaped, with_inputs
from glia.lab.question import Claim, Findings, Question, Sweep, ask

Floats = NDArray[np.float64]

_HIDDEN, _EPOCHS, _RATE = (64, 32), 25, 5e-3
_LABELS, _FEW, _STEPS, _EVERY, _TUNE = (2, 5, 10, 40), 5, 120, 5, 3e-3
WAYS = ("from scratch", "frozen", "fine-tuned", "rates by layer", "unfreezing")
_POINTS = "points of accuracy (of 100)"

CLAIMS = (
    Claim(
        "few labels",
        "When labels are few, fine-tuning a network that learned a related task beats learning from scratch.",
        f"test accuracy with {_FEW} labels per class, fine-tuned minus from scratch",
        _POINTS,
        "higher",
        2.0,
        on="made",
    ),
    Claim(
        "faster",
        "It is faster, too: it sooner reaches the accuracy with which learning from scratch ends.",
        f"steps until then with {_LABELS[-1]} labels per class, fine-tuned minus from scratch",
        "steps",
        "lower",
        10.0,
        on="made",
    ),
    Claim(
        "gain falls",
        "What is gained falls as labels grow in number.",
        f"gain with {_LABELS[0]} labels per class minus gain with {_LABELS[-1]}",
        _POINTS,
        "higher",
        2.0,
        on="made",
    ),
    Claim(
        "frozen",
        "With so few labels, frozen features with a new last layer do as well as tuning all layers.",
        f"test accuracy with {_FEW} labels per class, frozen minus fine-tuned",
        _POINTS,
        "no lower",
        2.0,
        on="made",
    ),
    Claim(
        "rates by layer",
        "Lower rates for lower layers (discriminative rates) beat one rate for all.",
        f"test accuracy with {_FEW} labels per class, rates by layer minus one rate",
        _POINTS,
        "higher",
        0.5,
        on="made",
    ),
    Claim(
        "unfreezing",
        "Unfreezing layer after layer from the last one beats tuning all from the start.",
        f"test accuracy with {_FEW} labels per class, gradual minus all at once",
        _POINTS,
        "higher",
        0.5,
        on="made",
    ),
    Claim(
        "digits",
        "It holds of handwritten digits, too: who knows 0 to 4 learns 5 to 9 from fewer examples.",
        f"test accuracy with {_FEW} labels per class, fine-tuned minus from scratch",
        _POINTS,
        "higher",
        2.0,
        on="made",
    ),
    Claim(
        "domain",
        "Without any label, a network adapts to inputs from elsewhere by taking over their means and spreads.",
        "test accuracy on digits of another brightness, batch normalisation's statistics adapted minus as trained",
        _POINTS,
        "higher",
        5.0,
        on="made",
    ),
)


@dataclass(frozen=True)
class Tasks:
    """A task with many labels and a task with few, of rows that are alike, and rows from elsewhere.

    Parameters
    ----------
    source, target : LabData
        With classes; inputs (N, D).
    elsewhere : callable
        Makes inputs (N, D) of the source those of another domain.
    """

    source: LabData
    target: LabData
    elsewhere: Callable[[Tensor], Tensor]


def dimmer(x: Tensor) -> Tensor:
    """Return images with less contrast on a brighter ground."""
    return 0.4 * x + 0.8


def same_parts(seed: int, related: bool = True, rows: int = 2400) -> Tasks:
    """Return two tasks that are made of the same parts: whether inputs 1 and 2 have one sign, and 3 and 4, and 5 and 6.

    The one with many labels asks for all three parts at once (8 classes), the one with few for their majority. With
    ``related=False`` the first asks for other parts, of inputs that the second one does not use.
    """

    def draw(name: str, count: int) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
        x = numpy_rng(seed, name).normal(size=(count, 12))
        x += 0.5 * np.sign(x)
        return x, x[:, 0:6:2] * x[:, 1:6:2] > 0, x[:, 6::2] * x[:, 7::2] > 0

    x, mine, others = draw("many labels", rows)
    many = ((mine if related else others) * [1, 2, 4]).sum(axis=1)
    far, parts, _ = draw("few labels", rows // 2)
    target = shaped("the majority of three parts", far, (parts.sum(axis=1) >= 2).astype(float), "multiclass")
    return Tasks(shaped("three parts", x, many.astype(float), "multiclass"), target, dimmer)


def two_halves(seed: int, related: bool = True, elsewhere: Callable[[Tensor], Tensor] = dimmer) -> Tasks:
    """Return the digits 0 to 4 as the task with many labels and 5 to 9 as the one with few.

    With ``related=False`` the first one's labels are random: it teaches nothing that the second could use.
    """
    data = digits(seed, rows=1797, margin=0)
    x = torch.cat([part.x for part in (data.train, data.valid, data.test)]).flatten(1).double().numpy()
    y = torch.cat([part.y for part in (data.train, data.valid, data.test)]).numpy().astype(np.float64)
    low, high = y < 5, y >= 5
    label = y[low] if related else numpy_rng(seed, "no labels").permutation(y[low])
    source = shaped("digits 0 to 4", x[low], label, "multiclass")
    return Tasks(source, shaped("digits 5 to 9", x[high], y[high] - 5, "multiclass"), elsewhere)


def network(values: int, outputs: int, norm: bool = False) -> nn.Module:
    """Return a dense network with two hidden layers."""
    layers: list[nn.Module] = []
    for width in _HIDDEN:
        layers += [nn.Linear(values, width), *([nn.BatchNorm1d(width)] if norm else []), nn.ReLU()]
        values = width
    return nn.Sequential(*layers, nn.Linear(values, outputs))


def measure(bench: Bench, seeds: Sequence[int], tasks: Tasks | None = None, halves: Tasks | None = None) -> Findings:
    """Learn tasks with many labels, then those with few in five ways; adapt to inputs from elsewhere.

    ``tasks`` and ``halves`` stand in for the tasks of the same parts and for the halves of the digits.
    """
    tasks = same_parts(bench.number("q33")) if tasks is None else tasks
    halves = two_halves(bench.number("q33")) if halves is None else halves
    bench.say("the tasks with many labels")
    known = learned(bench.on(tasks.source), seeds)
    of_digits = taught(bench, seeds, learned(bench.on(halves.source), seeds), halves.target, _FEW)
    curves = {}
    for labels in _LABELS:
        bench.say(f"{labels} labels per class")
        curves[labels] = taught(bench, seeds, known, tasks.target, labels)
    ends = {way: np.stack([curves[labels][way][:, -1] for labels in _LABELS], axis=1) for way in WAYS}
    few = {way: ends[way][:, _LABELS.index(_FEW)] for way in WAYS}
    gain = ends["fine-tuned"] - ends["from scratch"]
    goal, many = few["from scratch"], curves[_LABELS[-1]]
    bench.say("inputs from elsewhere")
    pairs = {
        "few labels": (few["fine-tuned"], goal),
        "faster": tuple(steps_to(many[way], many["from scratch"][:, -1]) for way in ("fine-tuned", "from scratch")),
        "gain falls": (gain[:, 0], gain[:, -1]),
        "frozen": (few["frozen"], few["fine-tuned"]),
        "rates by layer": (few["rates by layer"], few["fine-tuned"]),
        "unfreezing": (few["unfreezing"], few["fine-tuned"]),
        "digits": (of_digits["fine-tuned"][:, -1], of_digits["from scratch"][:, -1]),
        "domain": adapted(bench.on(halves.source), seeds, halves.elsewhere),
    }
    names = {
        "few labels": ("fine-tuned", "from scratch"), "faster": ("fine-tuned", "from scratch"),
        "gain falls": (f"{_LABELS[0]} labels", f"{_LABELS[-1]} labels"), "frozen": ("frozen", "fine-tuned"),
        "rates by layer": ("by layer", "one rate"), "unfreezing": ("gradual", "at once"),
        "digits": ("fine-tuned", "from scratch"), "domain": ("adapted", "as trained"),
    }  # fmt: skip
    sweep = Sweep(
        "What is transfer worth with so many labels?", _LABELS, ends, "labels per class",
        f"test accuracy on {tasks.target.name} (%)", log_x=True,
    )  # fmt: skip
    note = (
        "Your data are one table without a related task: all claims are measured on made tasks and handwritten digits."
    )
    return Findings({key: (with_, without) for key, (with_, without) in pairs.items()}, names, (sweep,), notes=(note,))


def learned(bench: Bench, seeds: Sequence[int]) -> list[nn.Module]:
    """Return networks that have learned the bench's data."""
    make = partial(network, bench.data.layout.in_features, bench.outputs)
    return bench.train(make, seeds, epochs=_EPOCHS, lr=_RATE, batch_size=32, watched={}).networks


def taught(
    bench: Bench, seeds: Sequence[int], known: Sequence[nn.Module], target: LabData, labels: int
) -> Mapping[str, Floats]:
    """Return the test accuracy, of 100, of every way of learning the target on the way, (S, steps / 5) each."""
    fresh = []
    for seed in seeds:
        with seeded(bench.seed, "q33 fresh", seed):
            fresh.append(network(target.layout.in_features, target.outputs))
    new = Stacked.of(fresh)
    old = Stacked.of(known).with_head(new)
    stack = joined([new, old, old, old, old])  # the order of WAYS
    rows = torch.stack([few_rows(bench, seed, target.train, labels) for seed in seeds]).repeat(len(WAYS), 1)
    count, layers = len(seeds), len(_HIDDEN) + 1

    def rates(step: int) -> Tensor:
        each = torch.stack([torch.tensor(way) for way in by_layer(step, layers)])
        return _TUNE * each.repeat_interleave(count, dim=0)

    def watch(networks: Stacked) -> Floats:
        said = networks.answer(target.test.x).argmax(2)
        return np.asarray(100.0 * (said == target.test.y).double().mean(1).numpy())

    found = tune(stack, target.train.x[rows], target.train.y[rows], rates, _STEPS, watch, _EVERY)
    return {way: found[i * count : (i + 1) * count] for i, way in enumerate(WAYS)}


def by_layer(step: int, layers: int) -> list[list[float]]:
    """Return what each way multiplies the rate by, layer by layer, in a step: a list for each of ``WAYS``.

    Rates by layer fall by 2.6 from layer to layer, and unfreezing frees one more layer at a time, over the first half
    of the steps: both as in ULMFiT (arXiv 1801.06146).
    """
    free = 1 + step * 2 * layers // _STEPS
    all_, last = [1.0] * layers, [0.0] * (layers - 1) + [1.0]
    falling = [2.6 ** (i - layers + 1) for i in range(layers)]
    return [all_, last, all_, falling, [1.0 if i >= layers - free else 0.0 for i in range(layers)]]


def few_rows(bench: Bench, seed: int, train: Rows, labels: int) -> Tensor:
    """Return which rows a seed may see: so many of each class, or as many as there are, drawn again to be as many."""
    rng = numpy_rng(bench.number("q33 labels", seed))
    y = train.y.numpy()
    found = []
    for label in np.unique(y):
        where = rng.permutation(np.flatnonzero(y == label))
        found.append(np.resize(where, labels))
    return torch.from_numpy(np.concatenate(found))


def steps_to(curve: Floats, goal: Floats) -> Floats:
    """Return after how many steps each seed's accuracy (S, T) is at least its goal (S,)."""
    reached = curve >= goal[:, None]
    return np.where(reached.any(axis=1), (reached.argmax(axis=1) + 1.0) * _EVERY, float(_STEPS + _EVERY))


def adapted(bench: Bench, seeds: Sequence[int], elsewhere: Callable[[Tensor], Tensor]) -> tuple[Floats, Floats]:
    """Return test accuracies on inputs from elsewhere, with batch normalisation adapted to them and as trained.

    Only means and variances are taken anew, from inputs without labels (arXiv 1603.04779).
    """
    data = bench.data
    make = partial(network, data.layout.in_features, bench.outputs, True)
    networks = bench.train(make, seeds, epochs=_EPOCHS, lr=_RATE, batch_size=32, watched={}).networks
    moved = with_inputs(data, *(elsewhere(part.x) for part in (data.train, data.valid, data.test)))
    before = points_of(bench, networks, moved.test)
    return points_of(bench, [recentred(one, moved.train.x) for one in networks], moved.test), before


@torch.no_grad()
def recentred(trained: nn.Module, x: Tensor) -> nn.Module:
    """Return a copy whose batch normalisation has the means and variances of rows x."""
    copy = deepcopy(trained)
    for module in copy.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean over all batches
    copy.train()(x)
    return copy.eval()


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["few labels"] != "supported":
        return "Begin from scratch, unless you have a network for a closely related task."
    how = "a new last layer on frozen features is enough" if verdicts["frozen"] == "supported" else "tune all layers"
    return f"If you have a network for a related task and few labels for yours, begin with it: {how}."


ask(
    Question(
        33,
        "Transfer learning",
        "What is a network that knows a related task worth when labels are few?",
        CLAIMS,
        measure,
        _advice,
    )
)
