"""Question 26, recurrent networks: where order carries the answer, in both directions, at every step, at any length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.seeds import numpy_rng
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.judging import points_of
from glia.lab.made_shapes import shaped
from glia.lab.question import Claim, Findings, Question, Sweep, ask

Floats = NDArray[np.float64]
Data = Callable[[int], LabData]

_STEPS, _ROWS, _EPOCHS, _RATE, _BATCH, _HIDDEN = 10, 600, 12, 1e-2, 32, 16
_LENGTHS = (5, 10, 20)
_POINTS, _R2 = "points of accuracy (of 100)", "points of R² (of 100)"

CLAIMS = (
    Claim(
        "order matters",
        "Where the order of steps carries the label, a recurrent network beats one that sees a bag of steps.",
        "which of two events comes first: test accuracy, recurrent minus bag",
        _POINTS,
        "higher",
        5.0,
        on="made",
    ),
    Claim(
        "bag is enough",
        "Where only what occurs matters and not when, a bag of steps does as well.",
        "which of two events occurs more often: test accuracy, bag minus recurrent",
        _POINTS,
        "no lower",
        2.0,
        on="made",
    ),
    Claim(
        "gru",
        "A GRU does as well as an LSTM, with three quarters of its weights.",
        "which of two events comes first: test accuracy, GRU minus LSTM",
        _POINTS,
        "no lower",
        2.0,
        on="made",
    ),
    Claim(
        "every step",
        "An answer at every step (many to many) is better from a state than from the step alone.",
        "sum of the steps before and after: R² at all steps, recurrent minus step by step",
        _R2,
        "higher",
        5.0,
        on="made",
    ),
    Claim(
        "both directions",
        "Where what comes later matters, too, a network that reads both ways is better.",
        "sum of the steps before and after: R² at all steps, both ways minus forwards",
        _R2,
        "higher",
        5.0,
        on="made",
    ),
    Claim(
        "variable length",
        "Sequences of unequal length are better read to their own end than to the end of their padding.",
        "test accuracy, answered at the own end minus after the padding",
        _POINTS,
        "higher",
        2.0,
        on="made",
    ),
)


class Recurrent(nn.Module):
    """A recurrent layer (Elman network, GRU or LSTM) over sequences (B, T, F) with a linear answer.

    Parameters
    ----------
    kind : {"rnn", "gru", "lstm"}
        The cell. Elman (1990), *Cognitive Science* 14(2); the GRU is arXiv 1406.1078.
    features, outputs, hidden : int
        Widths.
    both : bool
        Whether it is read in both directions.
    every : bool
        Whether there is an answer at every step, (B, T), of one value; else one at the end, (B, O).
    own_end : bool
        Whether the last feature says which steps are real (1) or padding (0), and the answer comes after the last one
        that is.
    """

    def __init__(
        self, kind: str, features: int, outputs: int, *, hidden: int = _HIDDEN, both: bool = False, every: bool = False,
        own_end: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        cells: dict[str, type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
        self.cell = cells[kind](features, hidden, batch_first=True, bidirectional=both)
        self.head = nn.Linear(hidden * (2 if both else 1), 1 if every else outputs)
        self.every, self.own_end = every, own_end

    def forward(self, x: Tensor) -> Tensor:
        """Return the answers."""
        states = self.cell(x)[0]
        if self.every:
            found: Tensor = self.head(states)[..., 0]
            return found
        if self.own_end:
            last = x[..., -1].sum(1).long().clamp_min(1) - 1
            at: Tensor = self.head(states[torch.arange(len(x)), last])
            return at
        end: Tensor = self.head(states[:, -1])
        return end


class Bag(nn.Module):
    """Each step by itself through a hidden layer: then the mean over steps, or with ``every`` an answer for each."""

    def __init__(self, features: int, outputs: int, hidden: int = _HIDDEN, *, every: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(features, hidden), nn.ReLU())
        self.head, self.every = nn.Linear(hidden, 1 if every else outputs), every

    def forward(self, x: Tensor) -> Tensor:
        """Return answers (B, O), or (B, T)."""
        steps = self.body(x)
        found: Tensor = self.head(steps)[..., 0] if self.every else self.head(steps.mean(1))
        return found


def first_of_two(seed: int, steps: int = _STEPS, rows: int = _ROWS) -> LabData:
    """Return sequences (T, 2) in which two events happen once each; the class is which of them comes first."""
    rng = numpy_rng(seed, "first of two")
    x = 0.2 * rng.normal(size=(rows, steps, 2))
    places = np.argsort(rng.random((rows, steps)), axis=1)[:, :2]
    for event in (0, 1):
        x[np.arange(rows), places[:, event], event] += 1.5
    return shaped("which event comes first", x, (places[:, 0] < places[:, 1]).astype(float), "binary")


def more_often(seed: int, steps: int = _STEPS, rows: int = _ROWS) -> LabData:
    """Return sequences (T, 2) in which two events happen at random steps; the class is which happens more often."""
    rng = numpy_rng(seed, "more often")
    label = rng.integers(0, 2, rows)
    x = 0.2 * rng.normal(size=(rows, steps, 2))
    for event in (0, 1):
        times = np.where(label == event, 4, 1)
        order = np.argsort(np.argsort(rng.random((rows, steps)), axis=1), axis=1)
        x[:, :, event] += 1.5 * (order < times[:, None])
    return shaped("which event is more frequent", x, label.astype(float), "binary")


def both_sides(seed: int, steps: int = _STEPS, rows: int = 400, alone: bool = False) -> LabData:
    """Return noise (T, 1) and at every step the sum of the steps before and after; ``alone``: the step itself."""
    rng = numpy_rng(seed, "both sides")
    x = rng.normal(size=(rows, steps + 2))
    y = x[:, 1:-1] if alone else x[:, :-2] + x[:, 2:]
    whole = np.stack([x[:, 1:-1]], axis=2)
    if not alone:  # what lies outside of the sequence counts as 0
        y[:, 0] -= x[:, 0]
        y[:, -1] -= x[:, -1]
    return shaped("neighbours in time", whole, y.astype(float), "regression")


def unequal(seed: int, steps: int = 2 * _STEPS, rows: int = _ROWS, shortest: int = 3) -> LabData:
    """Return sequences (T, 2) of unequal length, padded by zeros; the class is the sign of the last real value.

    The second feature is 1 where a step is real.
    """
    rng = numpy_rng(seed, "unequal")
    lengths = rng.integers(shortest, steps + 1, rows)
    real = np.arange(steps) < lengths[:, None]
    values = np.where(real, rng.normal(size=(rows, steps)), 0.0)
    label = values[np.arange(rows), lengths - 1] > 0
    return shaped("sequences of unequal length", np.stack([values, real], axis=2), label.astype(float), "binary")


MADE: Mapping[str, Data] = {
    "order": first_of_two,
    "counts": more_often,
    "sides": both_sides,
    "lengths": unequal,
}


def measure(bench: Bench, seeds: Sequence[int], data: Mapping[str, Data] = MADE) -> Findings:
    """Train recurrent networks and their rivals on four kinds of made sequences.

    ``data`` makes them from a seed.
    """
    at = {name: bench.on(make(bench.number("q26", name))) for name, make in data.items()}

    def points(name: str, kind: str, **options: bool) -> Floats:
        bench.say(f"{name}, {kind}")
        return trained(at[name], seeds, kind, **options)

    pairs = {
        "order matters": (points("order", "rnn"), points("order", "bag")),
        "bag is enough": (points("counts", "bag"), points("counts", "rnn")),
        "gru": (points("order", "gru"), points("order", "lstm")),
        "every step": (forward := points("sides", "rnn", every=True), points("sides", "bag", every=True)),
        "both directions": (points("sides", "rnn", every=True, both=True), forward),
        "variable length": (points("lengths", "rnn", own_end=True), points("lengths", "rnn")),
    }
    names = {
        "order matters": ("recurrent", "bag"), "bag is enough": ("bag", "recurrent"), "gru": ("GRU", "LSTM"),
        "every step": ("recurrent", "step alone"), "both directions": ("both ways", "forwards"),
        "variable length": ("own end", "end of padding"),
    }  # fmt: skip
    by_length = {kind: np.empty((len(seeds), len(_LENGTHS))) for kind in ("rnn", "bag")}
    for j, steps in enumerate(_LENGTHS):
        there = bench.on(first_of_two(bench.number("q26 steps"), steps, 400))
        for kind, found in by_length.items():
            bench.say(f"{steps} steps, {kind}")
            found[:, j] = trained(there, seeds, kind)
    sweep = Sweep(
        "Up to which length is the order of two events learned?",
        _LENGTHS,
        {"recurrent": by_length["rnn"], "bag of steps": by_length["bag"]},
        "steps",
        "test accuracy (%)",
    )
    note = "Your data are a table, not sequences: all claims are measured on made sequences."
    return Findings(pairs, names, (sweep,), notes=(note,))


def trained(bench: Bench, seeds: Sequence[int], kind: str, **options: bool) -> Floats:
    """Return test scores, of 100, of a kind of network: "bag", "rnn", "gru" or "lstm"."""
    features = bench.data.layout.shape[-1]
    if kind == "bag":
        make: Callable[[], nn.Module] = partial(Bag, features, bench.outputs, **options)
    else:
        make = partial(Recurrent, kind, features, bench.outputs, **options)
    runs = bench.train(make, seeds, epochs=_EPOCHS, lr=_RATE, batch_size=_BATCH, watched={}, form="separate")
    return points_of(bench, runs.networks, bench.data.test)


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["order matters"] != "supported":
        return "Try a bag of steps first."
    return (
        "For sequences: ask whether the order says anything. If it does, use a recurrent network (a GRU is enough); if "
        "later steps may be seen, read both ways; and read each sequence to its own end."
    )


ask(
    Question(
        26,
        "Recurrent networks",
        "When is it worth reading steps in their order, and how should they be read?",
        CLAIMS,
        measure,
        _advice,
    )
)
