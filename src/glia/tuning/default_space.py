"""What is searched where nothing is said: the settings of a network for tables that matter most."""

from __future__ import annotations

from typing import Any

from glia.tuning.space import Choice, Real, Space

FIRST: dict[str, Any] = {
    "lr": 2e-3,
    "weight_decay": 0.02,
    "dropout": 0.15,
    "hidden": (256, 256),
    "activation": "silu",
    "norm": "none",
    "numeric_embedding": "piecewise_linear",
}
"""What Glia chooses by itself for a table of some thousand rows: the first trial, so that a search never loses to it by
chance."""


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
