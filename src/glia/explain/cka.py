"""Centred kernel alignment: how alike layers of two networks see the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from glia.core.errors import InputError
from glia.core.protocols import Predictor
from glia.core.results import Result, Table
from glia.core.seeds import numpy_rng
from glia.explain.layers import layer_outputs, layers_that_run
from glia.explain.plots.look import new_axes, shorten
from glia.explain.subject import Floats, subject
from glia.nn.modes import evaluating

SHUFFLES = 20
MOST_LAYERS = 20


@dataclass(frozen=True)
class CkaResult(Result):
    """Alignment of every layer of one network with every layer of another.

    Parameters
    ----------
    values : ndarray of shape (A, B)
        1 where two layers are the same up to rotation and scale, about 0 where they are unrelated; the estimator has
        no bias, and can be a little below 0.
    layers, other_layers : tuple of str
        Paths of the A and B layers.
    by_chance : float
        What 95 of 100 pairs reach when the rows of one network are shuffled.
    rows : int
        Rows compared.
    """

    values: Floats
    layers: tuple[str, ...]
    other_layers: tuple[str, ...]
    by_chance: float
    rows: int

    def summary(self) -> str:
        """Return the most and the least alike pair."""
        a, b = (np.unravel_index(int(f(self.values)), self.values.shape) for f in (np.nanargmax, np.nanargmin))
        return (
            f"{self.layers[a[0]]} and {self.other_layers[a[1]]} see {self.rows:,} rows most alike "
            f"({self.values[a]:.2f}), {self.layers[b[0]]} and {self.other_layers[b[1]]} least ({self.values[b]:.2f}); "
            f"chance reaches {self.by_chance:.2f}."
        )

    def tables(self) -> list[Table]:
        """Return the matrix."""
        rows = tuple((name, *map(float, line)) for name, line in zip(self.layers, self.values, strict=True))
        return [Table("Linear CKA", ("layer", *self.other_layers), rows)]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figure ``alignment``: the matrix as a map."""
        return {"alignment": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        ax = new_axes(ax, 1.6 + 0.4 * len(self.layers), 2.4 + 0.5 * len(self.other_layers))
        drawn = ax.imshow(self.values, cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
        ax.figure.colorbar(drawn, ax=ax, aspect=30, pad=0.02).outline.set_visible(False)
        ax.set_yticks(range(len(self.layers)), [shorten(name, 20) for name in self.layers])
        places = range(len(self.other_layers))
        ax.set_xticks(places, [shorten(name, 20) for name in self.other_layers], rotation=45, ha="right")
        best = np.unravel_index(int(np.nanargmax(self.values)), self.values.shape)
        ax.set_title(f"Most alike: {self.layers[best[0]]} and {self.other_layers[best[1]]}", loc="left")
        return ax


def cka(
    predictor: Predictor,
    X: Any,
    other: Predictor | None = None,
    *,
    layers: Sequence[str] | None = None,
    other_layers: Sequence[str] | None = None,
    rows: int = 1000,
    random_state: int = 0,
) -> CkaResult:
    """Compare layers by what they make of the same rows.

    Parameters
    ----------
    predictor, other : Predictor
        Two networks; of one alone its layers are compared with each other.
    X : rows
        Rows that both take, at least 4.
    layers, other_layers : sequence of str, optional
        Paths of modules; by default those that run, 20 at most, evenly spread.
    rows : int
        The first so many rows are used.
    random_state : int
        Seed of the shuffles that say what chance gives.

    Returns
    -------
    CkaResult

    Raises
    ------
    InputError
        If there are too few rows, or no such layer.

    Notes
    -----
    Linear CKA, Kornblith et al., arXiv 1905.00414, with the unbiased estimator of HSIC of arXiv 2010.15327, equation 3:
    the usual one is far above 0 for unrelated layers of more units than rows.
    """
    second = predictor if other is None else other
    grams, names = [], []
    for one, asked in ((predictor, layers), (second, other_layers if other is not None else layers)):
        with evaluating(one.network_):
            x = subject(one, X).x[:rows]
        if len(x) < 4:
            raise InputError("there must be at least four rows", f"{len(x)}", "some hundred are usual")
        chosen = _spread(layers_that_run(one, x)) if asked is None else list(asked)
        if not chosen:
            raise InputError("a layer must run", type(one.network_).__name__, "name layers")
        found = layer_outputs(one, x, chosen)
        grams.append([_gram(found[name].flatten(1).double().numpy()) for name in chosen])
        names.append(tuple(chosen))
    rng = numpy_rng(random_state, "cka")
    values = np.array([[alignment(a, b) for b in grams[1]] for a in grams[0]])
    orders = [rng.permutation(len(grams[0][0])) for _ in range(SHUFFLES)]
    shuffled = [grams[1][-1][np.ix_(order, order)] for order in orders]
    chance = [alignment(a, b) for a in grams[0][-3:] for b in shuffled]
    return CkaResult(values, names[0], names[1], float(np.nanquantile(chance, 0.95)), len(grams[0][0]))


def _gram(values: Floats) -> Floats:
    centred = values - values.mean(axis=0)
    found = centred @ centred.T
    np.fill_diagonal(found, 0.0)
    return np.asarray(found)


def alignment(a: Floats, b: Floats) -> float:
    """Return CKA of two Gram matrices (N, N) with zeros on the diagonal; NaN where a layer is constant."""
    own = hsic(a, a) * hsic(b, b)
    return hsic(a, b) / float(np.sqrt(own)) if own > 0 else float("nan")


def hsic(a: Floats, b: Floats) -> float:
    """Return the unbiased estimate of the Hilbert–Schmidt independence criterion, N ≥ 4."""
    n = len(a)
    one, two = a.sum(axis=0), b.sum(axis=0)
    whole = float((a * b).sum()) + float(one.sum() * two.sum()) / ((n - 1) * (n - 2)) - 2 * float(one @ two) / (n - 2)
    return whole / (n * (n - 3))


def _spread(names: list[str]) -> list[str]:
    if len(names) <= MOST_LAYERS:
        return names
    return [names[i] for i in np.unique(np.linspace(0, len(names) - 1, MOST_LAYERS).round().astype(int))]
