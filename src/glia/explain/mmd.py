"""MMD-critic: rows whose distribution is like that of all, and rows where the two differ most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glia.explain.subject import Floats


def rbf(apart: Floats) -> Floats:
    """Return exp(−d² / (2 w²)) for distances (N, N).

    The width w is half the median distance of pairs, 1 where that is 0: the median itself is the distance between
    groups of rows where there are such, and cannot see what lies between them.
    """
    pairs = apart[np.triu_indices(len(apart), 1)]
    width = 0.5 * float(np.median(pairs)) if len(pairs) else 0.0
    return np.asarray(np.exp(-0.5 * (apart / (width or 1.0)) ** 2))


def mmd_prototypes(kernel: Floats, number: int) -> NDArray[np.int64]:
    """Return positions of ``number`` rows, added one by one, each lowering the squared MMD to all rows the most.

    Notes
    -----
    Kim, Khanna and Koyejo (NIPS 2016), equation 3: maximise 2/(n m) Σ k(x, p) − 1/m² Σ k(p, p').
    """
    towards = kernel.mean(axis=0)  # (N,)
    chosen: list[int] = []
    for m in range(1, number + 1):
        within = kernel[:, chosen].sum(axis=1) if chosen else np.zeros(len(kernel))
        inner = kernel[chosen][:, chosen].sum() if chosen else 0.0
        gain = 2 / m * (towards[chosen].sum() + towards) - (inner + 2 * within + np.diag(kernel)) / m**2
        gain[chosen] = -np.inf
        chosen.append(int(gain.argmax()))
    return np.array(chosen, dtype=np.int64)


def criticisms(kernel: Floats, chosen: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Return positions of rows where the density of all rows and that of the prototypes differ most, spread out.

    Notes
    -----
    Kim, Khanna and Koyejo (NIPS 2016), equation 4: the size of the witness function |mean k(x, all) − mean k(x,
    prototypes)|, plus the log-determinant of the kernel among criticisms, which keeps them apart; greedily.
    """
    witness = np.abs(kernel.mean(axis=1) - kernel[:, chosen].mean(axis=1))
    taken: list[int] = []
    for _ in range(number):
        free = np.setdiff1d(np.arange(len(kernel)), [*chosen.tolist(), *taken])
        rest = np.diag(kernel)[free].copy()
        if taken:  # what a row adds to the determinant is its variance that is left, given those taken
            inner = kernel[taken][:, taken] + 1e-9 * np.eye(len(taken))
            cross = kernel[taken][:, free]
            rest -= np.einsum("kf,kf->f", cross, np.linalg.solve(inner, cross))
        worth = witness[free] + np.log(np.maximum(rest, 1e-12))
        taken.append(int(free[worth.argmax()]))
    return np.array(taken, dtype=np.int64)
