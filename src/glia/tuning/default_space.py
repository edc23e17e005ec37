"""What is searched where nothing is said: the settings of a network for tables that matter most."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from glia.core.layout import Feature, Layout
from glia.estimators.choices import BINNED_ROWS, choose
from glia.estimators.large_rows import LargeRows
from glia.tuning.space import Choice, Real, Space

_NUMBER = Feature("x", "x", "numeric", bins=(0.0, 0.5, 1.0))


def first_choice(rows: int) -> dict[str, Any]:
    """Return what Glia chooses by itself for one network on a table of so many training rows.

    It is the first trial, so that a search never loses to it by chance.
    """
    layout = Layout((1,), (_NUMBER if rows >= BINNED_ROWS else replace(_NUMBER, bins=()),))
    own = choose({}, rows=rows, task="binary", layout=layout)
    shape = {
        name: getattr(own.network, name) for name in ("dropout", "hidden", "activation", "norm", "numeric_embedding")
    }
    return {"lr": own.lr, "weight_decay": own.optimizer.weight_decay, **shape}


def default_space(rows: int = 10_000) -> Space:
    """Return the space for a table of so many training rows: wide networks are left out where rows are few.

    Learning rate, decay and dropout can differ among configurations that are trained in one computation; the rest is
    the architecture.
    """
    hidden = [(64,), (128,), (128, 128), (256, 256), (256, 256, 256), (512, 512)]
    return Space(
        {
            "lr": Real(2e-4, 3e-2, log=True),
            "weight_decay": Real(1e-4, 0.5, log=True),
            "dropout": Real(0.0, 0.5),
            "hidden": Choice(tuple(hidden if rows >= 2000 else hidden[:4])),
            "activation": Choice(("silu", "relu")),
            "norm": Choice(("none", "layer")),
            "numeric_embedding": Choice(("piecewise_linear", "periodic", "none")),
        }
    )


def raw_space() -> Space:
    """Return the space for pictures, sounds and sequences: what is searched of any network's training."""
    return Space({"lr": Real(3e-4, 3e-2, log=True), "weight_decay": Real(1e-4, 0.5, log=True)})


def space_for(estimator: Any, rows: int) -> Space:
    """Return the space for an estimator of Glia's with so many training rows."""
    return raw_space() if isinstance(estimator, LargeRows) else default_space(rows)
