"""Deletion and insertion: whether the output follows when what is said to matter is taken out, or put in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from glia.core.protocols import Predictor
from glia.core.results import Result, Table
from glia.core.seeds import numpy_rng
from glia.explain.attribution import AttributionResult
from glia.explain.checks.case import Case
from glia.explain.entry import opened
from glia.explain.subject import Floats

STEPS = 20
"""Most points of a curve."""
_LEVEL = 0.1
"""Rows whose output changes by less than this share of its range between all units in and all out are not drawn."""
_CURVES = (
    ("deletion", "#D55E00", "-"),
    ("deletion at random", "#D55E00", ":"),
    ("insertion", "#0072B2", "-"),
    ("insertion at random", "#0072B2", ":"),
)


@dataclass(frozen=True)
class RemovalResult(Result):
    """Curves of the output while units are taken out, or put in, most important first.

    Parameters
    ----------
    share : ndarray of shape (S,)
        Of the units, from 0 to 1.
    deletion, insertion : ndarray of shape (S,)
        Mean over rows (those whose output changes at all) of the output, each row's scaled to 0 where all units are out
        and 1 where all are in, or for explanations without sign, 1 less the size of the change.
    random_deletion, random_insertion : ndarray of shape (S,)
        The same in random order.
    deletion_gain, insertion_gain : float
        Areas between the curves of the explanation and of random order, as a share of the range of each row's outputs;
        0 is no better than chance, below 0 worse.
    """

    share: Floats
    deletion: Floats
    insertion: Floats
    random_deletion: Floats
    random_insertion: Floats
    deletion_gain: float
    insertion_gain: float

    def summary(self) -> str:
        """Return both gains."""
        return (
            f"Taking out what matters most moves the output {self.deletion_gain:+.2f} of its range further than a "
            f"random order does, putting it in {self.insertion_gain:+.2f} (0 is chance)."
        )

    def tables(self) -> list[Table]:
        """Return the curves."""
        heads = ("share of units", *(name for name, _, _ in _CURVES))
        columns = (self.share, self.deletion, self.random_deletion, self.insertion, self.random_insertion)
        return [Table("Deletion and insertion", heads, tuple(zip(*(map(float, c) for c in columns), strict=True)))]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the drawing of the curves."""
        return {"curves": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        if ax is None:
            ax = Figure(figsize=(6, 3.5), layout="constrained").subplots()
        curves = (self.deletion, self.random_deletion, self.insertion, self.random_insertion)
        for (name, colour, style), values in zip(_CURVES, curves, strict=True):
            ax.plot(self.share, values, style, color=colour, label=name)
        ax.set_xlabel("share of units taken out, or put in")
        ax.set_ylabel("output, scaled per row")
        ax.set_title(f"Gain over chance: {self.deletion_gain:.2f} and {self.insertion_gain:.2f}", loc="left")
        ax.legend(frameon=False)
        return ax


def removal(
    predictor: Predictor,
    X: Any,
    explanation: AttributionResult,
    *,
    baseline: Any = "zeros",
    background: Any = None,
    output: Any = None,
    repeats: int = 3,
    random_state: int = 0,
) -> RemovalResult:
    """Measure deletion and insertion curves of an explanation.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        Those explained.
    explanation : AttributionResult
        Of the same rows and outputs.
    baseline, background
        What stands in for a unit that is out: as in ``glia.explain.integrated_gradients``, but one row.
    output
        As the explanation was asked for.
    repeats : int
        Random orders per row.
    random_state : int
        Of the random orders.

    Raises
    ------
    InputError
        If the explanation is not of these rows.

    Notes
    -----
    Source: Petsiuk, Das and Saenko, arXiv 1806.07421, here against random order.
    """
    with opened(predictor, X, output, numbers=True) as entry:
        return removal_of(Case(entry, predictor, explanation, baseline, background), repeats, random_state)


def removal_of(case: Case, repeats: int, random_state: int) -> RemovalResult:
    """Measure the curves of a case."""
    ranked = case.values if case.signed else np.abs(case.values)
    rng = numpy_rng(random_state, "removal")
    orders = [np.argsort(-ranked, axis=1, kind="stable")]
    orders += [rng.permuted(np.tile(np.arange(case.units), (len(ranked), 1)), axis=1) for _ in range(repeats)]
    counts = np.unique(np.linspace(0, case.units, min(STEPS, case.units) + 1).round().astype(int))
    deletion = np.stack([_curves(case, order, counts, out=True) for order in orders])  # (1 + R, N, S)
    insertion = np.stack([_curves(case, order, counts, out=False) for order in orders])
    high = np.maximum(deletion.max(axis=(0, 2)), insertion.max(axis=(0, 2)))
    low = np.minimum(deletion.min(axis=(0, 2)), insertion.min(axis=(0, 2)))
    span = np.maximum(high - low, 1e-12)[:, None]  # (N, 1)
    down, up = deletion / span, insertion / span
    share = counts / case.units
    ends = (deletion[0, :, -1:], deletion[0, :, :1])

    def mean(curves: Floats) -> Floats:
        scale = ends[1] - ends[0]
        safe = np.abs(scale[:, 0]) > _LEVEL * span[:, 0]  # rows that end where they begin have no scale of their own
        if not case.signed:
            scaled = curves / span + 1.0
        elif not safe.any():
            scaled = np.zeros_like(curves)
        else:
            scaled = ((curves - ends[0]) / np.where(safe[:, None], scale, 1.0))[..., safe, :]
        return np.asarray(scaled.reshape(-1, *scaled.shape[-2:]).mean(axis=(0, 1)))

    return RemovalResult(
        share,
        mean(deletion[0]),
        mean(insertion[0]),
        mean(deletion[1:]),
        mean(insertion[1:]),
        float(np.trapezoid(down[1:].mean(axis=0) - down[0], share, axis=1).mean()),
        float(np.trapezoid(up[0] - up[1:].mean(axis=0), share, axis=1).mean()),
    )


def _curves(case: Case, order: NDArray[Any], counts: NDArray[Any], *, out: bool) -> Floats:
    """Return each row's output with its first units out, or in, (N, S); without sign, less the size of the change."""
    place = np.argsort(order, axis=1)  # (N, U): when a unit's turn comes
    first = place[:, None, :] < counts[None, :, None]  # (N, S, U)
    keep = torch.from_numpy(~first if out else first).flatten(0, 1)
    row = torch.arange(len(order)).repeat_interleave(len(counts))
    scores = case.score(row, keep).reshape(len(order), len(counts))
    return scores if case.signed else -np.abs(scores - case.full[:, None])
