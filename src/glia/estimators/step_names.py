"""How people know a step: by its sequence's id and its time, or by both their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from glia.data import Table
from glia.data.series import Sequences


def step_names(X: Any, sequences: Sequences) -> pl.DataFrame:
    """Return which step of which sequence each is, (S,) rows.

    Parameters
    ----------
    X : rows
        As they were handed in. A ``Table`` of labelled steps knows its id, and its times as lists.
    sequences : Sequences
        The same rows.
    """
    row = np.repeat(np.arange(len(sequences)), sequences.lengths)
    step = np.concatenate([np.arange(n) for n in sequences.lengths])
    names: Any = sequences.ids or tuple(range(len(sequences)))
    found = {"sequence": pl.Series(names, strict=False).gather(row), "step": pl.Series(step)}
    if not isinstance(X, Table):
        return pl.DataFrame(found)
    ids = X.schema.names("id")
    times = [name for name in X.schema.names("ignored") if isinstance(X.frame[name].dtype, pl.List)]
    named: dict[str, pl.Series] = {}
    named[ids[0] if ids else "sequence"] = X.frame[ids[0]].gather(row) if ids else found["sequence"]
    named[times[0] if times else "step"] = X.frame[times[0]].explode() if times else found["step"]
    return pl.DataFrame(named)
