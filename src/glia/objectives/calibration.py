"""Do probabilities and intervals mean what they say: temperature scaling, reliability and split-conformal radii."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax

from glia.core.errors import InputError
from glia.core.protocols import Task
from glia.core.results import Result, Table
from glia.objectives.probability_metrics import bin_of, claims
from glia.objectives.scored import Floats, scored

TEMPERATURES = (0.05, 100.0)
"""Where the search for a temperature stops: separated rows would drive it to 0, useless scores to infinity."""


def _array(values: ArrayLike | torch.Tensor) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def fit_temperature(
    logits: ArrayLike | torch.Tensor,
    y: ArrayLike | torch.Tensor,
    task: Task,
    sample_weight: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    spread: float | None = None,
) -> float:
    """Return the temperature T for which softmax(logits / T + offset) has the least log loss on held-out rows.

    Parameters
    ----------
    logits : array-like or Tensor, (N, 1), (N, C) or (N, L)
        Raw scores of rows that the network was not trained on.
    y : array-like or Tensor
        0/1 (N,) for binary, class codes (N,) for multi-class, 0/1 (N, L) for multi-label.
    task : {"binary", "multiclass", "multilabel"}
        What is predicted.
    sample_weight : array-like, (N,), optional
        At least 0.
    offset : array-like, (C,) or a number, optional
        What is added to the scores of each class afterwards; for yes/no labels to the score of "yes". By it a network
        that was trained on other shares of the classes is calibrated for those of the held-out rows.
    spread : float, optional
        Standard deviation of log T that is thought usual, > 0: few rows then say less than many. Without it the rows
        alone decide, and where the scores part the classes of a few rows without a fault, T falls to its bound.

    Returns
    -------
    float
        Above 1 where the network is too sure of itself, below 1 where it is not sure enough.

    Raises
    ------
    InputError
        If the task is regression, there are no rows, or shapes differ.

    Notes
    -----
    arXiv 1706.04599, section 4.2. Log loss is convex in 1/T, so that its derivative has one root, found by bisection.
    Dividing all scores by T changes neither the order of rows nor the predicted class.
    """
    z, truth = _array(logits).astype(np.float64), _array(y)
    if task == "regression":
        raise InputError("a temperature belongs to classes or labels", f"task={task!r}")
    if task == "multiclass":
        fits = z.ndim == 2 and truth.shape == z.shape[:1]
    else:
        z = z[:, None] if z.ndim == 1 else z
        truth = truth[:, None] if truth.ndim == 1 else truth
        fits = truth.shape == z.shape
    if not fits or len(z) == 0 or not np.isfinite(z).all():
        raise InputError("logits must be finite, with a row per row of y", f"logits {z.shape} and y {truth.shape}")
    weight = np.ones(len(z)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    added = 0.0 if offset is None else np.asarray(offset, dtype=np.float64)

    def slope(sharpness: float) -> float:
        if task == "multiclass":
            own = z[np.arange(len(z)), truth.astype(np.intp)]
            per_row = (softmax(sharpness * z + added, axis=1) * z).sum(axis=1) - own
        else:
            per_row = ((expit(sharpness * z + added) - truth) * z).mean(axis=1)
        pull = 0.0 if spread is None else math.log(sharpness) / (sharpness * spread**2)
        return float(weight @ per_row) + pull

    low, high = (math.log(1.0 / t) for t in reversed(TEMPERATURES))
    if slope(math.exp(high)) <= 0:
        return TEMPERATURES[0]
    if slope(math.exp(low)) >= 0:
        return TEMPERATURES[1]
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if slope(math.exp(middle)) > 0 else (middle, high)
    return math.exp(-0.5 * (low + high))


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows whose claimed probability lies in (low, high], and how often the claim came true.

    Parameters
    ----------
    low, high : float
        Edges of the bin.
    count : int
        Rows (labels of rows for multi-label tasks) in it.
    claimed, observed : float
        Mean probability and share that came true.
    observed_low, observed_high : float
        95 % Wilson interval of the share (Wilson 1927), on the effective number of rows where they are weighted.
    """

    low: float
    high: float
    count: int
    claimed: float
    observed: float
    observed_low: float
    observed_high: float


@dataclass(frozen=True)
class ReliabilityResult(Result):
    """A reliability diagram's data.

    Parameters
    ----------
    bins : tuple of ReliabilityBin
        Those with rows in them, by rising probability.
    ece : float
        Expected calibration error over these bins.
    """

    bins: tuple[ReliabilityBin, ...]
    ece: float

    def summary(self) -> str:
        """Return the calibration error in one sentence."""
        return f"Claimed probabilities are off by {self.ece:.3g} on average ({len(self.bins)} bins)."

    def tables(self) -> list[Table]:
        """Return one row per bin."""
        heads = ("from", "to", "rows", "claimed", "observed", "observed, low", "observed, high")
        rows = tuple(
            (b.low, b.high, b.count, b.claimed, b.observed, b.observed_low, b.observed_high) for b in self.bins
        )
        return [Table("Claimed against observed", heads, rows)]


