"""From paired figures to a verdict: supported, refuted or undecided on this data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from glia.core.seeds import numpy_rng
from glia.lab.question import Claim

Floats = NDArray[np.float64]
Word = Literal["supported", "refuted", "undecided"]
LEVEL = 0.05
"""Share of verdicts that may be wrong where nothing is to be found, over all claims of a run."""
SHUFFLES = 200


@dataclass(frozen=True)
class Evidence:
    """What the figures say of one claim before others are taken into account.

    Parameters
    ----------
    effect : float
        Mean difference.
    low, high : float
        Its 95 % interval.
    for_, against : float
        p-values: of "the claim does not hold" and of "the claim holds".
    seeds : int
        Pairs with figures.
    """

    effect: float
    low: float
    high: float
    for_: float
    against: float
    seeds: int


def weigh(claim: Claim, with_: Floats, without: Floats, level: float = LEVEL) -> Evidence:
    """Weigh the differences between pairs by Student's t.

    A bootstrap of few pairs finds too much: of five, it draws intervals that are far too narrow. Student's t holds its
    level from two pairs on where differences are roughly normal; a test holds it to that over 200 simulated runs.
    """
    difference = np.asarray(with_, float) - np.asarray(without, float)
    difference = difference[np.isfinite(difference)]
    count = len(difference)
    if count < 2:
        effect = float(difference[0]) if count else math.nan
        return Evidence(effect, -math.inf, math.inf, 1.0, 1.0, count)
    mean, error = float(difference.mean()), float(difference.std(ddof=1) / math.sqrt(count))
    half = float(stdtrit(count - 1, 1 - level / 2)) * error
    support, refute = claim.bounds
    signed = claim.sign * mean
    return Evidence(
        mean, mean - half, mean + half, _p(signed - support, error, count), _p(refute - signed, error, count), count
    )


def _p(above: float, error: float, count: int) -> float:
    """Return the chance of a mean so far above 0 if the truth were 0."""
    if error == 0:
        return 0.0 if above > 0 else 1.0
    return float(stdtr(count - 1, -above / error))


def judge(evidence: Sequence[Evidence], level: float = LEVEL) -> list[tuple[Word, float]]:
    """Return verdicts and corrected p-values; of all verdicts of a run at most ``level`` have one that is wrong.

    Support and refutation take half of the level each, by Holm's method (Scandinavian Journal of Statistics 1979).
    """
    against = _holm([one.against for one in evidence])
    for_ = _holm([one.for_ for one in evidence])
    found: list[tuple[Word, float]] = []
    for no, yes in zip(against, for_, strict=True):
        if no <= level / 2:  # first: an effect that is there but too small to matter speaks against the claim
            found.append(("refuted", no))
        elif yes <= level / 2:
            found.append(("supported", yes))
        else:
            found.append(("undecided", min(no, yes)))
    return found


def _holm(values: Sequence[float]) -> list[float]:
    order = np.argsort(values, kind="stable")
    corrected, running = np.empty(len(values)), 0.0
    for rank, where in enumerate(order):
        running = max(running, min(1.0, (len(values) - rank) * values[where]))
        corrected[where] = running
    return [float(value) for value in corrected]


def control(with_: Floats, without: Floats, seed: int, level: float = LEVEL) -> float:
    """Return the share of shuffles of who is "with" and who is "without" in which a difference seems to be found.

    It should be near ``level``: where the analysis found differences by itself, it would find them here.
    """
    difference = np.asarray(with_, float) - np.asarray(without, float)
    difference = difference[np.isfinite(difference)]
    count = len(difference)
    if count < 2 or not difference.any():
        return 0.0
    signs = numpy_rng(seed, "control").choice([-1.0, 1.0], (SHUFFLES, count))
    shuffled = signs * difference
    error = shuffled.std(axis=1, ddof=1) / math.sqrt(count)
    limit = float(stdtrit(count - 1, 1 - level / 2))
    return float(np.mean(np.abs(shuffled.mean(axis=1)) > limit * error))
