"""A feature's share against its value: how the network uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import spearmanr

from glia.core.errors import InputError, near
from glia.explain.plots.beeswarm import spread
from glia.explain.plots.look import INK, NORMAL_95, POINT, SHOWN, View, bare, new_axes, numbers, shorten, view

if TYPE_CHECKING:
    from glia.explain.attribution import AttributionResult


def draw_dependence(
    result: AttributionResult, *, ax: Axes | None = None, feature: int | str | None = None, output: int | str = 0
) -> Axes:
    """Draw one point a row: the feature's value across, its share upwards; words stand side by side.

    Parameters
    ----------
    result : AttributionResult
        Of a table, with the rows as people read them.
    ax : Axes, optional
    feature : int or str, optional
        By default the one that matters most.
    output : int or str

    Raises
    ------
    InputError
        If there is no such feature, or its values are unknown.
    """
    seen = view(result, output)
    which = _feature(seen, feature)
    if seen.data is None:
        raise InputError("a dependence plot needs the rows' values", "a result without data", "explain rows of a table")
    ax = new_axes(ax, 4.0)
    column, share = seen.data[:, which], seen.values[:, which]
    at = numbers(column)
    if at is None:
        words = [shorten(word, 14) for word in column]
        kinds = sorted(set(words), key=lambda word: -words.count(word))[:SHOWN]
        kept = np.array([word in kinds for word in words])
        share = share[kept]
        places = np.array([kinds.index(word) for word in words if word in kinds], dtype=np.float64)
        span = float(np.ptp(share)) or 1.0
        for place in range(len(kinds)):
            places[places == place] += spread(share[places == place], span, 0.5)
        at = places
        ax.set_xticks(range(len(kinds)), kinds, rotation=30 if len(kinds) > 4 else 0)
    else:
        kept = np.isfinite(at)
        at, share = at[kept], share[kept]
    if seen.error is not None and len(share) < 50:
        error = NORMAL_95 * seen.error[kept, which]
        ax.errorbar(at, share, yerr=error, fmt="none", ecolor=INK, lw=0.8, alpha=0.6)
    ax.scatter(at, share, s=18, color=POINT, alpha=0.7, linewidths=0)
    ax.axhline(0, color="#5A626B", linewidth=0.8)
    name = shorten(seen.names[which])
    ax.set_xlabel(name)
    ax.set_ylabel(seen.label)
    ax.set_title(_trend(name, at, share), loc="left")
    bare(ax, keep=("bottom", "left"))
    ax.grid(axis="y", color="#E9EBE8", linewidth=0.8)
    return ax


def _feature(seen: View, feature: int | str | None) -> int:
    if feature is None:
        return int(seen.order()[0])
    if isinstance(feature, str) and feature not in seen.names:
        raise InputError("feature must be one of the explained columns", repr(feature), near(feature, seen.names))
    which = seen.names.index(feature) if isinstance(feature, str) else int(feature)
    if not -len(seen.names) <= which < len(seen.names):
        raise InputError("feature must be one of the explained columns", f"{feature}", f"there are {len(seen.names)}")
    return which % len(seen.names)


def _trend(name: str, at: np.ndarray[tuple[int, ...], np.dtype[np.float64]], share: object) -> str:
    """Return what the points say, where ranks say it clearly."""
    shares = np.asarray(share, dtype=np.float64)
    if len(shares) < 3 or not np.ptp(at) or not np.ptp(shares):
        return f"What {name} does"
    order = float(spearmanr(at, shares).statistic)
    if abs(order) < 0.7:
        return f"What {name} does, by its value"
    return f"The more {name}, the {'higher' if order > 0 else 'lower'} its share"
