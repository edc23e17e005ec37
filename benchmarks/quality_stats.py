"""The sums of the comparison: ranks, normalised errors, wins, and how far ranks may differ by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

Errors = Mapping[str, Mapping[str, Sequence[float]]]
"""Table → model → errors by split; infinite where a model failed or took too long."""


def compare(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return win, tie or loss: a difference counts if every split agrees and its mean is above one per cent."""
    if not np.isfinite(ours).all() or not np.isfinite(theirs).all():
        return "tie" if not np.isfinite([*ours, *theirs]).any() else "win" if np.isfinite(ours).all() else "loss"
    gain = np.array(theirs) - np.array(ours)
    if abs(gain.mean()) <= 0.01 * np.mean(theirs):
        return "tie"
    return "win" if (gain > 0).all() else "loss" if (gain < 0).all() else "tie"


def rank_rows(errors: Errors, models: Sequence[str]) -> np.ndarray:
    """Return ranks (tables, models) of the mean errors; 1 is best, equals share a rank."""
    return np.array([stats.rankdata([np.mean(of[model]) for model in models]) for of in errors.values()])


def ranks(errors: Errors, models: Sequence[str]) -> dict[str, float]:
    """Return model → mean rank over the tables."""
    return dict(zip(models, rank_rows(errors, models).mean(axis=0).tolist(), strict=True))


def normalised(errors: Errors, constants: Mapping[str, float], models: Sequence[str]) -> dict[str, float]:
    """Return model → mean over the tables of the error between the best model's (0) and the constant answer's (1).

    What is worse than the constant answer, or has none, counts as 1.
    """
    rows = []
    for table, of in errors.items():
        level = np.array([np.mean(of[model]) for model in models])
        best = level.min()
        if not np.isfinite(best):
            rows.append(np.ones(len(models)))
            continue
        span = max(constants[table] - best, 1e-12)
        rows.append(np.clip((level - best) / span, 0, 1))
    return dict(zip(models, np.mean(rows, axis=0).tolist(), strict=True))


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean; NaN of nothing."""
    return float(np.exp(np.mean(np.log(values)))) if len(values) else float("nan")


def friedman(rows: np.ndarray) -> float:
    """Return the probability of ranks (tables, models) at least as unequal if all models were alike.

    Friedman's statistic in the form of Iman and Davenport, as Demšar (JMLR 7, 2006) advises.
    """
    tables, models = rows.shape
    spread = ((rows.mean(axis=0) - (models + 1) / 2) ** 2).sum()
    chi = 12 * tables / (models * (models + 1)) * spread
    if chi >= tables * (models - 1):
        return 0.0
    f = (tables - 1) * chi / (tables * (models - 1) - chi)
    return float(stats.f.sf(f, models - 1, (models - 1) * (tables - 1)))


def critical_difference(tables: int, models: int, level: float = 0.05) -> float:
    """Return by how much two mean ranks must differ (Nemenyi's test; Demšar, JMLR 7, 2006)."""
    q = stats.studentized_range.isf(level, models, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(models * (models + 1) / (6 * tables)))


def wilcoxon_holm(errors: Errors, ours: str, others: Sequence[str]) -> dict[str, float]:
    """Return other → p of no difference from ours (Wilcoxon's signed ranks over tables), corrected after Holm."""
    p = {}
    for other in others:
        gain = np.array([np.mean(of[other]) - np.mean(of[ours]) for of in errors.values()])
        gain = np.where(np.isfinite(gain), gain, np.sign(np.nan_to_num(gain, nan=0.0)) * 1e6)
        p[other] = float(stats.wilcoxon(gain).pvalue) if np.any(gain) else 1.0
    corrected, highest = {}, 0.0
    for place, other in enumerate(sorted(p, key=p.__getitem__)):
        highest = max(highest, min(1.0, (len(p) - place) * p[other]))
        corrected[other] = highest
    return corrected


def cliques(mean_ranks: Sequence[float], difference: float) -> list[tuple[int, int]]:
    """Return the longest runs (first, last) of sorted mean ranks that do not differ by more than ``difference``."""
    found: list[tuple[int, int]] = []
    for first in range(len(mean_ranks)):
        last = max(i for i in range(first, len(mean_ranks)) if mean_ranks[i] - mean_ranks[first] <= difference)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
