"""The perceptron's learning rule for several classes: Kesler's construction, and one class against the rest."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glia.core.errors import InputError
from glia.core.seeds import derive
from glia.nn.perceptron_rule import (
    Floats,
    PerceptronFit,
    checked_rows,
    fit_of,
    perceptron_rule,
    row_orders,
    run_epochs,
    starting_weights,
)

Integers = NDArray[np.int64]


def multiclass_perceptron_rule(
    X: ArrayLike,
    y: ArrayLike,
    n_classes: int,
    *,
    scheme: Literal["kesler", "one_vs_rest"] = "kesler",
    max_epochs: int = 1000,
    lr: float = 1.0,
    fit_bias: bool = True,
    update: Literal["online", "batch"] = "online",
    sample_weight: ArrayLike | None = None,
    initial: ArrayLike | None = None,
    keep_best: bool = False,
    random_state: int | None = None,
) -> PerceptronFit:
    """Learn one plane per class; the class of a row is that of the largest score.

    Parameters
    ----------
    X : array-like (N, D)
    y : array-like (N,)
        Whole numbers from 0 to ``n_classes`` - 1.
    n_classes : int
        C ≥ 2.
    scheme : {"kesler", "one_vs_rest"}
        Kesler: when the best wrong class scores no less than the right one, add ``lr·x`` to the right class's weights
        and take it from the wrong one's (Duda and Hart 1973). One against the rest: C binary perceptrons.
    max_epochs, lr, fit_bias, update, sample_weight, initial, keep_best, random_state
        As in ``perceptron_rule``; ``initial`` is (C, D) or (C, D + 1).

    Returns
    -------
    PerceptronFit
        ``weights`` (C, D), ``bias`` (C,); under one against the rest mistakes are summed over the binary problems.

    Raises
    ------
    InputError
        If shapes disagree, a value is not finite, or a class is out of range.
    """
    classes = np.asarray(y)
    if n_classes < 2 or classes.ndim != 1 or not np.isin(classes, np.arange(n_classes)).all():
        raise InputError(
            "classes must be whole numbers from 0 to n_classes - 1, n_classes ≥ 2",
            f"n_classes={n_classes!r}, {np.unique(classes)[:5].tolist()}",
        )
    rows, factor = checked_rows(X, len(classes), sample_weight, fit_bias, max_epochs)
    W = starting_weights(initial, (n_classes, rows.shape[1]))
    common: dict[str, Any] = {"max_epochs": max_epochs, "lr": lr, "update": update, "keep_best": keep_best}
    if scheme == "one_vs_rest":
        W, counts, converged = _one_vs_rest(rows, classes, factor, W, random_state, common)
    else:
        kept = factor > 0
        W, counts = _kesler(rows[kept], classes[kept].astype(np.int64), factor[kept], W, random_state, **common)
        converged = counts[-1] == 0
    return fit_of(W, counts, fit_bias, converged)


def _one_vs_rest(
    rows: Floats, classes: Integers, factor: Floats, W: Floats, random_state: int | None, common: dict[str, Any]
) -> tuple[Floats, list[int], bool]:
    fits = []
    for c, initial in enumerate(W):
        seed = None if random_state is None else derive(random_state, c)
        # The rows hold the constant feature already.
        given = {"fit_bias": False, "sample_weight": factor, "initial": initial, "random_state": seed}
        fits.append(perceptron_rule(rows, classes == c, **given, **common))
    counts = [sum(epoch) for epoch in zip_longest(*(fit.mistakes_per_epoch for fit in fits), fillvalue=0)]
    return np.stack([fit.weights for fit in fits]), counts, all(fit.converged for fit in fits)


def _kesler(
    rows: Floats,
    classes: Integers,
    factor: Floats,
    W: Floats,
    random_state: int | None,
    *,
    max_epochs: int,
    lr: float,
    update: str,
    keep_best: bool,
) -> tuple[Floats, list[int]]:
    orders = row_orders(len(rows), random_state)
    one_pass = _online if update == "online" else _batch

    def next_pass(W: Floats) -> tuple[Floats, int]:
        order = next(orders)
        return one_pass(rows[order], classes[order], lr * factor[order], W)

    def error(W: Floats) -> float:
        return float(factor[_wrong(rows, classes, W)[0]].sum())

    return run_epochs(next_pass, error, W, max_epochs, keep_best)


def _wrong(rows: Floats, classes: Integers, W: Floats) -> tuple[Integers, Integers]:
    """Return the rows whose class does not win alone, and each row's best wrong class."""
    scores = rows @ W.T
    where = np.arange(len(rows))
    right = scores[where, classes]
    scores[where, classes] = -np.inf
    rival = scores.argmax(1)
    return np.flatnonzero(right <= scores[where, rival]), rival


def _online(rows: Floats, classes: Integers, factor: Floats, W: Floats) -> tuple[Floats, int]:
    """Take one pass; rows are looked at in blocks up to the next mistake, which gives what one by one would."""
    W, mistakes, start, block = W.copy(), 0, 0, 64
    while start < len(rows):
        part = slice(start, start + block)
        wrong, rival = _wrong(rows[part], classes[part], W)
        if wrong.size == 0:
            start, block = start + block, min(2 * block, 8192)
            continue
        at = start + int(wrong[0])
        W[classes[at]] += factor[at] * rows[at]
        W[rival[wrong[0]]] -= factor[at] * rows[at]
        mistakes, start, block = mistakes + 1, at + 1, max(block // 2, 16)
    return W, mistakes


def _batch(rows: Floats, classes: Integers, factor: Floats, W: Floats) -> tuple[Floats, int]:
    wrong, rival = _wrong(rows, classes, W)
    steps = factor[wrong, None] * rows[wrong]
    W = W.copy()
    np.add.at(W, classes[wrong], steps)
    np.subtract.at(W, rival[wrong], steps)
    return W, len(wrong)


def multiclass_mistake_bound(X: ArrayLike, y: ArrayLike, W: ArrayLike) -> float:
    """Return 2·(R / margin)², the most mistakes of Kesler's online rule started at 0.

    Each correction is as long as √2 rows, hence Novikoff's bound with R²·2.

    Parameters
    ----------
    X : array-like (N, D)
    y : array-like (N,)
        Whole numbers from 0.
    W : array-like (C, D) or (C, D + 1)
        Any weights that classify all rows rightly; D + 1 columns mean a bias last.

    Returns
    -------
    float
        With the margin ``min (w_right - w_wrong)·x / ‖W‖_F``; infinity where a row is wrong.
    """
    planes, classes = np.asarray(W, dtype=np.float64), np.asarray(y, dtype=np.int64)
    rows, _ = checked_rows(X, len(classes), None, planes.shape[1] == np.asarray(X).shape[1] + 1, 1)
    scores = rows @ planes.T
    where = np.arange(len(rows))
    right = scores[where, classes].copy()
    scores[where, classes] = -np.inf
    margin = float((right - scores.max(1)).min() / max(float(np.linalg.norm(planes)), np.finfo(float).tiny))
    return float(2.0 * (np.linalg.norm(rows, axis=1).max() / margin) ** 2) if margin > 0 else float("inf")
