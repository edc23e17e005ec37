"""Permutation importance: what a model loses when one original column no longer belongs to its row."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import stdtrit

from glia.core.errors import InputError, near
from glia.core.results import Interval, Result, Table
from glia.core.seeds import numpy_rng

FOLDS = 10
"""Parts of the data that are left out in turn, to see how much the result leans on single rows."""

SHOWN = 20
"""Most columns in the figure."""


@dataclass(frozen=True)
class ColumnImportance:
    """What shuffling one column, or one group of columns, costs.

    Parameters
    ----------
    name : str
        The column or group.
    importance : float
        Mean worsening of the metric, in its own units; negative where shuffling helped.
    standard_error : float
        From rows and shuffles together.
    interval : Interval
        The importance with its confidence interval.
    """

    name: str
    importance: float
    standard_error: float
    interval: Interval


@dataclass(frozen=True)
class ImportanceResult(Result):
    """Importance of the original columns, the most important first.

    Parameters
    ----------
    columns : tuple of ColumnImportance
        Sorted by falling importance.
    metric : str
        What was measured, e.g. ``"accuracy"``.
    base : float
        The metric of the rows as they are.
    greater_is_better : bool
        Whether a column's importance is a fall (``True``) or a rise (``False``) of the metric.
    rows, repeats : int
        How many rows were used, and how often each column was shuffled.
    """

    columns: tuple[ColumnImportance, ...]
    metric: str
    base: float
    greater_is_better: bool
    rows: int
    repeats: int

    @property
    def _change(self) -> str:
        return "falls" if self.greater_is_better else "rises"

    def summary(self) -> str:
        """Return which column matters most, by how much, and how many cannot be told from zero."""
        if not self.columns:
            return "There is no column to shuffle."
        first = self.columns[0]
        unclear = sum(not one.interval.low > 0 for one in self.columns)
        if unclear == len(self.columns):
            return f"Of {unclear} columns none has an effect on {self.metric} that can be told from zero."
        level = f"{first.interval.level:.0%}".replace("%", " %")
        lead = (
            f"Shuffling {first.name!r} costs most: {self.metric} {self._change} by {first.importance:.3g} "
            f"({level} interval {first.interval.low:.3g} to {first.interval.high:.3g})"
        )
        return f"{lead}; {unclear} of {len(self.columns)} columns cannot be told from zero."

    def tables(self) -> list[Table]:
        """Return one row per column."""
        rows = tuple(
            (one.name, one.importance, one.standard_error, one.interval.low, one.interval.high) for one in self.columns
        )
        heads = ("column", f"{self.metric} {self._change} by", "standard error", "low", "high")
        title = f"Permutation importance, {self.rows:,} rows, {self.repeats} shuffles; {self.metric} {self.base:.4g}"
        return [Table(title, heads, rows)]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``importance``: a point and its interval per column."""
        return {"importance": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        shown = self.columns[:SHOWN]
        if ax is None:
            ax = Figure(figsize=(7, 1.2 + 0.3 * len(shown)), layout="constrained").subplots()
        values = np.array([one.importance for one in shown])
        ends = np.array([[one.interval.low, one.interval.high] for one in shown]).reshape(-1, 2)
        heights = np.arange(len(shown))[::-1]
        ax.axvline(0, color="#999999", linewidth=1)
        ax.errorbar(
            values, heights, xerr=np.abs(ends.T - values), fmt="o", color="#0072B2", markersize=5, linewidth=1.5
        )
        ax.set_yticks(heights, [one.name for one in shown])
        ax.set_xlabel(f"{self.metric} {self._change} by, when the column is shuffled")
        ax.set_title(f"{shown[0].name} matters most" if shown else "No columns", loc="left")
        for side in ("top", "right", "left"):
            ax.spines[side].set_visible(False)
        return ax


def permutation_importance(
    predict: Callable[[pl.DataFrame], NDArray[Any]],
    X: pl.DataFrame,
    y: NDArray[Any],
    *,
    score: Callable[[NDArray[Any], NDArray[Any]], float],
    metric: str = "score",
    greater_is_better: bool = True,
    repeats: int = 5,
    random_state: int = 0,
    groups: Mapping[str, Sequence[str]] | None = None,
    columns: Sequence[str] | None = None,
    level: float = 0.95,
    batch_rows: int = 100_000,
) -> ImportanceResult:
    r"""Shuffle each original column in turn and measure how much worse the predictions become.

    Parameters
    ----------
    predict : callable
        Frame of N rows → predictions, first axis N: ``model.predict`` or ``model.predict_proba``.
    X : polars.DataFrame (N, D)
        Rows as the model takes them, before any preparation; best rows it was not trained on. Not changed.
    y : ndarray (N, …)
        Truth for these rows.
    score : callable
        ``(y, predictions) → float``, for all the rows and for most of them; it is given what ``predict`` returns.
    metric : str
        Name of the score for people.
    greater_is_better : bool, default=True
        ``False`` for errors and losses: importance is then the rise of the score.
    repeats : int, default=5
        Shuffles per column, at least 2.
    random_state : int, default=0
        All columns are shuffled by the same permutations: leaving columns out does not change the others' figures.
    groups : mapping, optional
        Name → columns that are shuffled together, as one thing. Correlated columns stand in for each other, so that
        each alone seems unimportant; a group shows what they carry together. Grouped columns are not also done alone.
    columns : sequence of str, optional
        Only these columns or groups; all by default.
    level : float, default=0.95
        Of the intervals, in (0, 1).
    batch_rows : int, default=100_000
        Most rows handed to ``predict`` at once (one shuffle of all rows at least); bounds the memory.

    Returns
    -------
    ImportanceResult

    Raises
    ------
    InputError
        If lengths differ, a column is unknown, or a number is out of its range.

    Notes
    -----
    Breiman's measure (2001), model-agnostic as in Fisher, Rudin and Dominici, arXiv:1801.01489. The standard error is
    a grouped jackknife's: ten parts of the data are left out in turn, as rows and as donors of shuffled values, so
    that it holds the uncertainty from the rows and that from the shuffles. The interval is Student's with nine degrees
    of freedom. It speaks of this model on rows like these; it does not cover that training again would give another
    model. If the score cannot be computed without some part (the part holds all rows of a class), the interval covers
    the shuffles alone.
    """
    truth = np.asarray(y)
    units = _units(X, groups, columns)
    _check(X.height, truth, repeats, level)
    rng = numpy_rng(random_state, "permutation importance")
    donors = np.stack([rng.permutation(X.height) for _ in range(repeats)])  # (repeats, N): whose value a row is given
    kept = _kept(donors, rng)
    sign = 1.0 if greater_is_better else -1.0
    before = np.asarray(predict(X))
    base = np.stack([_scores(score, truth, before, rows) for rows in kept])  # (repeats, 1 + parts)
    found = []
    for name, members in units.items():
        after = _shuffled(predict, X, members, donors, batch_rows)
        worse = np.stack([_scores(score, truth, one, rows) for one, rows in zip(after, kept, strict=True)])
        found.append(_importance(name, sign * (base - worse), level))
    found.sort(key=lambda one: -one.importance)
    return ImportanceResult(tuple(found), metric, float(base[0, 0]), greater_is_better, X.height, repeats)


def _units(
    X: pl.DataFrame, groups: Mapping[str, Sequence[str]] | None, columns: Sequence[str] | None
) -> dict[str, list[str]]:
    """Return what is shuffled: name → columns that move together."""
    grouped = {name: list(members) for name, members in (groups or {}).items()}
    taken = [column for members in grouped.values() for column in members]
    for column in taken:
        if column not in X.columns:
            raise InputError("grouped columns must be columns of the rows", f"{column!r}", near(column, X.columns))
    if len(set(taken)) < len(taken):
        twice = sorted({column for column in taken if taken.count(column) > 1})
        raise InputError("a column must be in one group at most", f"{twice} in several", "take it out of all but one")
    units = {**grouped, **{column: [column] for column in X.columns if column not in taken}}
    if columns is None:
        return units
    for column in columns:
        if column not in units:
            raise InputError("columns must name columns or groups of the rows", f"{column!r}", near(column, units))
    return {column: units[column] for column in columns}


def _check(rows: int, y: NDArray[Any], repeats: int, level: float) -> None:
    if len(y) != rows or rows < 2:
        raise InputError("there must be as many targets as rows, and at least two", f"{rows} rows, {len(y)} targets")
    if repeats < 2:
        raise InputError("repeats must be at least 2", f"repeats={repeats}", "five are usual")
    if not 0 < level < 1:
        raise InputError("level must lie between 0 and 1", f"level={level}", "0.95 is usual")


def _kept(donors: NDArray[np.int64], rng: np.random.Generator) -> list[list[NDArray[np.bool_]]]:
    """Return, for each shuffle, the rows that remain without each part of the data.

    A part is left out entirely: its rows, and the rows that were given a value from it. The measure is a mean over
    pairs of rows, and leaving out only one side of the pairs would find only a part of its variance. The parts are
    dealt out by chance alone: parts made alike by their targets would hide variance.
    """
    rows = donors.shape[1]
    parts = rng.permutation(np.arange(rows) % min(FOLDS, rows))
    return [[(parts != part) & (parts[giving] != part) for part in range(int(parts.max()) + 1)] for giving in donors]


def _scores(
    score: Callable[[NDArray[Any], NDArray[Any]], float],
    y: NDArray[Any],
    prediction: NDArray[Any],
    kept: list[NDArray[np.bool_]],
) -> NDArray[np.float64]:
    """Return the score of all rows, then on the remaining rows without each part; NaN where it has none."""
    scores = [float(score(y, prediction))]
    for rows in kept:
        if not rows.any():
            scores.append(math.nan)
            continue
        try:
            scores.append(float(score(y[rows], prediction[rows])))
        except ValueError:  # how scikit-learn's metrics say that a class is missing
            scores.append(math.nan)
    return np.array(scores)


def _shuffled(
    predict: Callable[[pl.DataFrame], NDArray[Any]],
    X: pl.DataFrame,
    members: list[str],
    donors: NDArray[np.int64],
    batch_rows: int,
) -> list[NDArray[Any]]:
    """Return the predictions for each shuffle; several shuffles share one call of ``predict``."""
    moved = X.select(members)
    together = max(1, batch_rows // X.height)
    predictions: list[NDArray[Any]] = []
    for start in range(0, len(donors), together):
        copies = [X.with_columns(moved[giving]) for giving in donors[start : start + together]]
        predictions += np.split(np.asarray(predict(pl.concat(copies, rechunk=True))), len(copies))
    return predictions


def _importance(name: str, drops: NDArray[np.float64], level: float) -> ColumnImportance:
    """Turn the drops (repeats, 1 + parts), all rows first, into a mean with its standard error and interval."""
    repeats, parts = drops.shape[0], drops.shape[1] - 1
    value = float(drops[:, 0].mean())
    without = drops[:, 1:].mean(axis=0)  # (parts,)
    if np.isfinite(without).all():
        variance, freedom = (parts - 1) * float(without.var()), parts - 1
    else:
        variance, freedom = float(drops[:, 0].var(ddof=1)) / repeats, repeats - 1
    error = math.sqrt(variance)
    reach = float(stdtrit(freedom, 0.5 + level / 2)) * error
    return ColumnImportance(name, value, error, Interval(value, value - reach, value + reach, level))