def wilson(share: float, n: float, z: float = 1.959963984540054) -> tuple[float, float]:
    """Return the interval of a share that was seen in ``n`` rows (Wilson 1927); ``z`` sets its level, here 95 %."""
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def reliability(
    y: ArrayLike, proba: ArrayLike, bins: int = 10, sample_weight: ArrayLike | None = None
) -> ReliabilityResult:
    """Compare claimed probabilities with what happened, in equally wide bins.

    Parameters
    ----------
    y : array-like
        0/1 (N,) or class codes (N,), or 0/1 (N, L).
    proba : array-like
        (N,) or (N, 2): probability of the positive class; (N, C), C > 2: the top class is looked at; (N, L) with
        ``y`` of the same shape: all labels together.
    bins : int
        At least 1.
    sample_weight : array-like, (N,), optional
        At least 0.

    Raises
    ------
    InputError
        If inputs do not fit each other.
    """
    if bins < 1:
        raise InputError("a reliability diagram needs at least one bin", f"bins={bins!r}")
    p, truth = np.asarray(proba, dtype=np.float64), np.asarray(y)
    columns = 2 if p.ndim == 1 else p.shape[1]
    task: Task = "multilabel" if truth.ndim == 2 else "binary" if columns == 2 else "multiclass"
    data = scored(task, truth, None, p, sample_weight, None if task == "multilabel" else np.arange(columns))
    claim, came_true = claims(data)
    weight = np.repeat(data.weight, claim.shape[1])
    flat, happened = claim.ravel(), came_true.ravel()
    where = bin_of(flat, bins)
    found = []
    error = 0.0
    for b in np.unique(where).tolist():
        inside = where == b
        w = weight[inside]
        claimed, observed = float(np.average(flat[inside], weights=w)), float(np.average(happened[inside], weights=w))
        low, high = wilson(observed, float(w.sum() ** 2 / (w**2).sum()))
        found.append(ReliabilityBin(b / bins, (b + 1) / bins, int(inside.sum()), claimed, observed, low, high))
        error += float(w.sum()) * abs(observed - claimed)
    return ReliabilityResult(tuple(found), error / float(weight.sum()))


def conformal_radius(residuals: ArrayLike, coverage: float = 0.9) -> float:
    """Return the r for which prediction ± r covers new rows at the stated rate, whatever their distribution.

    Parameters
    ----------
    residuals : array-like, (N,)
        y − prediction on rows that the network was not trained on.
    coverage : float
        Between 0 and 1.

    Returns
    -------
    float
        The ⌈(N + 1)·coverage⌉-th smallest |residual|; infinite where N is too small to promise the coverage.

    Raises
    ------
    InputError
        If residuals are not a finite vector or the coverage is out of range.

    Notes
    -----
    Split conformal prediction (arXiv 1604.04173, section 2.2): coverage is at least the stated one, and at most
    1 / (N + 1) above it without ties, as long as calibration and new rows are exchangeable.
    """
    return _upper_quantile(np.abs(np.asarray(residuals, dtype=np.float64)), coverage)


def conformal_normalised(residuals: ArrayLike, scale: ArrayLike, coverage: float = 0.9) -> float:
    """Return the factor k for which prediction ± k·scale covers at the stated rate; ``scale`` (N,) is above 0.

    Intervals are then wide where the model expects large errors (arXiv 1604.04173, section 5.2).

    Raises
    ------
    InputError
        If shapes differ, a scale is not above 0, or the coverage is out of range.
    """
    size, width = np.abs(np.asarray(residuals, dtype=np.float64)), np.asarray(scale, dtype=np.float64)
    if size.shape != width.shape or not (width > 0).all():
        raise InputError("there must be one scale above 0 per residual", f"{width.shape} for {size.shape} residuals")
    return _upper_quantile(size / width, coverage)


def conformal_margin(y: ArrayLike, low: ArrayLike, high: ArrayLike, coverage: float = 0.9) -> float:
    """Return the m for which [low − m, high + m] covers at the stated rate; negative where bounds were too wide.

    Conformalised quantile regression (arXiv 1905.03222, eq. 6–8): corrects the bounds of quantile heads, all (N,).

    Raises
    ------
    InputError
        If shapes differ or the coverage is out of range.
    """
    true, below, above = (np.asarray(v, dtype=np.float64) for v in (y, low, high))
    if not true.shape == below.shape == above.shape:
        raise InputError("y and its bounds must have the same shape", f"{true.shape}, {below.shape}, {above.shape}")
    return _upper_quantile(np.maximum(below - true, true - above), coverage)


def _upper_quantile(figures: Floats, coverage: float) -> float:
    if not 0 < coverage < 1:
        raise InputError("coverage must lie between 0 and 1", f"coverage={coverage!r}")
    if figures.ndim != 1 or not np.isfinite(figures).all():
        raise InputError("residuals must be a finite vector, one target at a time", f"shape {figures.shape}")
    # The tiny slack keeps 0.9 · 10 from being rounded up to the tenth instead of the ninth.
    rank = math.ceil((len(figures) + 1) * coverage - 1e-9)
    return math.inf if rank > len(figures) else float(np.partition(figures, rank - 1)[rank - 1])


def coverage(y: ArrayLike, low: ArrayLike, high: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the share of rows with low ≤ y ≤ high, all (N,).

    Raises
    ------
    InputError
        If shapes differ or there are no rows.
    """
    true, below, above = (np.asarray(v, dtype=np.float64) for v in (y, low, high))
    if true.ndim != 1 or not true.shape == below.shape == above.shape or len(true) == 0:
        raise InputError("y and its bounds must be (N,), N ≥ 1", f"{true.shape}, {below.shape}, {above.shape}")
    inside = (below <= true) & (true <= above)
    return float(np.average(inside, weights=None if sample_weight is None else np.asarray(sample_weight)))
