"""The perceptron's learning rule for two classes, and the bound on its mistakes."""

from __future__ import annotations

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

    Parameters
    ----------
    X : array-like (N, D)
        Finite values.
    y : array-like (N,)
        Classes -1 and 1, or 0 and 1.
    max_epochs : int
        Passes after which to give up, at least 1; rows that no plane separates never settle.
    lr : float
        > 0; it only scales the weights when they start at 0.
    fit_bias : bool
        Learn a bias as the weight of a feature that is always 1.
    update : {"online", "batch"}
        Correct after every mistake (Rosenblatt 1958), or once per pass by the sum over wrong rows (gradient descent on
        the perceptron criterion), which does not depend on the order of rows.
    sample_weight : array-like (N,), optional
        Factors of the corrections, ≥ 0; rows of weight 0 are left out.
    initial : array-like (D,) or (D + 1,), optional
        Weights, and the bias last where one is fitted, to go on from.
    keep_best : bool
        Return the weights with the least training error at the end of a pass, not the last (pocket algorithm, Gallant
        1990): for rows that cannot be separated.
    random_state : int, optional
        Shuffle the rows before each pass by this seed; without it they come in the order given.

    Returns
    -------
    PerceptronFit

    Raises
    ------
    InputError
        If shapes disagree, a value is not finite, or ``y`` holds other values.

    Notes
    -----
    The online rule makes at most ``mistake_bound`` mistakes on separable rows, in whatever order they come.
    """
    rows, sign, factor = _checked(X, y, sample_weight, fit_bias, max_epochs)
    signed = rows * sign[:, None]  # a row is right where signed · w > 0
    w = np.zeros(rows.shape[1]) if initial is None else np.array(initial, dtype=np.float64)
    if w.shape != (rows.shape[1],):
        raise InputError("the initial weights must match the features", f"{w.shape}", f"give {(rows.shape[1],)}")
    steps = lr * factor[:, None] * signed
    rng = None if random_state is None else numpy_rng(random_state, "perceptron")
    counts: list[int] = []
    best, least = w.copy(), np.inf
    while len(counts) < max_epochs and (not counts or counts[-1]):
        order = slice(None) if rng is None else rng.permutation(len(signed))
        w, mistakes = (_online if update == "online" else _batch)(signed[order], steps[order], w)
        counts.append(mistakes)
        if keep_best and (wrong := float(factor[signed @ w <= 0].sum())) < least:
            best, least = w.copy(), wrong
    w = best if keep_best else w
    weights, bias = (w[:-1], float(w[-1])) if fit_bias else (w, 0.0)
    return PerceptronFit(weights, bias, sum(counts), len(counts), counts[-1] == 0, tuple(counts))


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
