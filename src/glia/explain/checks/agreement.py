"""Agreement: whether several methods say the same of the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glia.core.errors import InputError
from glia.core.results import Result, Table
from glia.explain.attribution import AttributionResult
from glia.explain.checks.ranks import rank_correlation
from glia.explain.subject import Floats


@dataclass(frozen=True)
class AgreementResult(Result):
    """How alike explanations of the same rows are.

    Parameters
    ----------
    names : tuple of str
        Of M explanations.
    correlation : ndarray of shape (M, M)
        Mean over rows and outputs of the rank correlation of values; of their sizes, where one of the two has no signs.
    top : ndarray of shape (M, M)
        Mean share of the largest values (a fifth of them, at least one) that two explanations have in common.
    """

    names: tuple[str, ...]
    correlation: Floats
    top: Floats

    def summary(self) -> str:
        """Return the least alike pair."""
        pairs = [(self.correlation[i, j], i, j) for i in range(len(self.names)) for j in range(i)]
        least, i, j = min(pairs)
        return f"{self.names[j]} and {self.names[i]} agree least: rank correlation {least:.2f}."

    def tables(self) -> list[Table]:
        """Return both matrices."""
        heads = ("", *self.names)
        return [
            Table(title, heads, tuple((name, *map(float, row)) for name, row in zip(self.names, values, strict=True)))
            for title, values in (("Rank correlation", self.correlation), ("Shared top values", self.top))
        ]

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the drawing of the correlations."""
        return {"correlation": self._draw}

    def _draw(self, *, ax: Axes | None = None) -> Axes:
        if ax is None:
            ax = Figure(figsize=(1.5 + 0.9 * len(self.names),) * 2, layout="constrained").subplots()
        ax.imshow(self.correlation, cmap="cividis", vmin=-1, vmax=1)
        places = range(len(self.names))
        ax.set_xticks(places, self.names, rotation=45, ha="right")
        ax.set_yticks(places, self.names)
        for i in places:
            for j in places:
                value = float(self.correlation[i, j])
                ax.text(j, i, f"{value:.2f}", ha="center", va="center", color="black" if value > 0.3 else "white")
        ax.set_title("Rank correlation of explanations", loc="left")
        return ax


def agreement(explanations: Mapping[str, AttributionResult]) -> AgreementResult:
    """Compare explanations of the same rows and outputs.

    Parameters
    ----------
    explanations : mapping
        Name → explanation, at least two.

    Raises
    ------
    InputError
        If there are fewer than two, or their values differ in shape.
    """
    names = tuple(explanations)
    shapes = {explanations[name].values.shape for name in names}
    if len(names) < 2 or len(shapes) != 1:
        got = f"{len(names)} explanations with values of shape {sorted(shapes)}"
        raise InputError("agreement is of two or more explanations of the same rows and outputs", got)
    flat = {name: _flat(explanations[name]) for name in names}
    correlation, top = np.eye(len(names)), np.eye(len(names))
    for i, one in enumerate(names):
        for j, two in enumerate(names[:i]):
            a, b = flat[one], flat[two]
            if not ((a < 0).any() and (b < 0).any()):
                a, b = np.abs(a), np.abs(b)
            correlation[i, j] = correlation[j, i] = rank_correlation(a, b).mean()
            top[i, j] = top[j, i] = _shared(np.abs(a), np.abs(b))
    return AgreementResult(names, correlation, top)


def _flat(result: AttributionResult) -> Floats:
    """Return values with one row per row and output, (N·O, U)."""
    values = np.moveaxis(result.values, -1, 1) if result.several else result.values[:, None]
    return values.reshape(values.shape[0] * values.shape[1], -1)


def _shared(a: Floats, b: Floats) -> float:
    count = max(1, a.shape[1] // 5)
    first, second = (np.argsort(-values, axis=1, kind="stable")[:, :count] for values in (a, b))
    return float(np.mean([len(np.intersect1d(x, y)) / count for x, y in zip(first, second, strict=True)]))
