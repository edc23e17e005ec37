"""How far each remedy is off on these very data: known cells are taken away, filled in, and compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from glia.core.results import Interval
from glia.core.seeds import derive
from glia.data.impute.base import Array, Block
from glia.data.missing.encoding import TableEncoding
from glia.data.missing.masks import missing_mask
from glia.repair.remedies import Remedy, draws, guess

LEVEL = 0.95
PLAUSIBLE = 0.9
"""Level of the intervals of a multiple imputation whose coverage is measured."""


@dataclass(frozen=True)
class RemedyError:
    """How far a remedy is off where cells were taken away by a known mechanism.

    Parameters
    ----------
    remedy : str
        Its name.
    mechanism : {"mcar", "mar", "mnar"}
        Why the cells were taken away.
    nrmse : Interval or None
        Root mean squared error over cells of numbers in units of their column's standard deviation; ``None`` where
        there are none.
    error_rate : Interval or None
        Share of wrong categories.
    score : Interval
        Mean over the columns of the error relative to that of the best constant that can be learned from what is left
        (mean or most frequent value) on the same cells: 1 is no better, 0 is perfect.
    scores : tuple of float
        That of each repeat.
    coverage : float or None
        Share of the true numbers inside the 90 % intervals of a multiple imputation.
    seconds : float
        Mean time to learn and fill in.
    """

    remedy: str
    mechanism: str
    nrmse: Interval | None
    error_rate: Interval | None
    score: Interval
    scores: tuple[float, ...]
    coverage: float | None
    seconds: float


@dataclass
class _Sums:
    """What is gathered over the repeats of one remedy under one mechanism."""

    nrmse: list[float]
    rate: list[float]
    score: list[float]
    covered: list[float]
    seconds: list[float]


def compare_remedies(
    x: Array,
    codes: Array,
    encoding: TableEncoding,
    remedies: Sequence[Remedy],
    mechanisms: Sequence[str],
    *,
    rate: float,
    repeats: int = 5,
    position: NDArray[np.float64] | None = None,
    random_state: int = 0,
    tell: Callable[[str], None] = lambda what: None,
) -> tuple[RemedyError, ...]:
    """Take known cells away, fill them in with each remedy, and measure the error.

    Parameters
    ----------
    x, codes : ndarray of shape (N, D) and (N, C)
        The rows as ``encoding`` gives them; cells that are missing already stay so and are not judged.
    encoding : TableEncoding
        Of the table.
    remedies : sequence of Remedy
        Those that fill.
    mechanisms : sequence of str
        Of ``glia.data.missing.MECHANISMS``.
    rate : float
        Share of the observed cells that is taken away.
    repeats : int
        Masks per mechanism, the same for all remedies.
    position : ndarray of shape (N,), optional
        For remedies that interpolate.
    random_state : int
        Seed.
    tell : callable
        Told what is done next, once per remedy and mask.
    """
    found = []
    for mechanism in mechanisms:
        sums = {remedy.name: _Sums([], [], [], [], []) for remedy in remedies}
        for number in range(repeats):
            seed = derive(random_state, "repair", mechanism, number) % 2**31
            mask = missing_mask(codes, mechanism, rate, random_state=seed)
            hidden = hide(x, encoding.blocks, mask)
            for remedy in remedies:
                tell(f"{remedy.title}, {mechanism.upper()} mask {number + 1} of {repeats}")
                _measure(sums[remedy.name], remedy, hidden, codes, mask, encoding, position, seed)
        found += [_result(name, mechanism, own) for name, own in sums.items() if own.score]
    return tuple(found)


def hide(x: Array, blocks: Sequence[Block], mask: NDArray[np.bool_]) -> Array:
    """Return the encoded rows (N, D) without the cells of ``mask`` (N, C)."""
    out = np.array(x)
    for j, block in enumerate(blocks):
        out[mask[:, j], block.where] = np.nan
    return out


def _measure(
    sums: _Sums,
    remedy: Remedy,
    hidden: Array,
    codes: Array,
    mask: NDArray[np.bool_],
    encoding: TableEncoding,
    position: NDArray[np.float64] | None,
    seed: int,
) -> None:
    start = time.perf_counter()
    sets = [own for own, _ in draws(remedy, hidden, None, encoding.blocks, position=position, random_state=seed)]
    mean, spread = guess(encoding, sets)
    sums.seconds.append(time.perf_counter() - start)
    best = encoding.best_codes(mean)
    squared, wrong, relative, inside = [], [], [], []
    reach = float(stdtrit(max(len(sets) - 1, 1), 0.5 + PLAUSIBLE / 2.0)) * np.sqrt(1.0 + 1.0 / len(sets))
    for j, (column, block) in enumerate(zip(encoding.columns, encoding.blocks, strict=True)):
        rows, there = np.flatnonzero(mask[:, j]), ~np.isnan(codes[:, j])
        known, left, truth = codes[there, j], codes[there & ~mask[:, j], j], codes[rows, j]
        if not len(rows) or not len(left) or known.min() == known.max():
            continue
        if column.categories:
            miss = best[rows, j] != truth
            wrong.append(miss)
            costs = float((truth != np.bincount(left.astype(np.intp)).argmax()).mean())
            relative += [float(miss.mean()) / costs] if costs else []
        else:
            error = ((best[rows, j] - truth) / known.std()) ** 2
            squared.append(error)
            relative.append(float(np.sqrt(error.mean() / (((left.mean() - truth) / known.std()) ** 2).mean())))
            if len(sets) > 1:
                inside.append(np.abs(mean[rows, block.start] - codes[rows, j]) <= reach * spread[rows, block.start])
    if relative:
        sums.score.append(float(np.mean(relative)))
    if squared:
        sums.nrmse.append(float(np.sqrt(np.concatenate(squared).mean())))
    if wrong:
        sums.rate.append(float(np.concatenate(wrong).mean()))
    if inside:
        sums.covered.append(float(np.concatenate(inside).mean()))


def _result(name: str, mechanism: str, own: _Sums) -> RemedyError:
    return RemedyError(
        name,
        mechanism,
        interval(own.nrmse, low=0.0) if own.nrmse else None,
        interval(own.rate, low=0.0, high=1.0) if own.rate else None,
        interval(own.score, low=0.0),
        tuple(own.score),
        float(np.mean(own.covered)) if own.covered else None,
        float(np.mean(own.seconds)),
    )


def interval(values: Sequence[float], *, low: float = -np.inf, high: float = np.inf) -> Interval:
    """Return the mean of repeats with its t interval, held within what is possible; of one repeat, that alone."""
    found = np.asarray(values, dtype=np.float64)
    mean = float(found.mean())
    if len(found) < 2:
        return Interval(mean, mean, mean, LEVEL)
    reach = float(stdtrit(len(found) - 1, 0.5 + LEVEL / 2.0) * found.std(ddof=1) / np.sqrt(len(found)))
    return Interval(mean, max(low, mean - reach), min(high, mean + reach), LEVEL)
