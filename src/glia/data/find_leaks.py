"""Columns that all but give the target away, found by what each of them predicts alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from glia.data.schema import Finding
from glia.data.targets import infer_task

AUC_LIMIT, R2_LIMIT = 0.995, 0.999
MOST_ROWS, MOST_CELLS, FEWEST_ROWS = 20_000, 2_000_000, 30
FIRST_ROWS = 2_000
"""Rows that tell for long tables which columns are worth a closer look."""

_BINS, _MOST_CLASSES = 128, 10
_FAR, _FEW_CATEGORIES = 0.9, 100

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def find_leaks(
    frame: pl.DataFrame, target: str, columns: Sequence[str], seed: int = 0, *, first: int | None = None
) -> list[Finding]:
    """Return a finding for every column from which alone the target can be told.

    Each column is tried alone by a model that is fast and can follow any shape: rates (or means) in 128 bins, or per
    category; for quantities also a straight line and interpolation between neighbours. It is fitted on one half of a
    sample of rows and scored on the other, and the other way round; the lower score counts.

    Parameters
    ----------
    frame : polars.DataFrame
        Rows in their final types.
    target : str
        Name of the target.
    columns : sequence of str
        Candidates.
    seed : int
        Chooses the sample.
    first : int, optional
        Rows of the sample on which columns are tried first; those that score below 0.9 there are done with. By default
        all columns are tried on the whole sample.

    Notes
    -----
    A column is reported from an area under the ROC curve (averaged over classes, one against the rest) of 0.995 or a
    coefficient of determination (of the values or of their ranks) of 0.999. Fewer than 30 rows
    prove nothing, and nothing is reported.
    """
    known = frame.filter(pl.col(target).is_not_null())
    if known.height < FEWEST_ROWS or not columns:
        return []
    task = infer_task(known.get_column(target))
    rng = np.random.default_rng(seed)
    cap = max(2000, min(MOST_ROWS, MOST_CELLS // len(columns)))
    if task == "regression":
        rows = rng.permutation(known.height)[:cap]
        y = known.get_column(target)[rows].cast(pl.Float64).to_numpy()
        classes = np.zeros((0, 0))
    else:
        codes = known.get_column(target).cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1
        rows, wanted = _sample_classes(codes, cap, rng)
        y = np.zeros(0)
        classes = (codes[rows][:, None] == wanted[None, :]).astype(np.float64)
        if not len(wanted):
            return []
    sample = known[rows]
    findings = []
    for name in columns:
        column = sample.get_column(name)
        if first is not None and _is_far(column.head(first), y[:first], classes[:first]):
            continue
        score = _score(column, y, classes)
        if score >= (R2_LIMIT if task == "regression" else AUC_LIMIT):
            figure = f"{'R²' if task == 'regression' else 'AUC'} {score:.4f}"
            message = (
                f"{name!r} alone all but gives the target away ({figure} on rows that were held out); "
                "leave it out unless it is known before the target is."
            )
            findings.append(Finding("leak", name, message, "failure"))
    return findings


def _is_far(column: pl.Series, y: Floats, classes: Floats) -> bool:
    """Whether a column cannot be a leak; of many categories, few rows do not tell."""
    counted = column.dtype.is_numeric() or column.dtype.is_temporal() or column.n_unique() <= _FEW_CATEGORIES
    return counted and _score(column, y, classes) < _FAR


def _score(column: pl.Series, y: Floats, classes: Floats) -> float:
    return _fit_quantity(column, y) if len(y) else _area(column, classes)


def _sample_classes(codes: Ints, cap: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return rows, at most equally many of each of the largest classes, and these classes; rare ones prove nothing."""
    counts = np.bincount(codes)
    wanted = np.argsort(-counts, kind="stable")[:_MOST_CLASSES]
    wanted = wanted[counts[wanted] >= 5]
    if len(wanted) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    order = rng.permutation(len(codes))
    each = max(cap // len(wanted), 5)
    rows = np.concatenate([order[codes[order] == c][:each] for c in wanted])
    return rng.permutation(rows), wanted


@dataclass(frozen=True)
class _Known:
    """What is the same for both halves: values (N,) as floats, or as whole numbers; missing ones are NaN or 0."""

    floats: Floats | None
    codes: Ints

    @classmethod
    def of(cls, column: pl.Series) -> _Known:
        if column.dtype.is_numeric() or column.dtype.is_temporal():
            return cls(_as_floats(column), np.zeros(0, np.int64))
        return cls(None, column.cast(pl.String).rank("dense").fill_null(0).to_numpy().astype(np.int64))


def _codes(known: _Known, fit: NDArray[np.bool_]) -> tuple[Ints, int]:
    """Return a small whole number per row: a bin of a quantity or a category; missing is 0."""
    values = known.floats
    if values is None:
        return known.codes, int(known.codes.max(initial=0)) + 1
    there = values[fit & np.isfinite(values)]
    if not len(there):
        return np.zeros(len(values), np.int64), 1
    distinct = np.unique(there)
    if len(distinct) > _BINS:
        distinct = np.unique(np.quantile(there, np.linspace(0, 1, _BINS + 1)[1:-1]))
    edges = (distinct[1:] + distinct[:-1]) / 2 if len(distinct) <= _BINS - 2 else distinct
    codes = np.searchsorted(edges, values) + 1
    codes[~np.isfinite(values)] = 0
    return codes.astype(np.int64), len(edges) + 2


def _as_floats(column: pl.Series) -> Floats:
    physical = column.to_physical() if column.dtype.is_temporal() else column
    return physical.cast(pl.Float64).to_numpy()  # missing becomes NaN


def _halves(rows: int) -> list[NDArray[np.bool_]]:
    even = np.arange(rows) % 2 == 0  # the sample is shuffled
    return [even, ~even]


def _area(column: pl.Series, classes: Floats) -> float:
    """Return the lower of two held-out areas under the ROC curve, averaged over classes (N, C)."""
    known = _Known.of(column)
    scores = []
    for fit in _halves(len(column)):
        codes, bins = _codes(known, fit)
        rates = _rates(codes[fit], classes[fit], bins)[codes[~fit]]
        truth = classes[~fit]
        positive = truth.sum(axis=0)
        negative = len(truth) - positive
        usable = (positive > 0) & (negative > 0)
        if not usable.any():
            return 0.0
        ranks = rankdata(rates[:, usable], axis=0)
        positive, negative = positive[usable], negative[usable]
        wins = (ranks * truth[:, usable]).sum(axis=0) - positive * (positive + 1) / 2
        scores.append(float(np.mean(wins / (positive * negative))))
    return min(scores)


def _rates(codes: Ints, values: Floats, bins: int) -> Floats:
    """Return the mean of ``values`` (n, C) per bin, drawn slightly to the overall mean: (bins, C)."""
    counts = np.bincount(codes, minlength=bins).astype(np.float64)
    sums = np.stack([np.bincount(codes, values[:, c], bins) for c in range(values.shape[1])], axis=1)
    means: Floats = (sums + 0.1 * values.mean(axis=0)) / (counts + 0.1)[:, None]
    return means


def _fit_quantity(column: pl.Series, y: Floats) -> float:
    """Return the better of the determinations of a quantity and of its ranks, which a few huge values cannot upset."""
    known = _Known.of(column)
    return max(_determination(known, y), _determination(known, rankdata(y)))


def _determination(known: _Known, y: Floats) -> float:
    """Return the lower of two held-out coefficients of determination for a quantity (N,)."""
    scores = []
    for fit in _halves(len(y)):
        spread = float(((y[~fit] - y[~fit].mean()) ** 2).sum())
        if spread == 0:
            return 0.0
        codes, bins = _codes(known, fit)
        guesses = [_rates(codes[fit], y[fit][:, None], bins)[codes[~fit], 0]]
        if known.floats is not None:
            guesses += _lines(known.floats, y, fit)
        scores.append(max(1.0 - float(((y[~fit] - guess) ** 2).sum()) / spread for guess in guesses))
    return min(scores)


def _lines(values: Floats, y: Floats, fit: NDArray[np.bool_]) -> list[Floats]:
    """Return guesses for the held-out rows by interpolation between neighbours and by a straight line."""
    known = fit & np.isfinite(values)
    if not known.any():
        return []
    points, where = np.unique(values[known], return_inverse=True)
    heights = np.bincount(where, y[known]) / np.bincount(where)
    held = values[~fit]
    finite = np.isfinite(held)
    between = np.full(len(held), y[fit].mean())
    straight = between.copy()
    between[finite] = np.interp(held[finite], points, heights)
    centred = points[where] - points[where].mean()
    spread = float((centred**2).sum())
    if spread > 0 and np.isfinite(spread):
        slope = float((centred * y[known]).sum()) / spread
        straight[finite] = y[known].mean() + slope * (held[finite] - points[where].mean())
    return [between, straight]
