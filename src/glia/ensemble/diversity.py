"""How far the members of an ensemble differ, and what that is worth: errors, disagreement, ambiguity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.results import Result, Table

Floats = NDArray[np.float64]
SHOWN = 30
"""Most members in the figure."""


@dataclass(frozen=True)
class MemberError:
    """One member: its name, its own error, and its weight in the ensemble (``None``: not a mean of members)."""

    name: str
    error: float
    weight: float | None


@dataclass(frozen=True)
class Decomposition:
    """The squared error of a weighted mean, exactly: ``ensemble = members - ambiguity`` (Krogh & Vedelsby 1994).

    Parameters
    ----------
    ensemble : float
        Mean squared error of the ensemble; for classes the Brier score: squared errors of probabilities, summed over
        the classes.
    members : float
        The members' own, averaged with their weights.
    ambiguity : float
        Mean squared distance of the members from the ensemble, ≥ 0: what averaging gains.
    """

    ensemble: float
    members: float
    ambiguity: float


@dataclass(frozen=True)
class DiversityResult(Result):
    """Members' errors against the ensemble's, and how far members differ.

    Parameters
    ----------
    metric : str
        What ``error`` means: ``"error rate"`` or ``"mean squared error"``.
    members : tuple of MemberError
        In the ensemble's order.
    mean_error : float
        The members' own, averaged with their weights (equal ones where there are none).
    ensemble_error : float
        Of the ensemble.
    disagreement : float
        Mean over pairs of members. Classes: share of rows on which two predict different classes. Values: root mean
        square of their difference, in units of the target.
    error_correlation : float or None
        Mean over pairs of the correlation of their errors (0/1 for classes, residuals for values); ``None`` where no
        two members' errors vary. Averaging gains the more, the lower it is.
    decomposition : Decomposition or None
        Of the squared error; ``None`` where the ensemble is not a weighted mean of its members.
    rows : int
        On how many rows.
    """

    metric: str
    members: tuple[MemberError, ...]
    mean_error: float
    ensemble_error: float
    disagreement: float
    error_correlation: float | None
    decomposition: Decomposition | None
    rows: int

    def summary(self) -> str:
        """Return what the ensemble gains over its members."""
        better = "below" if self.ensemble_error < self.mean_error else "not below"
        related = "" if self.error_correlation is None else f"; errors correlate by {self.error_correlation:.2f}"
        return (
            f"The ensemble's {self.metric} is {self.ensemble_error:.4g}, {better} its members' mean of "
            f"{self.mean_error:.4g} ({len(self.members)} members, {self.rows:,} rows){related}."
        )

    def tables(self) -> list[Table]:
        """Return the members, the ensemble as a whole, and the decomposition where there is one."""
        listed = tuple((m.name, m.error, "" if m.weight is None else m.weight) for m in self.members)
        figures: list[tuple[Any, ...]] = [
            ("ensemble", self.ensemble_error),
            ("members' mean", self.mean_error),
            ("disagreement", self.disagreement),
            ("correlation of errors", "" if self.error_correlation is None else self.error_correlation),
        ]
        if self.decomposition is not None:
            figures += [
                ("squared error of the ensemble", self.decomposition.ensemble),
                ("squared error of the members", self.decomposition.members),
                ("ambiguity", self.decomposition.ambiguity),
            ]
        return [
            Table(f"Members, {self.rows:,} rows", ("member", self.metric, "weight"), listed),
            Table("Diversity", ("figure", "value"), tuple(figures)),
        ]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``members``: each member's error, and lines at their mean and at the ensemble's."""
        return {"members": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        shown = self.members[:SHOWN]
        if ax is None:
            ax = Figure(figsize=(7, 1.4 + 0.25 * len(shown)), layout="constrained").subplots()
        heights = np.arange(len(shown))[::-1]
        ax.plot([m.error for m in shown], heights, "o", color="#0072B2", label="members")
        ax.axvline(self.mean_error, color="#999999", linewidth=1, label="their mean")
        ax.axvline(self.ensemble_error, color="#D55E00", linewidth=1.5, label="ensemble")
        ax.set_yticks(heights, [m.name for m in shown])
        ax.set_xlabel(self.metric)
        ax.set_title("The ensemble and its members", loc="left")
        ax.legend(frameon=False)
        for side in ("top", "right", "left"):
            ax.spines[side].set_visible(False)
        return ax


def diversity(
    members: Floats,
    ensemble: Floats,
    truth: NDArray[Any],
    *,
    classes: bool,
    weights: Floats | None = None,
    names: Sequence[str] | None = None,
    sample_weight: Floats | None = None,
) -> DiversityResult:
    """Compare members with their ensemble on rows whose truth is known.

    Parameters
    ----------
    members : ndarray (K, N, C), (K, N) or (K, N, T)
        Probabilities, or values.
    ensemble : ndarray (N, C), (N,) or (N, T)
        The same of the ensemble.
    truth : ndarray (N,) or (N, T)
        Class numbers from 0, or values.
    classes : bool
        Whether probabilities of classes are meant.
    weights : ndarray (K,), optional
        By which the ensemble is the mean of the members: ≥ 0, of sum 1. Without them it is something else, and there
        is no decomposition.
    names : sequence of str, optional
        One per member.
    sample_weight : ndarray (N,), optional
        Of the rows.

    Raises
    ------
    InputError
        If the shapes do not fit together.
    """
    _check(members, ensemble, truth)
    count, rows = len(members), len(truth)
    mass = np.ones(rows) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    share = np.full(count, 1 / count) if weights is None else np.asarray(weights, dtype=np.float64)
    wanted = np.eye(members.shape[2])[truth] if classes else np.asarray(truth, dtype=np.float64)
    # Outputs on an axis of their own, also where there is one: (K, N, O) and (N, O).
    each, joint, right = members.reshape(count, rows, -1), ensemble.reshape(rows, -1), wanted.reshape(rows, -1)
    own, whole = _mean_square(each - right, mass, classes), _mean_square(joint - right, mass, classes)
    parts = None
    if weights is not None:
        ambiguity = float(share @ _mean_square(each - joint, mass, classes))
        parts = Decomposition(float(whole), float(share @ own), ambiguity)
    if classes:
        wrong = (each.argmax(axis=-1) != truth).astype(np.float64)  # (K, N)
        own, whole = np.average(wrong, axis=1, weights=mass), np.average(joint.argmax(1) != truth, weights=mass)
        related = _correlation(wrong, mass)
    else:
        related = _correlation((each - right).reshape(count, -1), np.repeat(mass, right.shape[1]))
    listed = [f"member {k + 1}" for k in range(count)] if names is None else names
    shares = [None if weights is None else float(one) for one in share]
    return DiversityResult(
        "error rate" if classes else "mean squared error",
        tuple(MemberError(str(n), float(e), w) for n, e, w in zip(listed, own, shares, strict=True)),
        float(share @ own),
        float(whole),
        _disagreement(each, mass, classes),
        related,
        parts,
        rows,
    )


def _check(members: Floats, ensemble: Floats, truth: NDArray[Any]) -> None:
    if members.shape[1:] != ensemble.shape or len(truth) != len(ensemble):
        got = f"members {members.shape}, ensemble {ensemble.shape}, truth {truth.shape}"
        raise InputError("members, ensemble and truth must be of the same rows and outputs", got)


def _disagreement(each: Floats, mass: Floats, classes: bool) -> float:
    """Return how far two members are apart, (K, N, O), as the mean over all pairs; 0 for one member."""
    if classes:
        apart = [np.average(a != b, weights=mass) for a, b in combinations(each.argmax(axis=-1), 2)]
    else:
        apart = [np.sqrt(_mean_square(a - b, mass, classes)) for a, b in combinations(each, 2)]
    return float(np.mean(apart)) if apart else 0.0


def _mean_square(difference: Floats, mass: Floats, classes: bool) -> Any:
    """Return squares, summed over classes or averaged over targets, averaged over rows: (…, N, O) → (…)."""
    square = difference**2
    merged = square.sum(axis=-1) if classes else square.mean(axis=-1)
    return np.average(merged, axis=-1, weights=mass)


def _correlation(errors: Floats, mass: Floats) -> float | None:
    """Return the mean correlation over pairs of rows of (K, M), leaving out those that do not vary."""
    centred = errors - np.average(errors, axis=1, weights=mass)[:, None]
    length = np.sqrt((centred**2) @ mass)
    varying = length > 1e-12 * np.sqrt(mass.sum())
    if varying.sum() < 2:
        return None
    unit = centred[varying] / length[varying][:, None]
    gram = (unit * mass) @ unit.T
    return float(gram[np.triu_indices(len(gram), 1)].mean())
