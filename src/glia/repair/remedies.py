"""The remedies that are compared, from the simplest to the most laborious."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import glia.estimators.autoencoder_training  # noqa: F401  # without it there is no autoencoder imputation
from glia.core.errors import InputError, near
from glia.core.seeds import derive
from glia.data.impute.base import Array, Block, make_imputer
from glia.data.missing.encoding import TableEncoding

SETS = 5
"""Completed sets of a multiple imputation."""


@dataclass(frozen=True)
class Remedy:
    """One way to deal with what is missing.

    Parameters
    ----------
    name : str
        As ``glia fit --impute`` and ``glia repair --remedy`` take it.
    title : str
        What a person reads.
    imputer : str
        Of ``glia.data.imputers``; empty where nothing is filled in.
    ordered : bool
        Whether it makes sense only where the order of rows (or a named column) is a series.
    sets : int
        How many completed sets are drawn; their mean is the filled value.
    seeded : bool
        Whether it draws random numbers.
    """

    name: str
    title: str
    imputer: str = ""
    ordered: bool = False
    sets: int = 1
    seeded: bool = False

    @property
    def fills(self) -> bool:
        """Whether it gives a complete table."""
        return bool(self.imputer)


REMEDIES: tuple[Remedy, ...] = (
    Remedy("delete", "leave incomplete rows out"),
    Remedy("native", "leave gaps as they are"),
    Remedy("mean", "mean", "mean"),
    Remedy("median", "median", "median"),
    Remedy("mode", "most frequent value", "mode"),
    Remedy("nearest", "nearest row", "nearest", ordered=True),
    Remedy("linear", "line between neighbouring rows", "linear", ordered=True),
    Remedy("spline", "spline through neighbouring rows", "spline", ordered=True),
    Remedy("knn", "nearest neighbours", "knn", seeded=True),
    Remedy("iterative", "chained regressions", "iterative"),
    Remedy("multiple", "multiple imputation", "stochastic", sets=SETS, seeded=True),
    Remedy("autoencoder", "autoencoder", "autoencoder", seeded=True),
)


def find_remedy(name: str) -> Remedy:
    """Return the remedy called ``name``.

    Raises
    ------
    InputError
        If there is none; the nearest name is offered.
    """
    for remedy in REMEDIES:
        if remedy.name == name:
            return remedy
    raise InputError("the remedy must be a known name", f"remedy={name!r}", near(name, [r.name for r in REMEDIES]))


def draws(
    remedy: Remedy,
    train: Array,
    rows: Array | None,
    blocks: tuple[Block, ...],
    *,
    position: NDArray[np.float64] | None = None,
    options: Mapping[str, Any] | None = None,
    random_state: int = 0,
) -> list[tuple[Array, Array]]:
    """Return the completed sets of a remedy that fills: of the training rows, and of further rows.

    Parameters
    ----------
    remedy : Remedy
        One with an imputer.
    train, rows : ndarray of shape (N, D) and (M, D)
        NaN where missing; ``rows`` may be ``None``. Only ``train`` is learned from.
    blocks : tuple of Block
        What the columns are.
    position : ndarray of shape (N,), optional
        Of the training rows, for remedies that interpolate.
    options : mapping, optional
        Of the imputer.
    random_state : int
        Seed.

    Returns
    -------
    list of (ndarray, ndarray)
        ``remedy.sets`` pairs; the second is empty without ``rows``.
    """
    found = []
    for number in range(remedy.sets):
        seed = {"seed": derive(random_state, remedy.name, number) % 2**31} if remedy.seeded else {}
        imputer = make_imputer(remedy.imputer, {**seed, **(options or {})})
        own = imputer.fit_transform(train, blocks, position)
        further = np.zeros((0, train.shape[1])) if rows is None else imputer.transform(rows)
        found.append((own, further))
    return found


def guess(encoding: TableEncoding, sets: list[Array]) -> tuple[Array, Array]:
    """Return the mean of the completed sets, (N, D), and the standard deviation between them."""
    stacked = np.stack(sets)
    spread = stacked.std(axis=0, ddof=1) if len(sets) > 1 else np.zeros_like(stacked[0])
    return stacked.mean(axis=0), spread
