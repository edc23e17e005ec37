"""Bins of numeric features for piecewise-linear embeddings (arXiv 2203.05556): by quantiles, or where a tree splits."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

Bins = Literal["quantile", "tree"]
BINS = ("quantile", "tree")
_MANY_CLASSES = 100
_LEAF, _FINE_LEAF = 64, 20
_ROWS_PER_BIN = 16
"""Where there are so many rows for each bin of the whole table, bins are fine."""
_WIDE = 0.1
"""A gap from this share of the distance to the nearer neighbouring split on is wide."""


def quantile_edges(values: NDArray[Any], bins: int) -> tuple[float, ...]:
    """Return at most ``bins + 1`` increasing edges with about equally many values between neighbours.

    Parameters
    ----------
    values : ndarray of shape (N,)
        Finite values. Equal quantiles are merged; a constant gives no edges.
    bins : int
        Number of bins wanted, at least 1.
    """
    return _edges(np.quantile(values, np.linspace(0.0, 1.0, bins + 1)))


def edges_of_columns(matrix: NDArray[Any], y: NDArray[Any] | None, bins: int, how: Bins) -> list[tuple[float, ...]]:
    """Return the edges of every column, by quantiles or trees; those of trees are fine where rows are many.

    Parameters
    ----------
    matrix : ndarray of shape (N, K)
        Finite values.
    y : ndarray of shape (N,) or (N, T), optional
        Target, for "tree"; without it edges are quantiles.
    bins : int
        Bins wanted of each column.
    how : {"quantile", "tree"}
    """
    columns = [matrix[:, j] for j in range(matrix.shape[1])]
    if how == "quantile" or y is None:
        return [quantile_edges(values, bins) for values in columns]
    found, total = [], 0
    for values in columns:
        found.append(tree_edges(values, y, bins, fine=True))
        total += max(0, len(found[-1]) - 1)
        if total * _ROWS_PER_BIN > len(matrix):
            return [tree_edges(values, y, bins) for values in columns]
    return found


def tree_edges(values: NDArray[Any], y: NDArray[Any], bins: int, *, fine: bool = False) -> tuple[float, ...]:
    """Return increasing edges: the ends, and where a decision tree on this feature alone splits.

    Parameters
    ----------
    values : ndarray of shape (N,)
        Finite values.
    y : ndarray of shape (N,) or (N, T)
        Target. Whole numbers (at most 100 different ones), booleans and strings are classes; floats are regressed on,
        which for 0 and 1 gives the same splits as two classes.
    bins : int
        Number of leaves allowed, at least 1.
    fine : bool
        Split off as few as 20 values instead of 64, and where a split lies in a gap that is wide beside the bins, take
        both ends of the gap for edges. Between two edges the network rises evenly: one in the middle would let values
        on both sides share a slope, as with sums that come in a few round amounts, while two let it jump. There are
        then up to twice as many bins.
    """
    if bins < 2:
        return quantile_edges(values, bins)
    # A split on a handful of rows would learn their noise.
    leaf = max(1, min(_FINE_LEAF if fine else _LEAF, len(values) // 128))
    settings = {"max_leaf_nodes": bins, "min_samples_leaf": leaf, "random_state": 0}
    tree = (DecisionTreeClassifier if _is_classes(y) else DecisionTreeRegressor)(**settings)
    found = tree.fit(values.reshape(-1, 1), y).tree_
    splits = np.sort(found.threshold[found.feature >= 0])
    inner = _gap_ends(np.unique(values), splits) if fine else splits
    return _edges(np.concatenate([[values.min()], np.sort(inner), [values.max()]]))


def _gap_ends(values: NDArray[Any], splits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return splits, but both ends of the gaps that are wide beside the nearer neighbouring split.

    ``values`` are the different ones and ``splits`` lie between them, both increasing.
    """
    if not len(splits):
        return splits
    above = np.clip(np.searchsorted(values, splits, side="right"), 1, len(values) - 1)
    low, high = values[above - 1].astype(np.float64), values[above].astype(np.float64)
    room = np.diff(splits, prepend=values[0], append=values[-1])
    wide = high - low >= _WIDE * np.minimum(room[:-1], room[1:])
    return np.concatenate([splits[~wide], low[wide], high[wide]])


def _is_classes(y: NDArray[Any]) -> bool:
    return y.dtype.kind in "OUSTb" or (y.dtype.kind in "iu" and len(np.unique(y)) <= _MANY_CLASSES)


def _edges(points: NDArray[Any]) -> tuple[float, ...]:
    # float32 is what the network compares in: edges that agree there would make a bin of width 0
    unique = np.unique(np.asarray(points, dtype=np.float32))
    return tuple(float(edge) for edge in unique) if len(unique) > 1 else ()


def piecewise_linear(values: NDArray[Any], edges: tuple[float, ...]) -> NDArray[np.float64]:
    """Encode values by how far they fill each bin, (N,) → (N, T) for T + 1 edges; arXiv 2203.05556, equation 1.

    A bin below the value is 1, one above is 0, and the one that holds it says where: (x - left) / (right - left). The
    outermost bins go on linearly beyond the ends.
    """
    left, right = np.asarray(edges[:-1]), np.asarray(edges[1:])
    filled = (np.asarray(values, dtype=np.float64)[:, None] - left) / (right - left)
    low, high = np.zeros(len(left)), np.ones(len(left))
    low[0], high[-1] = -np.inf, np.inf
    return np.asarray(np.clip(filled, low, high))
