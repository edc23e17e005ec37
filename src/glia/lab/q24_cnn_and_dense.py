"""Question 24, convolutions: shared weights and local fields against a dense network, on images, series and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from glia.core.seeds import numpy_rng
from glia.engine.rows import Rows
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.judging import points_of
from glia.lab.made_shapes import digits, shaped, strewn, with_inputs
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.nn import count_parameters

Floats = NDArray[np.float64]
Make = Callable[[], nn.Module]

_EPOCHS, _RATE, _WIDTHS, _REACH, _OWN_ROWS = 8, 1e-2, (4, 8, 12, 24, 64), 2, 600
_ALIKE = 12
_POINTS = "points of accuracy (of 100)"

CLAIMS = (
    Claim(
        "fewer weights",
        "A convolutional network needs fewer weights than a dense one that is as good on images.",
        f"its weights minus those of the smallest dense one (of {_WIDTHS[0]} to {_WIDTHS[-1]} units) that is as good",
        "% of the dense network's weights",
        "lower",
        10.0,
        on="made",
    ),
    Claim(
        "more accurate",
        "With as many weights it tells images apart better.",
        "test accuracy on handwritten digits, convolutional minus dense",
        _POINTS,
        "higher",
        0.5,
        on="made",
    ),
    Claim(
        "shifted",
        "It bears shifts that it has not seen better.",
        f"test accuracy on digits moved by up to {_REACH} pixels, convolutional minus dense",
        _POINTS,
        "higher",
        2.0,
        on="made",
    ),
    Claim(
        "neighbours",
        "It owes that to neighbouring pixels: shuffled, the same pixels are worth less to it.",
        "test accuracy of the convolutional network, pixels shuffled (in all images alike) minus in order",
        _POINTS,
        "lower",
        1.0,
        on="made",
    ),
    Claim(
        "series",
        "In a series, it finds a pattern that may lie anywhere; a dense network does not.",
        "test accuracy, convolution over time minus dense",
        _POINTS,
        "higher",
        2.0,
        on="made",
    ),
    Claim(
        "table",
        "Columns of a table have no neighbours: a convolution over them gains nothing from the order that they are in.",
        "score of a convolution over your columns, as they are minus in a random order",
        "points of the score (of 100)",
        "no higher",
        0.5,
    ),
)


def convolutional(shape: Sequence[int], outputs: int) -> nn.Module:
    """Return two convolutions with pooling for images (C, H, W), and a linear output."""
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(12 * (height // 4) * (width // 4), outputs),
    )  # fmt: skip


def dense(values: int, outputs: int, width: int = _ALIKE) -> nn.Module:
    """Return a dense network with one hidden layer."""
    return nn.Sequential(nn.Flatten(), nn.Linear(values, width), nn.ReLU(), nn.Linear(width, outputs))


def over_time(outputs: int) -> nn.Module:
    """Return a convolution over series (1, T) and the largest answer of each of its channels."""
    return nn.Sequential(nn.Conv1d(1, 16, 9), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(16, outputs))


def over_columns(columns: int, outputs: int) -> nn.Module:
    """Return two convolutions over the columns of a table, and a linear output."""
    return nn.Sequential(
        nn.Unflatten(1, (1, columns)), nn.Conv1d(1, 4, 3, padding=1), nn.ReLU(),
        nn.Conv1d(4, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * columns, outputs),
    )  # fmt: skip


def shuffled(data: LabData, seed: int) -> LabData:
    """Return rows whose pixels (or columns) are in another order, the same in all of them."""
    order = torch.from_numpy(numpy_rng(seed, "pixels").permutation(data.layout.in_features))
    parts = [part.x.flatten(1)[:, order].reshape(part.x.shape) for part in (data.train, data.valid, data.test)]
    return with_inputs(data, *parts)


def motif(seed: int, rows: int = 700, steps: int = 40, anywhere: bool = True) -> LabData:
    """Return noisy series (1, T) of which half hold a short rise and fall, anywhere or always at the same place."""
    rng = numpy_rng(seed, "motif")
    label = rng.integers(0, 2, rows)
    x = 0.5 * rng.normal(size=(rows, 1, steps))
    pattern = np.array([1.0, 2.0, 1.0, -1.0, -2.0, -1.0])
    places = rng.integers(0, steps - len(pattern), rows) if anywhere else np.full(rows, steps // 2)
    # the others hold the same values in another order, so that their size tells nothing
    other = np.array([-1.0, 1.0, -2.0, 2.0, -1.0, 1.0])
    for row, (place, has) in enumerate(zip(places, label, strict=True)):
        x[row, 0, place : place + len(pattern)] += pattern if has else other
    return shaped("a pattern in a series", x, label.astype(float), "binary")


def measure(
    bench: Bench, seeds: Sequence[int], images: LabData | None = None, series: LabData | None = None
) -> Findings:
    """Train both kinds on digits, on shuffled digits, on series and on the user's columns.

    ``images`` and ``series`` stand in for the digits and for the series with a pattern.
    """
    data = digits(bench.number("q24"), rows=1797) if images is None else images
    line = motif(bench.number("q24 series")) if series is None else series
    there = bench.on(data)
    shape, outputs = data.layout.shape, there.outputs
    make: Make = partial(convolutional, shape, outputs)
    bench.say("convolutions on images")
    nets = _trained(there, make, seeds)
    conv = points_of(there, nets, data.test)
    mixed = bench.on(shuffled(data, bench.number("q24 pixels")))
    bench.say("convolutions on shuffled pixels")
    apart = points_of(mixed, _trained(mixed, make, seeds), mixed.data.test)
    bench.say("dense networks on images")
    kinds = {
        width: _trained(there, partial(dense, data.layout.in_features, outputs, width), seeds) for width in _WIDTHS
    }
    table = np.stack([points_of(there, found, data.test) for found in kinds.values()], axis=1)
    moved = Rows(strewn(data.test.x, _REACH, bench.number("q24 moved")), data.test.y)
    sizes = np.array([count_parameters(found[0]) for found in kinds.values()], dtype=float)
    valid = np.stack([points_of(there, found, data.valid) for found in kinds.values()], axis=1)
    good = valid >= points_of(there, nets, data.valid)[:, None]
    needed = np.where(
        good.any(axis=1), sizes[good.argmax(axis=1)], sizes[-1]
    )  # if none is as good, at least the largest
    bench.say("series and your columns")
    in_time = bench.on(line)
    own = bench.on(bench.data.head(_OWN_ROWS))
    by_column = partial(over_columns, own.data.layout.in_features, own.outputs)
    jumbled = shuffled(own.data, bench.number("q24 columns"))
    pairs = {
        "fewer weights": (100.0 * count_parameters(nets[0]) / needed, np.full(len(seeds), 100.0)),
        "more accurate": (conv, table[:, _WIDTHS.index(_ALIKE)]),
        "shifted": (points_of(there, nets, moved), points_of(there, kinds[_ALIKE], moved)),
        "neighbours": (apart, conv),
        "series": (
            _points(in_time, partial(over_time, in_time.outputs), seeds),
            _points(in_time, partial(dense, line.layout.in_features, in_time.outputs), seeds),
        ),
        "table": (_points(own, by_column, seeds), _points(bench.on(jumbled), by_column, seeds)),
    }
    names = dict.fromkeys(pairs, ("convolutional", "dense")) | {
        "neighbours": ("shuffled", "in order"),
        "table": ("as they are", "in a random order"),
    }
    sweep = Sweep(
        "Which dense network is as good on digits as the convolutional one?",
        [float(size) for size in sizes],
        {
            "dense": table,
            f"convolutional ({count_parameters(nets[0])} weights)": np.repeat(conv[:, None], len(sizes), 1),
        },
        "weights of the dense network",
        "test accuracy on handwritten digits (%)",
        log_x=True,
    )
    note = (
        "Your data are a table, not images: all claims but the last are measured on handwritten digits and made series."
    )
    return Findings(pairs, names, (sweep,), notes=(note,))


def _trained(bench: Bench, make: Make, seeds: Sequence[int]) -> list[nn.Module]:
    return bench.train(make, seeds, epochs=_EPOCHS, lr=_RATE, batch_size=32, watched={}, form="separate").networks


def _points(bench: Bench, make: Make, seeds: Sequence[int]) -> Floats:
    return points_of(bench, _trained(bench, make, seeds), bench.data.test)


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["table"] == "refuted":
        return "Neighbouring columns of your table tell something together: try a convolution over them."
    return "Convolutions are for rows with neighbours (images, series); a dense network serves your columns as well."


ask(
    Question(
        24,
        "CNN and dense network",
        "What do shared weights and local fields gain on images, and what on a table?",
        CLAIMS,
        measure,
        _advice,
    )
)
