"""Which remedy to take: the simplest that is not clearly worse than the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from glia.repair.compare import RemedyError, interval
from glia.repair.downstream import DownstreamError
from glia.repair.remedies import REMEDIES, find_remedy


def recommend(errors: Sequence[RemedyError], downstream: Sequence[DownstreamError]) -> tuple[str, str]:
    """Return the name of a remedy and the reason.

    Remedies are compared repeat by repeat (fold by fold): one is clearly worse than the best where the 95 % t interval
    of the difference lies above 0. Of those that are not, also not for the prediction of the target where it was
    measured, the first in the order of ``REMEDIES`` is taken.
    """
    by_remedy = {name: scores for name in _names(errors) if (scores := _repeats(errors, name))}
    if not by_remedy:
        return "median", "There was too little to compare the remedies on; the median is the safe choice."
    best, fine = _not_clearly_worse(by_remedy)
    linear = {d.remedy: d.folds for d in downstream if d.model == "linear" and not d.indicators}
    linear = {name: folds for name, folds in linear.items() if name in by_remedy}
    useful = set(_not_clearly_worse(linear)[1]) if linear else set(by_remedy)
    both = [name for name in fine if name in useful] or fine
    chosen = next(remedy.name for remedy in REMEDIES if remedy.name in both)
    title, value = find_remedy(chosen).title, float(np.mean(by_remedy[chosen]))
    share = f"{value:.0%}".replace("%", " %")
    says = f"Take {title!r}: its error is {share} of what one constant per column costs, on average over the masks"
    if chosen == best:
        return chosen, f"{says}, the least of all remedies."
    return chosen, f"{says}; it is the simplest that is not clearly worse than the best, {find_remedy(best).title!r}."


def _names(errors: Sequence[RemedyError]) -> list[str]:
    return list(dict.fromkeys(error.remedy for error in errors))


def _repeats(errors: Sequence[RemedyError], name: str) -> list[float]:
    """Return the mean over the mechanisms of a remedy's scores, one per repeat."""
    own = [error.scores for error in errors if error.remedy == name]
    count = min((len(scores) for scores in own), default=0)
    return [float(np.mean([scores[i] for scores in own])) for i in range(count)]


def _not_clearly_worse(scores: Mapping[str, Sequence[float]]) -> tuple[str, list[str]]:
    best = min(scores, key=lambda name: float(np.mean(scores[name])))
    fine = []
    for name, own in scores.items():
        count = min(len(own), len(scores[best]))
        difference = np.asarray(own[:count]) - np.asarray(scores[best][:count])
        if name == best or (count > 1 and interval(difference.tolist()).low <= 0.0):
            fine.append(name)
    return best, fine
