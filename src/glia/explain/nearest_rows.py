"""The known rows that a network sees as most like a row: neighbours in its last hidden layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.results import Result, Table
from glia.explain.global_methods import picture
from glia.explain.layers import representation
from glia.explain.plots.look import POINT, QUIET, bare, new_axes, shown
from glia.explain.subject import Floats, subject
from glia.nn.modes import evaluating

FAR = 0.99
"""A row further from its nearest known row than this share of known rows are from theirs is unlike them."""
USUAL = 1000


@dataclass(frozen=True)
class NearestRowsResult(Result):
    """Known rows by nearness.

    Parameters
    ----------
    positions : ndarray of shape (N, K)
        Of the neighbours among the known rows, the nearest first.
    distances : ndarray of shape (N, K)
        In the layer.
    answers : ndarray of shape (N,)
        What the model says of the rows.
    neighbours : ndarray of shape (N, K)
        The truth of the neighbours where it was handed in, else what the model says of them.
    truth : bool
        Which of the two.
    strangeness : ndarray of shape (N,)
        Share of known rows that are nearer to their own nearest neighbour; near 1 there is no row like it.
    layer : str
        Where rows were compared.
    names : tuple of str
        Columns; empty where rows are no tables.
    data : ndarray of shape (N, C), optional
        The rows as people read them.
    known : ndarray of shape (N, K, C), optional
        The neighbours as people read them.
    warnings : tuple of str
        Where rows are unlike all that are known.
    """

    positions: NDArray[np.int64]
    distances: Floats
    answers: NDArray[Any]
    neighbours: NDArray[Any]
    truth: bool
    strangeness: Floats
    layer: str
    names: tuple[str, ...]
    data: NDArray[Any] | None
    known: NDArray[Any] | None
    warnings: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return how often neighbours have the row's answer, or how far theirs lie apart."""
        words = "answers" if self.truth else "predictions"
        numbers = self.answers.dtype.kind == "f"
        if numbers:
            apart = np.abs(self.neighbours.astype(np.float64) - self.answers[:, None]).mean()
            said = f"The {words} of the nearest known rows differ from the prediction by {apart:.3g} on average."
        else:
            same = float((self.neighbours == self.answers[:, None]).mean())
            said = f"{same:.0%} of the nearest known rows have the {'true answer' if self.truth else 'prediction'} "
            said = said.replace("%", " %") + "that the model gives for the row."
        return said + (f" Beware: {'; '.join(self.warnings)}." if self.warnings else "")

    def tables(self) -> list[Table]:
        """Return one line per neighbour, with its columns where they are known."""
        lines = []
        for i in range(len(self.positions)):
            own = () if self.data is None else tuple(shown(v) for v in self.data[i, :8])
            lines.append((str(i), "the row", str(self.answers[i]), 0.0, *own))
            for k in range(self.positions.shape[1]):
                cells = () if self.known is None else tuple(shown(v) for v in self.known[i, k, :8])
                name = f"known row {self.positions[i, k]}"
                lines.append((str(i), name, str(self.neighbours[i, k]), float(self.distances[i, k]), *cells))
        heads = ("row", "what", "answer", "distance", *(self.names[:8] if self.data is not None else ()))
        return [Table(f"Nearest rows, {self.layer}", heads, tuple(lines))]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``distances``: how far the neighbours of each row are."""
        return {"distances": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        ax = new_axes(ax, 3.6)
        rows = np.repeat(np.arange(len(self.positions)), self.positions.shape[1])
        same = (self.neighbours == self.answers[:, None]).ravel() | (self.answers.dtype.kind == "f")
        flat = self.distances.ravel()
        ax.scatter(rows[same], flat[same], color=POINT, s=22, label="same answer")
        ax.scatter(rows[~same], flat[~same], color=QUIET, marker="x", s=28, label="another answer")
        if not same.all():
            ax.legend(frameon=False)
        ax.set_xlabel("row")
        ax.set_ylabel("distance in the layer")
        ax.set_ylim(bottom=0)
        ax.set_title(f"Row {int(self.strangeness.argmax())} is most unlike known rows", loc="left")
        return bare(ax, keep=("bottom", "left"))


@picture("nearest", "nearest_rows")
def nearest_rows(
    predictor: Predictor,
    X: Any,
    background: Any,
    *,
    y: Any = None,
    number: int = 5,
    layer: str | None = None,
) -> NearestRowsResult:
    """Find the known rows that a network hardly tells from a row.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        N rows of any kind.
    background : rows
        Known rows, best those of training.
    y : array-like, optional
        Their truth.
    number : int
        Neighbours of each row, at least 1.
    layer : str, optional
        Where rows are compared; by default the last hidden layer (of members side by side).

    Returns
    -------
    NearestRowsResult

    Raises
    ------
    InputError
        If there are fewer known rows than neighbours asked for, or no such layer.
    """
    with evaluating(predictor.network_):
        own, known = subject(predictor, X), subject(predictor, background)
        if not 1 <= number <= len(known.x):
            raise InputError("number must be 1 to the number of known rows", f"number={number}, {len(known.x)} rows")
        rows, others = (representation(predictor, one.x, layer) for one in (own, known))
        answers = np.asarray(predictor.predict(X))
        told = np.asarray(predictor.predict(background)) if y is None else np.asarray(y)
    if len(told) != len(known.x):
        raise InputError("there must be as many targets as known rows", f"{len(told)} for {len(known.x)}")
    distance, place = _nearest(rows, others, number)
    usual = _usual(others)
    strange = np.array([float((usual < d - 1e-9).mean()) for d in distance[:, 0]])
    odd = np.flatnonzero(strange > FAR).tolist()
    some = ", ".join(map(str, odd[:5])) + (", …" if len(odd) > 5 else "")
    warnings = (f"rows {some} are further from all known rows than those are from each other",) if odd else ()
    return NearestRowsResult(
        place,
        distance,
        answers,
        told[place],
        y is not None,
        strange,
        layer or "last hidden layer",
        own.feature_names,
        own.data,
        None if known.data is None else known.data[place],
        warnings,
    )


def _nearest(rows: torch.Tensor, others: torch.Tensor, number: int) -> tuple[Floats, NDArray[np.int64]]:
    exact = "donot_use_mm_for_euclid_dist"  # products of matrices lose what tells near rows apart
    parts = [torch.cdist(part, others, compute_mode=exact) for part in torch.split(rows, 256)]
    found = [part.topk(number, largest=False) for part in parts]
    distance, place = (torch.cat([one[i] for one in found]).numpy() for i in (0, 1))
    return np.asarray(distance, dtype=np.float64), np.asarray(place)


def _usual(others: torch.Tensor) -> Floats:
    """Return how far known rows are from their own nearest neighbours."""
    if len(others) < 2:
        return np.zeros(1)
    return _nearest(others[:USUAL], others, 2)[0][:, 1]
