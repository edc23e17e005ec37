"""Question 42, complexity and generalisation: capacity, the turning point, and what regularisation does to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from glia.core.seeds import numpy_rng
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.made import made
from glia.lab.question import Claim, Findings, Question, Sweep, ask
from glia.lab.runs import Runs

Floats = NDArray[np.float64]
_WIDTHS, _MIDDLE, _EPOCHS, _ROWS, _RATE, _DECAY = (1, 4, 16, 64, 256), 1, 40, 400, 3e-3, 0.3
_SHARES = (0.125, 0.25, 0.5, 1.0)
_LOSS = "units of the loss"

CLAIMS = (
    Claim("training falls", "Training error falls as the network gets wider.",
          f"training loss at width {_WIDTHS[-1]} minus at width {_WIDTHS[0]}", _LOSS, "lower", 0.02),
    Claim("validation turns", "Validation error turns: the widest network has more of it than a narrow one.",
          f"validation loss at width {_WIDTHS[-1]} minus at width {_WIDTHS[_MIDDLE]}", _LOSS, "higher", 0.02),
    Claim("validation turns made", "So it is where a fifth of the labels is wrong.",
          f"validation loss at width {_WIDTHS[-1]} minus at width {_WIDTHS[_MIDDLE]}", _LOSS, "higher", 0.02, "made"),
    Claim("moves the turn", "Weight decay moves the turning point to wider networks.",
          "width of the least validation loss with minus without decay", "doublings of the width", "higher", 0.5),
    Claim("flattens", "Weight decay makes the rise beyond the turning point smaller.",
          "rise of the validation loss up to the widest network, with minus without decay", _LOSS, "lower", 0.02),
    Claim("error too", "Not only the loss: the widest network also scores lower than a narrow one.",
          f"validation score at width {_WIDTHS[-1]} minus at width {_WIDTHS[_MIDDLE]}", "points of the score (of 100)",
          "lower", 0.5),
    Claim("rows close the gap", "More rows close the gap between training and test loss of a wide network.",
          "gap learning from all rows minus from an eighth", _LOSS, "lower", 0.02),
)  # fmt: skip


def measure(
    bench: Bench, seeds: Sequence[int], *, noisy: LabData | None = None, decay: float = _DECAY, epochs: int = _EPOCHS,
    middle: int = _MIDDLE,
) -> Findings:  # fmt: skip
    """Train five widths with and without decay on few rows, and a wide network on more; settings are for tests."""
    bench.say("labels that are wrong")
    rise = _rise(_curves(bench.on(noisy or _noisy(bench.number("noise"))), seeds, 0.0, epochs), middle)
    bench.say("five widths")
    small = bench.on(bench.data.head(_ROWS))
    plain, held = (_curves(small, seeds, strength, epochs) for strength in (0.0, decay))
    train, valid, kept = (_last(runs, part) for runs, part in ((plain, "train"), (plain, "valid"), (held, "valid")))
    best = [np.log2(np.array(_WIDTHS))[losses.argmin(axis=1)] for losses in (kept, valid)]
    score = np.stack([small.points(runs, "valid") for runs in plain], axis=1)
    rises = [losses[:, -1] - losses.min(axis=1) for losses in (kept, valid)]
    bench.say("more rows")
    gaps = _gaps(bench.on(bench.data.head(4 * _ROWS)), seeds, epochs)
    pairs = {
        "training falls": (train[:, -1], train[:, 0]),
        "validation turns": (valid[:, -1], valid[:, middle]),
        "validation turns made": rise,
        "moves the turn": (best[0], best[1]),
        "flattens": (rises[0], rises[1]),
        "error too": (score[:, -1], score[:, middle]),
        "rows close the gap": (gaps[:, -1], gaps[:, 0]),
    }
    wide, narrow = (f"width {_WIDTHS[i]}" for i in (-1, middle))
    names = dict.fromkeys(("validation turns", "validation turns made", "error too"), (wide, narrow))
    names |= {
        "training falls": (wide, f"width {_WIDTHS[0]}"), "moves the turn": ("decay", "none"),
        "flattens": ("decay", "none"), "rows close the gap": ("all rows", "an eighth"),
    }  # fmt: skip
    lines = {"training": train, "validation": valid, "validation, with decay": kept}
    sweeps = (
        Sweep("What do training and validation error do as a network gets wider?", _WIDTHS, lines,
              "width of the two hidden layers", "mean loss", log_x=True),
        Sweep("Does the gap between training and test close with more rows?",
              [round(share * len(bench.data.head(4 * _ROWS).train)) for share in _SHARES], {"gap": gaps},
              "training rows", "test loss minus training loss", log_x=True),
    )  # fmt: skip
    return Findings(pairs, names, sweeps, notes=(f"Widths are compared on {len(small.data.train)} training rows.",))


def _curves(bench: Bench, seeds: Sequence[int], decay: float, epochs: int) -> list[Runs]:
    watched = {"train": bench.data.train, "valid": bench.data.valid}
    return [
        bench.train(partial(bench.network, (width, width)), seeds, optimizer="adamw", weight_decay=decay, lr=_RATE,
                    epochs=epochs, batch_size=64, watched=watched)
        for width in _WIDTHS
    ]  # fmt: skip


def _last(runs: Sequence[Runs], part: str) -> Floats:
    """Return the last losses, (S, widths); what failed has a loss of 100, worse than any that did not."""
    losses = np.stack([one.loss[part][:, -1] for one in runs], axis=1)
    return np.where(np.isfinite(losses), np.minimum(losses, 100.0), 100.0)


def _rise(runs: Sequence[Runs], middle: int) -> tuple[Floats, Floats]:
    losses = _last(runs, "valid")
    return losses[:, -1], losses[:, middle]


def _gaps(bench: Bench, seeds: Sequence[int], epochs: int) -> Floats:
    """Return test minus training loss of a wide network by number of rows, (S, shares), after equally many steps."""
    found = []
    for share in _SHARES:
        rows = bench.data.train.take(torch.arange(max(8, round(share * len(bench.data.train)))))
        runs = bench.train(
            partial(bench.network, (64, 64)), seeds, train=rows, watched={"train": rows, "test": bench.data.test},
            lr=_RATE, epochs=max(1, round(0.5 * epochs / share) // 4), batch_size=64,
        )  # fmt: skip
        found.append(_last([runs], "test")[:, 0] - _last([runs], "train")[:, 0])
    return np.stack(found, axis=1)


def _noisy(seed: int) -> LabData:
    """Return two classes by the side of a line, a fifth of them wrong, in 10 columns."""
    rng = numpy_rng(seed, "noisy")
    x = rng.normal(size=(900, 10))
    y = (x[:, 0] + x[:, 1] > 0) ^ (rng.uniform(size=900) < 0.2)
    return made("labels with noise", x, y.astype(float), "binary", shares=(0.3, 0.4))


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["validation turns"] == "supported":
        return "Wide networks overfit few rows of this data: keep --weight-decay and early stopping, or go narrower."
    return "Width does no measured harm on this data: regularise rather than search for the smallest network."


ask(Question(42, "Complexity and generalisation", "How do capacity, rows and regularisation decide over the error?",
             CLAIMS, measure, _advice))  # fmt: skip
