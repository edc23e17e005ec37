"""Signs of wrong labels, from answers of trees that had not seen the row: confident learning, arXiv 1911.00068."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from glia.core.protocols import Task
from glia.diagnose.reference import Reference
from glia.diagnose.skill import Floats
from glia.objectives.calibration import wilson

FEWEST_ROWS = 200
FAR = 6.0
"""Robust standard deviations from which on a quantity's residual is gross."""


@dataclass(frozen=True)
class LabelNoise:
    """How labels and out-of-bag answers disagree.

    Parameters
    ----------
    rows : int
        Rows that were judged.
    surest, surest_low, surest_high : float
        Share of wrong answers among the quarter of rows with the surest answers, with its 95 % Wilson interval; of a
        regression the share of rows whose residual is gross.
    overall : float
        Share of wrong answers among all rows.
    chance : float
        Share of rows that the commonest class gets wrong.
    share : float
        Share of the rows that confident learning counts as mislabelled.
    suspects : tuple of int
        Positions of these rows, most suspect first, at most 1,000.
    """

    rows: int
    surest: float
    surest_low: float
    surest_high: float
    overall: float
    chance: float
    share: float
    suspects: tuple[int, ...] = field(repr=False, default=())

    @property
    def excess(self) -> float:
        """Contradiction among the surest answers beyond what classes give that merely overlap; of classes only.

        With s, a and c the wrong shares among the surest, among all, and by chance: s/a − 0.8·s/c. Where two classes
        overlap as in a logistic model, it is 0.25 to 0.3 whether they overlap much or little; flipped labels lift s/a
        towards 1 and leave s/c at the rate of flips.
        """
        return self.surest / max(self.overall, 1e-12) - 0.8 * self.surest / max(self.chance, 1e-12)


def label_noise(task: Task, labels: NDArray[np.int64] | Floats, reference: Reference) -> LabelNoise | None:
    """Return the signs, or ``None`` where there are fewer than 200 rows or the task is none of classes or values.

    Parameters
    ----------
    task : Task
    labels : ndarray (N,) or (N, T)
        Class numbers or values of all rows.
    reference : Reference
        Out-of-bag answers to some of them.

    Notes
    -----
    Classes that overlap are confused where the model is unsure; labels that were swapped are contradicted also where it
    is sure. Therefore the surest quarter is looked at. A target that hardly depends on the columns looks much the same.
    A row is a suspect if another class is the likeliest of those whose probability reaches the class's threshold, the
    mean probability of the class among the rows that carry its label (arXiv 1911.00068, eq. 1).
    """
    if len(reference.rows) < FEWEST_ROWS or task == "multilabel":
        return None
    if task == "regression":
        return _values(np.asarray(labels, dtype=np.float64), reference)
    if reference.probability is None:
        return None
    p, given = reference.probability, np.asarray(labels)[reference.rows].astype(np.int64)
    wrong = p.argmax(axis=1) != given
    order = np.argsort(-p.max(axis=1), kind="stable")[: len(p) // 4]
    surest = float(wrong[order].mean())
    low, high = wilson(surest, len(order))
    suspects = confident_suspects(p, given)
    chance = 1.0 - float(np.bincount(given).max()) / len(given)
    where = tuple(int(i) for i in reference.rows[suspects[:1000]])
    return LabelNoise(
        len(given), surest, low, high, float(wrong.mean()), chance, len(suspects) / len(given), where
    )  # fmt: skip


def confident_suspects(probability: Floats, given: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows that confident learning holds to be mislabelled, the largest contradiction first."""
    classes = probability.shape[1]
    counts = np.bincount(given, minlength=classes)
    own = probability[np.arange(len(given)), given]
    threshold = np.array([own[given == c].mean() if counts[c] else np.inf for c in range(classes)])
    reached = np.where(probability >= threshold, probability, -np.inf)
    likely = reached.argmax(axis=1)
    margin = reached.max(axis=1) - own
    found = np.flatnonzero(np.isfinite(margin) & (likely != given) & (margin > 0))
    return np.asarray(found[np.argsort(-margin[found], kind="stable")], dtype=np.int64)


def _values(values: Floats, reference: Reference) -> LabelNoise | None:
    if reference.prediction is None:
        return None
    truth = values.reshape(len(values), -1)[reference.rows]
    residual = truth - reference.prediction
    residual = residual - np.median(residual, axis=0)
    spread = 1.4826 * np.median(np.abs(residual), axis=0)
    distance = np.where(spread > 0, np.abs(residual) / np.where(spread > 0, spread, 1.0), 0.0).max(axis=1)
    gross = distance > FAR
    low, high = wilson(float(gross.mean()), len(gross))
    order = np.argsort(-distance, kind="stable")
    where = tuple(int(reference.rows[i]) for i in order if gross[i])[:1000]
    share = float(gross.mean())
    return LabelNoise(len(gross), share, low, high, float(reference.errors.mean()), 1.0, share, where)
