"""Probabilities for other shares of the classes than those that a model was trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from glia.core.errors import InputError
from glia.objectives.scored import Floats


def shift_prior(probability: ArrayLike, old: ArrayLike, new: ArrayLike) -> Floats:
    """Return probabilities as they are where classes have the shares ``new`` instead of ``old``, (N, C).

    Parameters
    ----------
    probability : array-like (N, C)
        Of a model that was trained where classes had the shares ``old``.
    old, new : array-like (C,)
        Shares, or anything proportional to them; ``old`` above 0, ``new`` at least 0.

    Raises
    ------
    InputError
        If shapes do not fit, or shares are out of range.

    Notes
    -----
    p'[k] ∝ p[k]·new[k] / old[k] (Elkan 2001, theorem 2; Saerens, Latinne and Decaestecker 2002, eq. 2.4): exact if
    the rows of each class are alike in both places, so that only the shares differ. That is so for rows drawn more or
    less often by their class, and about so for synthetic rows.
    """
    p, before, after = _checked(probability, old, new)
    shifted = p * (after / after.sum()) / (before / before.sum())
    total = shifted.sum(axis=1, keepdims=True)
    if not (total > 0).all():
        raise InputError("every row must have a class that occurs", "rows whose only classes have the share 0")
    result: Floats = shifted / total
    return result


def estimate_prior(
    probability: ArrayLike, old: ArrayLike, *, iterations: int = 1000, tolerance: float = 1e-9
) -> Floats:
    """Return the shares of the classes among rows without labels, (C,).

    Parameters
    ----------
    probability : array-like (N, C)
        Of a model that was trained where classes had the shares ``old``.
    old : array-like (C,)
    iterations : int
        Most rounds.
    tolerance : float
        The rounds end when no share changes by more.

    Raises
    ------
    InputError
        If shapes do not fit, there are no rows, or shares are out of range.

    Notes
    -----
    Expectation maximisation (Saerens, Latinne and Decaestecker 2002, section 2.3): shift the probabilities to the
    shares believed in, take their means for the new shares, and so on. It climbs to the maximum of the likelihood.
    """
    p, before, now = _checked(probability, old, old)
    if not len(p):
        raise InputError("shares need rows to be estimated from", "0 rows")
    now = now / now.sum()
    for _ in range(iterations):
        updated: Floats = shift_prior(p, before, now).mean(axis=0)
        done = np.abs(updated - now).max() <= tolerance
        now = updated
        if done:
            break
    return now


def _checked(probability: ArrayLike, old: ArrayLike, new: ArrayLike) -> tuple[Floats, Floats, Floats]:
    p, before, after = (np.asarray(v, dtype=np.float64) for v in (probability, old, new))
    if p.ndim != 2 or not before.shape == after.shape == p.shape[1:]:
        raise InputError(
            "probabilities must be (N, C), with C old and C new shares", f"{p.shape}, {before.shape}, {after.shape}"
        )
    fits = np.isfinite(before).all() and np.isfinite(after).all() and (before > 0).all() and (after >= 0).all()
    if not (fits and after.any()):
        raise InputError("old shares must be above 0, new ones at least 0", f"{before.tolist()}, {after.tolist()}")
    return p, before, after
