"""Partial dependence: the mean output when every row is given the same value of one column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from glia.core.protocols import Predictor
from glia.core.seeds import numpy_rng
from glia.explain.column_grid import column_grid
from glia.explain.effect import EffectResult
from glia.explain.global_methods import picture
from glia.explain.related_columns import relation
from glia.explain.spreads import reach, row_weights
from glia.explain.subject import Floats
from glia.explain.table_model import TableModel, table_model

LINES = 50
"""Most rows that are kept one by one."""
RELATED = 0.7
"""From this relation to another column on, rows are made that do not exist."""


@picture("pdp", "partial_dependence")
def partial_dependence(
    predictor: Predictor,
    X: Any,
    column: str | int = 0,
    *,
    points: int = 20,
    output: int | str | Sequence[int | str] | None = None,
    space: str = "logit",
    rows: int = 500,
    level: float = 0.95,
    random_state: int = 0,
) -> EffectResult:
    """Mean output over rows, all given the same value of a column, for one value after the other.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        N rows of a table, best some that the predictor was not trained on.
    column : str or int
        The original column.
    points : int
        Values of a number at which to look, at least 2: quantiles of those observed.
    output : int, str or sequence of them, optional
        The outputs; all by default.
    space : {"logit", "probability"}
        What of a classifier is averaged.
    rows : int
        More rows than this are thinned out by chance.
    level : float
        Of the intervals, in (0, 1): over resampled rows, and over members where the network has several.
    random_state : int
        Seed of what is drawn.

    Returns
    -------
    EffectResult
        With ``lines``: the outputs of single rows (individual conditional expectations), at most 50.

    Raises
    ------
    InputError
        If the column is unknown or constant, or rows are no table.

    Notes
    -----
    Friedman (2001), "Greedy function approximation"; lines of single rows: arXiv 1309.6392. Where columns belong
    together, rows are made that do not exist, and the mean says what the network makes of those: the result says so
    where another column's relation reaches 0.7. Accumulated local effects do not suffer from this.
    """
    model = table_model(predictor, X, output=output, space=space, rows=rows, random_state=random_state)
    place = model.place(column)
    grid = column_grid(model.column(place), points)
    whole, members = dependence(model, (place,), model.x[torch.from_numpy(grid.donors)], model.x)
    values = whole.mean(axis=1)  # (G, O)
    count = len(model.x)
    weights = row_weights(numpy_rng(random_state, "partial dependence"), count)
    draws = np.einsum("rn,gno->rgo", weights, whole) / count
    half = reach(draws, members.mean(axis=2), level)
    checks, warnings = _trust(model, place)
    return EffectResult(
        "pdp",
        model.names[place],
        grid.numeric,
        grid.at,
        grid.labels,
        values,
        values - half,
        values + half,
        model.seen.output_names,
        model.seen.unit,
        np.moveaxis(whole, 1, 0)[:LINES].copy(),
        count,
        len(members),
        level,
        checks,
        warnings,
    )


def dependence(
    model: TableModel, columns: Sequence[int], given: torch.Tensor, over: torch.Tensor
) -> tuple[Floats, Floats]:
    """Return outputs of rows ``over`` (M, D) that take columns from each row ``given`` (G, D).

    Returns
    -------
    tuple of ndarray
        (G, M, O), and of every member (K, G, M, O).
    """
    whole, members = [], []
    step = max(1, (1 << 16) // len(over))
    for part in torch.split(given, step):
        rows = over.repeat(len(part), 1)
        mixed = model.taking(rows, columns, part.repeat_interleave(len(over), dim=0))
        mean, own = model.score(mixed)
        whole.append(mean.reshape(len(part), len(over), -1))
        members.append(own.reshape(len(own), len(part), len(over), -1))
    return np.concatenate(whole), np.concatenate(members, axis=1)


def _trust(model: TableModel, place: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the column most closely related to this one, and a warning where it is near."""
    if len(model.names) < 2:
        return {}, ()
    own = model.column(place)
    others = [i for i in range(len(model.names)) if i != place]
    related = [float(relation([own, model.column(i)])[0, 1]) for i in others]
    nearest = int(np.argmax(related))
    name, value = model.names[others[nearest]], related[nearest]
    checks = {"closest other column": name, "relation to it (0 to 1)": value}
    if value < RELATED:
        return checks, ()
    said = f"{model.names[place]} goes together with {name} ({value:.2f}), so that rows are made that do not exist"
    return checks, (f"{said}: look at accumulated local effects",)
