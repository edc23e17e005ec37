"""What an ensemble does not know, in two parts: noise that all members see, and disagreement among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from glia.core.errors import InputError
from glia.core.results import Result, Table

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class UncertaintyResult(Result):
    """Predictive entropy of each row and its two parts, in nats (0 to log C).

    Parameters
    ----------
    total : ndarray (N,)
        Entropy of the members' mean probabilities: ``expected + mutual_information``.
    expected : ndarray (N,)
        Mean of the members' own entropies: the classes overlap here, and more rows would not help.
    mutual_information : ndarray (N,)
        The rest, ≥ 0: the members disagree, which more rows like these would settle.
    """

    total: Floats
    expected: Floats
    mutual_information: Floats

    def summary(self) -> str:
        """Return the means over the rows, and which part is the larger."""
        total, part = float(self.total.mean()), float(self.mutual_information.mean())
        share = f"{part / total:.0%}".replace("%", " %") if total > 0 else "none"
        return f"Mean predictive entropy {total:.3g} nats over {len(self.total):,} rows; {share} of it is disagreement."

    def tables(self) -> list[Table]:
        """Return mean, median and largest value of each part."""
        parts = {
            "total": self.total,
            "expected entropy": self.expected,
            "mutual information": self.mutual_information,
        }
        rows = tuple((n, float(v.mean()), float(np.median(v)), float(v.max())) for n, v in parts.items())
        return [Table(f"Uncertainty of {len(self.total):,} rows (nats)", ("part", "mean", "median", "largest"), rows)]


def split_entropy(probability: Floats, weights: Floats | None = None) -> UncertaintyResult:
    """Split the entropy of averaged probabilities.

    H(Σ w p) = Σ w H(p) + I, where I is the mutual information of the class and the member (Houlsby et al., arXiv
    1112.5745; Depeweg et al., arXiv 1710.07283).

    Parameters
    ----------
    probability : ndarray (K, N, C)
        The members' probabilities; rows sum to 1.
    weights : ndarray (K,), optional
        Of the members, ≥ 0 with sum 1; equal by default.

    Raises
    ------
    InputError
        If the probabilities are not of three axes.
    """
    if probability.ndim != 3:
        raise InputError("members' probabilities must be (members, rows, classes)", f"shape {probability.shape}")
    share = np.full(len(probability), 1 / len(probability)) if weights is None else np.asarray(weights)
    total = _entropy(np.tensordot(share, probability, axes=1))
    expected = share @ _entropy(probability)
    # Rounding may leave a difference below 0 where members agree.
    return UncertaintyResult(total, expected, np.maximum(total - expected, 0.0))


def _entropy(probability: Floats) -> Floats:
    found: Floats = -xlogy(probability, probability).sum(axis=-1)
    return np.maximum(found, 0.0)
