"""Question 13, regularisation: whether each kind narrows the gap between training and test loss on few rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glia.lab.bench import Bench
from glia.lab.guessing import UNIT, course
from glia.lab.question import Claim, Findings, Question, Sweep, ask

Floats = NDArray[np.float64]
_ROWS, _HIDDEN, _EPOCHS, _RATE = 200, (64, 64), 60, 3e-3
_NAMES = {
    "l1": "L1", "l2": "L2", "weight_decay": "weight decay", "dropout": "dropout", "early stopping": "early stopping",
}  # fmt: skip
STRENGTHS = {"l1": 0.01, "l2": 0.02, "weight_decay": 0.5, "dropout": 0.5}
"""Of each kind, when it is on."""

CLAIMS = (
    *(
        Claim(
            key,
            f"On few rows {name} narrows the gap between training and test loss.",
            f"gap after training on {_ROWS} rows, with minus without {name}",
            UNIT,
            "lower",
            5.0,
        )
        for key, name in _NAMES.items()
    ),
    *(
        Claim(
            f"{key} pays",
            f"On few rows {name} lowers the test loss.",
            f"test loss after training on {_ROWS} rows, with minus without {name}",
            UNIT,
            "lower",
            2.0,
        )
        for key, name in _NAMES.items()
    ),
)


def measure(
    bench: Bench,
    seeds: Sequence[int],
    *,
    rows: int = _ROWS,
    hidden: Sequence[int] = _HIDDEN,
    strengths: Mapping[str, float] = STRENGTHS,
) -> Findings:
    """Train large networks on few of the user's rows, all kinds of regularisation in one population."""
    few = bench.on(bench.data.head(rows))
    kinds = ["none", *strengths]
    each = [kind for kind in kinds for _ in seeds]
    options: dict[str, Any] = {
        name: [strength if kind == name else 0.0 for kind in each] for name, strength in strengths.items()
    }
    bench.say(f"five kinds of regularisation on {len(few.data.train)} rows")
    runs = few.train(
        partial(few.network, hidden, dropout=0.1), list(seeds) * len(kinds), optimizer="adamw", lr=_RATE,
        epochs=_EPOCHS, batch_size=few.batch_size, **options,
    )  # fmt: skip
    shape = (len(kinds), len(seeds), _EPOCHS)
    train, valid, test = (course(few, runs, part).reshape(shape) for part in ("train", "valid", "test"))
    gaps = {kind: test[k, :, -1] - train[k, :, -1] for k, kind in enumerate(kinds)}
    ends = {kind: test[k, :, -1] for k, kind in enumerate(kinds)}
    best = np.where(np.isfinite(valid[0]), valid[0], np.inf).argmin(axis=1)
    at = np.arange(len(seeds)), best
    gaps["early stopping"], ends["early stopping"] = test[0][at] - train[0][at], test[0][at]
    sweeps = (
        Sweep(
            "How does the gap between training and test loss grow?",
            range(1, _EPOCHS + 1),
            {_NAMES.get(kind, "no regularisation"): test[k] - train[k] for k, kind in enumerate(kinds)},
            "epochs",
            f"test minus training loss ({UNIT})",
        ),
        Sweep(
            "How does the test loss go?",
            range(1, _EPOCHS + 1),
            {_NAMES.get(kind, "no regularisation"): test[k] for k, kind in enumerate(kinds)},
            "epochs",
            f"test loss ({UNIT})",
        ),
    )
    pairs = {key: (gaps[key], gaps["none"]) for key in _NAMES}
    pairs |= {f"{key} pays": (ends[key], ends["none"]) for key in _NAMES}
    return Findings(pairs, sweeps=sweeps)


def _advice(verdicts: Mapping[str, str]) -> str:
    paying = [name for key, name in _NAMES.items() if verdicts[f"{key} pays"] == "supported"]
    if paying:
        return f"With few rows like these, what lowers the test loss is {', or '.join(paying)}."
    return "Nothing surely lowered the test loss here: regularise only where the report shows a gap."


ask(
    Question(
        13,
        "Regularisation",
        "Which kinds of regularisation narrow the gap between training and test loss on few rows?",
        CLAIMS,
        measure,
        _advice,
    )
)
