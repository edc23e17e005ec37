"""How well the gaps of a column can be told from the other columns: a sign that they are not completely at random."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from glia.core.results import Interval
from glia.data.impute.base import Array, Block, Standard

FOLDS, FEWEST = 5, 10


@dataclass(frozen=True)
class Predictability:
    """How well a column's gaps are predicted.

    Parameters
    ----------
    column : str
        The column with gaps.
    auc : Interval
        Area under the ROC curve of a logistic regression on rows it was not fitted to; 0.5 is chance.
    depends : bool
        Whether even the lower end of the interval is above chance.
    """

    column: str
    auc: Interval
    depends: bool


def predictability(
    x: Array, blocks: Sequence[Block], names: Sequence[str], *, level: float = 0.95, random_state: int = 0
) -> tuple[Predictability, ...]:
    """Return for each column with gaps how well the other columns predict where they are.

    The predictors are the other columns' values (0 in standard units where missing) and where these are missing.
    Columns with fewer than ten gaps, or ten values, are left out.

    Parameters
    ----------
    x : ndarray of shape (N, D)
        Encoded rows, NaN where missing.
    blocks : sequence of Block
        One per original column.
    names : sequence of str
        Of the original columns.
    level : float
        Of the intervals, which are widened for the number of columns looked at (Bonferroni).
    random_state : int
        Of the folds.
    """
    missing = np.stack([np.isnan(x[:, block.start]) for block in blocks], axis=1)  # (N, C)
    counts = missing.sum(axis=0)
    wanted = [c for c in range(len(blocks)) if FEWEST <= counts[c] <= len(x) - FEWEST]
    z = np.nan_to_num(Standard.fit(x, blocks).apply(x), nan=0.0)
    z = np.clip(z, -10.0, 10.0)
    found = []
    for c in wanted:
        block = blocks[c]
        kept = np.r_[0 : block.start, block.stop : x.shape[1]].astype(np.intp)
        other = [i for i in wanted if i != c]
        features = np.concatenate([z[:, kept], missing[:, other]], axis=1)
        if features.shape[1]:
            auc = _auc(features, missing[:, c], level, len(wanted), random_state)
            found.append(Predictability(names[c], auc, auc.low > 0.5))
    return tuple(sorted(found, key=lambda one: -one.auc.value))


def _auc(features: Array, gone: NDArray[np.bool_], level: float, tests: int, seed: int) -> Interval:
    score = np.zeros(len(gone))
    areas, weights = [], []
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(features, gone):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a rough fit is a fair guess too
            fitted = LogisticRegression(C=1.0, max_iter=200).fit(features[train], gone[train])
        score[test] = fitted.decision_function(features[test])
        areas.append(roc_auc_score(gone[test], score[test]))
        weights.append(len(test))
    area = float(np.average(areas, weights=weights))
    error = _standard_error(area, int(gone.sum()), int((~gone).sum()))
    reach = float(ndtri(1.0 - (1.0 - level) / (2 * tests))) * error
    return Interval(area, max(0.0, area - reach), min(1.0, area + reach), level)


def _standard_error(area: float, positive: int, negative: int) -> float:
    """Return the standard error of an area under the curve (Hanley and McNeil, 1982)."""
    area = min(max(area, 1e-3), 1.0 - 1e-3)
    q1, q2 = area / (2.0 - area), 2.0 * area**2 / (1.0 + area)
    variance = area * (1.0 - area) + (positive - 1) * (q1 - area**2) + (negative - 1) * (q2 - area**2)
    return float(np.sqrt(variance / (positive * negative)))
