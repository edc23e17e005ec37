"""Prototypes and criticisms: a few rows that stand for all, and rows that these do not speak for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from glia.core.errors import InputError, near
from glia.core.protocols import Predictor
from glia.core.results import Result, Table
from glia.core.seeds import numpy_rng
from glia.explain.global_methods import picture
from glia.explain.layers import representation
from glia.explain.medoids import medoids
from glia.explain.mmd import criticisms, mmd_prototypes, rbf
from glia.explain.plots.look import QUIET, bare, new_axes, shown
from glia.explain.subject import Floats, subject
from glia.nn.modes import evaluating

WAYS = ("mmd", "medoids")
BELIEVED = 0.8


@dataclass(frozen=True)
class PrototypesResult(Result):
    """Rows that stand for others.

    Parameters
    ----------
    prototypes, criticisms : ndarray of shape (K,) and (M,)
        Positions of rows.
    shares : ndarray of shape (K,)
        Share of all rows to which a prototype is nearest.
    answers : ndarray of shape (N,)
        What the model says of all rows.
    fidelity : float
        Share of other rows for which the model says what it says of their nearest prototype; of values R².
    gap : float
        Maximum mean discrepancy between prototypes and all rows, squared; 0 where they are alike.
    by_chance : float
        The mean of that for as many rows drawn by chance.
    layer : str
        Where rows were compared.
    names : tuple of str
        Columns; empty where rows are no tables.
    data : ndarray of shape (N, C), optional
        All rows as people read them.
    places : ndarray of shape (N, 2)
        Rows along the two widest directions of the layer, for the figure.
    warnings : tuple of str
        Why they do not stand for the model.
    """

    prototypes: NDArray[np.int64]
    criticisms: NDArray[np.int64]
    shares: Floats
    answers: NDArray[Any]
    fidelity: float
    gap: float
    by_chance: float
    layer: str
    names: tuple[str, ...]
    data: NDArray[Any] | None
    places: Floats
    warnings: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return which rows stand for all, and how well."""
        rows = ", ".join(map(str, self.prototypes))
        said = (
            f"{len(self.prototypes)} of {len(self.answers):,} rows stand for all: {rows}. The answer of a row's "
            f"nearest prototype is the model's with fidelity {self.fidelity:.2f}."
        )
        if len(self.criticisms):
            said += f" They do not speak for rows like {', '.join(map(str, self.criticisms))}."
        return said + (f" Do not rely on it: {'; '.join(self.warnings)}." if self.warnings else "")

    def tables(self) -> list[Table]:
        """Return the prototypes and the criticisms with their columns."""
        heads = ("row", "answer", "stands for", *(self.names[:10] if self.data is not None else ()))
        one = tuple(
            (int(i), str(self.answers[i]), float(share), *self._cells(int(i)))
            for i, share in zip(self.prototypes, self.shares, strict=True)
        )
        two = tuple((int(i), str(self.answers[i]), *self._cells(int(i))) for i in self.criticisms)
        found = [Table("Prototypes", heads, one)]
        return [*found, Table("Criticisms", (*heads[:2], *heads[3:]), two)] if two else found

    def _cells(self, row: int) -> tuple[str, ...]:
        return () if self.data is None else tuple(shown(value) for value in self.data[row, :10])

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``rows``: all rows as the layer sees them, with prototypes and criticisms."""
        return {"rows": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        ax = new_axes(ax, 4.6)
        ax.scatter(self.places[:, 0], self.places[:, 1], s=10, color=QUIET, alpha=0.5, linewidths=0)
        for rows, colour, mark, name in (
            (self.prototypes, "#0072B2", "o", "prototypes"), (self.criticisms, "#D55E00", "X", "criticisms")
        ):  # fmt: skip
            ax.scatter(
                self.places[rows, 0],
                self.places[rows, 1],
                s=70,
                color=colour,
                marker=mark,
                edgecolor="white",
                label=name,
            )
            for i in rows:
                ax.annotate(str(i), self.places[i], xytext=(5, 4), textcoords="offset points", fontsize="small")
        ax.legend(frameon=False)
        ax.set_xlabel("widest direction of the layer")
        ax.set_ylabel("second widest")
        ax.set_title(f"{len(self.prototypes)} rows stand for {len(self.answers):,}", loc="left")
        return bare(ax, keep=("bottom", "left"))


@picture("prototypes")
def prototypes(
    predictor: Predictor,
    X: Any,
    *,
    number: int = 6,
    critics: int = 3,
    method: str = "mmd",
    layer: str | None = None,
    rows: int = 1000,
) -> PrototypesResult:
    """Choose rows that stand for all, as the network sees them.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        N rows of any kind.
    number, critics : int
        Prototypes, at least 1, and criticisms.
    method : {"mmd", "medoids"}
        "mmd" takes rows whose distribution is like that of all; "medoids" those with the least distance to all others.
    layer : str, optional
        Where rows are compared; by default the last hidden layer (of members side by side).
    rows : int
        The first so many rows are used.

    Returns
    -------
    PrototypesResult

    Raises
    ------
    InputError
        If there are too few rows, or no such layer or method.

    Notes
    -----
    MMD-critic: Kim, Khanna and Koyejo, "Examples are not enough, learn to criticize!" (NIPS 2016); k-medoids: Kaufman
    and Rousseeuw's PAM. Kernel and distance are of the layer's values; the kernel's width is half the
    median distance.
    """
    if method not in WAYS:
        raise InputError(f"method must be one of {', '.join(WAYS)}", repr(method), near(str(method), WAYS))
    with evaluating(predictor.network_):
        seen = subject(predictor, X)
        x = seen.x[:rows]
        if number < 1 or critics < 0 or number + critics > len(x):
            raise InputError("there must be more rows than are chosen", f"{len(x)} rows, {number} + {critics} chosen")
        hidden = representation(predictor, x, layer)
        answers = np.asarray(predictor.predict(X))[: len(x)]
    apart = torch.cdist(hidden, hidden, compute_mode="donot_use_mm_for_euclid_dist").numpy().astype(np.float64)
    kernel = rbf(apart)
    chosen = mmd_prototypes(kernel, number) if method == "mmd" else medoids(apart, number)
    odd = criticisms(kernel, chosen, critics)
    nearest = apart[:, chosen].argmin(axis=1)
    rng = numpy_rng(0, "prototypes")
    chance = [discrepancy(kernel, rng.permutation(len(x))[:number]) for _ in range(100)]
    fidelity = _fidelity(answers, answers[chosen][nearest], np.setdiff1d(np.arange(len(x)), chosen))
    said = f"nearest prototypes often have another answer than the model (fidelity {fidelity:.2f}): take more"
    return PrototypesResult(
        chosen,
        odd,
        np.bincount(nearest, minlength=number) / len(x),
        answers,
        fidelity,
        discrepancy(kernel, chosen),
        float(np.mean(chance)),
        layer or "last hidden layer",
        seen.feature_names,
        None if seen.data is None else seen.data[: len(x)],
        _plane(hidden.numpy()),
        (said,) * (not fidelity >= BELIEVED),
    )


def discrepancy(kernel: Floats, chosen: NDArray[np.int64]) -> float:
    """Return the squared maximum mean discrepancy of chosen rows and all, for a kernel (N, N)."""
    return float(kernel.mean() - 2 * kernel[:, chosen].mean() + kernel[np.ix_(chosen, chosen)].mean())


def _fidelity(answers: NDArray[Any], told: NDArray[Any], others: NDArray[np.int64]) -> float:
    if not len(others):
        return 1.0
    if answers.dtype.kind != "f":
        return float((answers[others] == told[others]).mean())
    whole = ((answers[others] - answers[others].mean(axis=0)) ** 2).sum()
    return float(1 - ((answers[others] - told[others]) ** 2).sum() / whole) if whole > 0 else 1.0


def _plane(hidden: Floats) -> Floats:
    centred = hidden - hidden.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    places = (left * size)[:, :2]
    return np.asarray(np.pad(places, ((0, 0), (0, 2 - places.shape[1]))))
