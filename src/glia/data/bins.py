"""Bins of numeric features for piecewise-linear embeddings (arXiv 2203.05556): by quantiles, or where a tree splits."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

Bins = Literal["quantile", "tree"]
BINS = ("quantile", "tree")
_MANY_CLASSES = 100


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


def tree_edges(values: NDArray[Any], y: NDArray[Any], bins: int) -> tuple[float, ...]:
    """Return at most ``bins + 1`` increasing edges: the ends, and where a decision tree on this feature alone splits.

    Parameters
    ----------
    values : ndarray of shape (N,)
        Finite values.
    y : ndarray of shape (N,) or (N, T)
        Target. Whole numbers (at most 100 different ones), booleans and strings are classes; floats are regressed on,
        which for 0 and 1 gives the same splits as two classes.
    bins : int
        Number of leaves allowed, at least 1.
    """
    if bins < 2:
        return quantile_edges(values, bins)
    leaf = max(1, min(64, len(values) // 128))  # a split on a handful of rows would learn their noise
    settings = {"max_leaf_nodes": bins, "min_samples_leaf": leaf, "random_state": 0}
    tree = (DecisionTreeClassifier if _is_classes(y) else DecisionTreeRegressor)(**settings)
    found = tree.fit(values.reshape(-1, 1), y).tree_
    thresholds = found.threshold[found.feature >= 0]
    return _edges(np.concatenate([[values.min()], np.sort(thresholds), [values.max()]]))


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
