"""The perceptron's learning rule for two classes, and the bound on its mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glia.core.errors import InputError
from glia.core.results import Result, Table
from glia.core.seeds import numpy_rng

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PerceptronFit(Result):
    """What the learning rule found.

    Parameters
    ----------
    weights : ndarray
        (D,) for two classes, (C, D) for C classes.
    bias : float or ndarray (C,)
        0 where none was fitted.
    mistakes : int
        Mistakes over all epochs; under ``update="batch"`` the rows that were wrong, summed over epochs.
    epochs : int
        Passes over the rows, the last, faultless one included.
    converged : bool
        Whether a whole pass was without a mistake: the rows are then separated.
    mistakes_per_epoch : tuple of int
    """

    weights: Floats
    bias: Any
    mistakes: int
    epochs: int
    converged: bool
    mistakes_per_epoch: tuple[int, ...]

    def summary(self) -> str:
        """Return whether it settled, and at what cost."""
        end = "separated the classes" if self.converged else "did not settle"
        return f"The perceptron {end} after {self.mistakes} mistakes in {self.epochs} epochs."

    def tables(self) -> list[Table]:
        """Return the mistakes of every epoch."""
        rows = tuple((i + 1, count) for i, count in enumerate(self.mistakes_per_epoch))
        return [Table("Mistakes per epoch", ("epoch", "mistakes"), rows)]


def perceptron_rule(
    X: ArrayLike,
    y: ArrayLike,
    *,
    max_epochs: int = 1000,
    lr: float = 1.0,
    fit_bias: bool = True,
    update: Literal["online", "batch"] = "online",
    sample_weight: ArrayLike | None = None,
    initial: ArrayLike | None = None,
    keep_best: bool = False,
    random_state: int | None = None,
) -> PerceptronFit:
    """Learn a separating plane: for every row on the wrong side, add ``lr · y · x`` to the weights.

    On separable rows, in any order, the online rule makes at most ``mistake_bound`` mistakes.

    Parameters
    ----------
    X, y : array-like (N, D) and (N,)
        Rows, and their classes: -1 and 1, or 0 and 1.
    max_epochs : int
        Passes after which to give up, ≥ 1; rows that no plane separates never settle.
    lr : float
        > 0; it only scales the weights when they start at 0.
    fit_bias : bool
        Learn a bias: the weight of a feature that is always 1.
    update : {"online", "batch"}
        Correct after every mistake (Rosenblatt 1958), or once per pass by the sum over wrong rows, in any order.
    sample_weight : array-like (N,), optional
        Factors of the corrections, ≥ 0; rows of weight 0 are left out.
    initial : array-like (D,) or (D + 1,), optional
        Weights, and the bias last where one is fitted, to go on from.
    keep_best : bool
        Return the weights of the pass that ended with the least training error (pocket algorithm, Gallant 1990).
    random_state : int, optional
        Shuffle the rows before each pass by this seed; by default they come as given.

    Returns
    -------
    PerceptronFit

    Raises
    ------
    InputError
        If shapes disagree, a value is not finite, or ``y`` holds other values.
    """
    rows, sign, factor = _checked(X, y, sample_weight, fit_bias, max_epochs)
    signed = rows * sign[:, None]  # a row is right where signed · w > 0
    steps = lr * factor[:, None] * signed
    w = starting_weights(initial, (rows.shape[1],))
    orders = row_orders(len(rows), random_state)
    one_pass = _online if update == "online" else _batch

    def next_pass(w: Floats) -> tuple[Floats, int]:
        order = next(orders)
        return one_pass(signed[order], steps[order], w)

    w, counts = run_epochs(next_pass, lambda w: float(factor[signed @ w <= 0].sum()), w, max_epochs, keep_best)
    return fit_of(w, counts, fit_bias, counts[-1] == 0)


def fit_of(w: Floats, counts: list[int], fit_bias: bool, converged: bool) -> PerceptronFit:
    """Return the result for weights (…, D) or, with the bias last, (…, D + 1)."""
    weights, bias = (w[..., :-1], w[..., -1]) if fit_bias else (w, np.zeros(w.shape[:-1]))
    return PerceptronFit(
        weights, bias if bias.ndim else float(bias), sum(counts), len(counts), converged, tuple(counts)
    )


def starting_weights(initial: ArrayLike | None, shape: tuple[int, ...]) -> Floats:
    """Return zeros, or a copy of the weights to go on from.

    Raises
    ------
    InputError
        If they are of another shape.
    """
    w = np.zeros(shape) if initial is None else np.array(initial, dtype=np.float64)
    if w.shape != shape:
        raise InputError("the initial weights must match the features", f"shape {w.shape}", f"give {shape}")
    return w


def row_orders(n: int, random_state: int | None) -> Iterator[Any]:
    """Yield the order of rows for pass after pass: as given, or shuffled by the seed."""
    rng = None if random_state is None else numpy_rng(random_state, "perceptron")
    while True:
        yield slice(None) if rng is None else rng.permutation(n)


def run_epochs(
    next_pass: Callable[[Floats], tuple[Floats, int]],
    error: Callable[[Floats], float],
    w: Floats,
    max_epochs: int,
    keep_best: bool,
) -> tuple[Floats, list[int]]:
    """Take passes until one is without a mistake; return the last or best weights, and mistakes per pass."""
    counts: list[int] = []
    best, least = w, float("inf")
    while len(counts) < max_epochs and (not counts or counts[-1]):
        w, mistakes = next_pass(w)
        counts.append(mistakes)
        if keep_best and (now := error(w)) < least:
            best, least = w, now
    return (best if keep_best else w), counts


def _online(signed: Floats, steps: Floats, w: Floats) -> tuple[Floats, int]:
    """Take one pass; rows are looked at in blocks up to the next mistake, which gives what one by one would."""
    w, mistakes, start, block = w.copy(), 0, 0, 64
    while start < len(signed):
        wrong = np.flatnonzero(signed[start : start + block] @ w <= 0)
        if wrong.size == 0:
            start, block = start + block, min(2 * block, 8192)
            continue
        at = start + int(wrong[0])
        w += steps[at]
        mistakes, start, block = mistakes + 1, at + 1, max(block // 2, 16)
    return w, mistakes


def _batch(signed: Floats, steps: Floats, w: Floats) -> tuple[Floats, int]:
    wrong = signed @ w <= 0
    return w + steps[wrong].sum(0), int(wrong.sum())


def _checked(
    X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, fit_bias: bool, max_epochs: int
) -> tuple[Floats, Floats, Floats]:
    """Return rows with their constant feature, signs -1 and 1, and factors, without rows of weight 0."""
    values, classes = np.asarray(y), (-1.0, 0.0, 1.0)
    rows, factor = checked_rows(X, len(values), sample_weight, fit_bias, max_epochs)
    if values.ndim != 1 or not np.isin(values, classes).all() or {-1.0, 0.0} <= set(np.unique(values).tolist()):
        raise InputError("classes must be -1 and 1, or 0 and 1", f"{np.unique(values)[:5].tolist()}")
    sign = np.where(values > 0, 1.0, -1.0)
    return rows[factor > 0], sign[factor > 0], factor[factor > 0]


def checked_rows(
    X: ArrayLike, n: int, sample_weight: ArrayLike | None, fit_bias: bool, max_epochs: int
) -> tuple[Floats, Floats]:
    """Return rows as float64 with a last feature of 1 where a bias is fitted, and their factors.

    Raises
    ------
    InputError
        If shapes disagree, values are not finite, or ``max_epochs`` < 1.
    """
    rows = np.asarray(X, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != n or n == 0:
        raise InputError("X must be (N, D) with as many rows as y", f"{rows.shape} and {n} classes")
    if not np.isfinite(rows).all():
        raise InputError("the inputs of a perceptron must be finite", "NaN or infinity", "impute missing values first")
    if max_epochs < 1:
        raise InputError("max_epochs must be at least 1", f"max_epochs={max_epochs!r}")
    factor = np.ones(n) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if factor.shape != (n,) or not (factor >= 0).all() or not np.isfinite(factor).all() or not factor.any():
        raise InputError("sample weights must be (N,), finite, ≥ 0 and not all 0", f"shape {factor.shape}")
    return (np.column_stack([rows, np.ones(n)]) if fit_bias else rows), factor


def mistake_bound(X: ArrayLike, y: ArrayLike, w: ArrayLike) -> float:
    """Return (R / margin)², the most mistakes of the online rule started at 0 (Novikoff 1962).

    Parameters
    ----------
    X : array-like (N, D)
    y : array-like (N,)
        -1 and 1, or 0 and 1.
    w : array-like (D,) or (D + 1,)
        Any weights that separate the rows; D + 1 values mean a bias last, and a constant feature 1 in every row.
        The nearer they are to the largest margin, the tighter is the bound.

    Returns
    -------
    float
        With R the length of the longest row and the margin ``min y·(w·x) / |w|``; infinity where ``w`` does not
        separate the rows.
    """
    plane = np.asarray(w, dtype=np.float64)
    rows, sign, _ = _checked(X, y, None, len(plane) == np.asarray(X).shape[1] + 1, 1)
    margin = float((sign * (rows @ plane)).min() / max(float(np.linalg.norm(plane)), np.finfo(float).tiny))
    return float((np.linalg.norm(rows, axis=1).max() / margin) ** 2) if margin > 0 else float("inf")
